"""Exact accuracy over samples, and the fusion of heads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from schedplan.errors import NotFiniteError
from schedplan_video.evaluate import METRICS, evaluate, scales, scores

CPU = torch.device("cpu")


class Fixed(nn.Module):
    """Answers with logits written down beforehand, in order."""

    def __init__(self, *heads: Tensor) -> None:
        super().__init__()
        self.logits = heads
        self.seen = 0

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        rows = slice(self.seen, self.seen + len(clips))
        self.seen += len(clips)
        return tuple(head[rows] for head in self.logits)


def loader(labels: Tensor, size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    clips = torch.zeros(len(labels), 4, 3, 2, 2, dtype=torch.uint8)
    numbers = torch.arange(len(labels))
    return list(zip(clips.split(size), labels.split(size), numbers.split(size), strict=True))


def logits_with_label_at(ranks: list[int], classes: int = 8) -> Tensor:
    """Logits whose label, class 0, comes at the given 0-based ranks."""
    logits = torch.arange(classes, 0, -1.0).repeat(len(ranks), 1)
    for row, rank in zip(logits, ranks, strict=True):
        row[[0, rank]] = row[[rank, 0]].clone()
    return logits


@pytest.mark.parametrize("size", [1, 3, 7])
def test_every_sample_counts_once_whatever_the_batch_size(size: int) -> None:
    model = Fixed(logits_with_label_at([0, 0, 1, 2, 3, 4, 5]))
    report = evaluate(model, loader(torch.zeros(7, dtype=torch.int64), size), CPU)
    assert report["top1"] == pytest.approx(2 / 7)
    assert report["top5"] == pytest.approx(6 / 7)
    assert report["mean_top135"] == pytest.approx((2 + 4 + 6) / 21)
    assert tuple(report) == METRICS


def test_ranks_are_capped_at_the_number_of_classes() -> None:
    model = Fixed(logits_with_label_at([0, 1], classes=2))
    report = evaluate(model, loader(torch.zeros(2, dtype=torch.int64), 2), CPU)
    assert (report["top1"], report["top5"]) == (0.5, 1.0)
    assert report["mean_top135"] == pytest.approx(2.5 / 3)


@pytest.mark.parametrize("classes", [1, 2, 4, 6, 40])
@pytest.mark.parametrize("heads", [1, 2])
def test_the_scales_say_what_guessing_scores(classes: int, heads: int) -> None:
    labels = torch.zeros(classes, dtype=torch.int64)
    every_rank_once = logits_with_label_at(list(range(classes)), classes)
    accuracies = evaluate(Fixed(*[every_rank_once] * heads), loader(labels, classes), CPU)
    undecided = Fixed(*[torch.zeros(classes, classes)] * heads)
    guessed = accuracies | {"loss": evaluate(undecided, loader(labels, classes), CPU)["loss"]}
    perfect = dict.fromkeys(METRICS, 1.0) | {"loss": 0.0}
    stated = scales(classes, heads)
    for name in METRICS:
        if name in stated:
            assert stated[name] == (pytest.approx(guessed[name]), perfect[name])
        else:
            assert guessed[name] == pytest.approx(perfect[name]), "guessing is right"


def test_prediction_is_the_mean_of_softmax_scores() -> None:
    first, second = torch.randn(4, 5), torch.randn(4, 5)
    expected = (first.softmax(1) + second.softmax(1)) / 2
    torch.testing.assert_close(scores((first, second)), expected)
    confident, doubtful = torch.tensor([[9.0, 0, 0]]), torch.tensor([[0.0, 1, 0]])
    report = evaluate(Fixed(confident, doubtful), loader(torch.tensor([0]), 1), CPU)
    assert report["top1"] == 1


def test_loss_is_summed_over_heads() -> None:
    one, labels = torch.randn(3, 4), torch.tensor([0, 1, 2])
    single = evaluate(Fixed(one), loader(labels, 2), CPU)["loss"]
    assert evaluate(Fixed(one, one), loader(labels, 2), CPU)["loss"] == pytest.approx(2 * single)


def test_a_network_that_says_nan_has_no_accuracy() -> None:
    model = Fixed(torch.full((2, 4), torch.nan))
    with pytest.raises(NotFiniteError):
        evaluate(model, loader(torch.tensor([0, 1]), 2), CPU)


def test_evaluation_switches_dropout_off() -> None:
    model = nn.Sequential(nn.Dropout(0.9), Fixed(torch.zeros(2, 4)))
    evaluate(model, loader(torch.tensor([0, 1]), 2), CPU)
    assert not model[0].training
