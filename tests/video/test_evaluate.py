"""What a network says about batches: over heads and views, in any batches, finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from schedplan.errors import NotFiniteError
from schedplan_video.evaluate import score, scores
from schedplan_video.metrics import measure

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


def loader(
    labels: Tensor, size: int, rows: Tensor | None = None
) -> list[tuple[Tensor, Tensor, Tensor]]:
    clips = torch.zeros(len(labels), 4, 3, 2, 2, dtype=torch.uint8)
    rows = torch.arange(len(labels)) if rows is None else rows
    return list(zip(clips.split(size), labels.split(size), rows.split(size), strict=True))


def evaluate(model: nn.Module, batches: list[tuple[Tensor, Tensor, Tensor]]) -> dict[str, float]:
    return measure(score(model, batches, CPU))


@pytest.mark.parametrize("size", [1, 3, 7])
def test_every_video_counts_once_whatever_the_batch_size(size: int) -> None:
    logits, labels = torch.randn(7, 4), torch.randint(4, (7,))
    whole = score(Fixed(logits), loader(labels, 7), CPU)
    found = score(Fixed(logits), loader(labels, size), CPU)
    assert found.rows.tolist() == list(range(7))
    assert np.array_equal(found.scores, whole.scores)
    assert np.array_equal(found.losses, whole.losses)
    assert np.array_equal(found.labels, labels)


@pytest.mark.parametrize("size", [1, 4, 5, 6, 9])
def test_the_scores_of_a_video_are_the_mean_over_its_views_and_heads(size: int) -> None:
    views, labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2]), torch.tensor([3, 1, 0])
    heads = torch.randn(2, 9, 4)
    found = score(Fixed(*heads), loader(labels[views], size, views), CPU)
    assert (found.rows.tolist(), found.views.tolist()) == ([0, 1, 2], [3, 2, 4])
    assert found.labels.tolist() == labels.tolist()
    for row, ours in enumerate([slice(0, 3), slice(3, 5), slice(5, 9)]):
        mean = heads[:, ours].softmax(dim=2).mean(dim=(0, 1))
        loss = -heads[:, ours].log_softmax(dim=2)[:, :, labels[row]].sum(dim=0).mean()
        np.testing.assert_allclose(found.scores[row], mean, rtol=1e-6)
        assert found.losses[row] == pytest.approx(loss.item(), rel=1e-6)


def test_no_batch_is_no_score() -> None:
    found = score(Fixed(), [], CPU)
    assert len(found.rows) == len(found.scores) == 0


def test_prediction_is_the_mean_of_softmax_scores() -> None:
    first, second = torch.randn(4, 5), torch.randn(4, 5)
    expected = (first.softmax(1) + second.softmax(1)) / 2
    torch.testing.assert_close(scores((first, second)), expected)
    confident, doubtful = torch.tensor([[9.0, 0, 0]]), torch.tensor([[0.0, 1, 0]])
    report = evaluate(Fixed(confident, doubtful), loader(torch.tensor([0]), 1))
    assert report["top1"] == 1


def test_loss_is_summed_over_heads() -> None:
    one, labels = torch.randn(3, 4), torch.tensor([0, 1, 2])
    single = evaluate(Fixed(one), loader(labels, 2))["loss"]
    assert evaluate(Fixed(one, one), loader(labels, 2))["loss"] == pytest.approx(2 * single)


def test_a_network_that_says_nan_has_no_accuracy() -> None:
    model = Fixed(torch.full((2, 4), torch.nan))
    with pytest.raises(NotFiniteError):
        evaluate(model, loader(torch.tensor([0, 1]), 2))


def test_evaluation_switches_dropout_off() -> None:
    model = nn.Sequential(nn.Dropout(0.9), Fixed(torch.zeros(2, 4)))
    evaluate(model, loader(torch.tensor([0, 1]), 2))
    assert not model[0].training
