"""Accuracies, confusion and classes, against numbers counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from schedplan.errors import UsageError
from schedplan_video.metrics import (
    METRICS,
    accuracies,
    class_accuracies,
    confusion,
    measure,
    scales,
)
from schedplan_video.scores import Scores


def scores_with_label_at(ranks: list[int], classes: int = 8) -> np.ndarray:
    """Scores whose label, class 0, comes at the given 0-based ranks."""
    scores = np.tile(np.arange(classes, 0, -1.0), (len(ranks), 1))
    for row, rank in zip(scores, ranks, strict=True):
        row[[0, rank]] = row[[rank, 0]]
    return scores


def test_accuracies_are_shares_of_the_videos() -> None:
    scores = scores_with_label_at([0, 0, 1, 2, 3, 4, 5])
    found = accuracies(scores, np.zeros(7, dtype=int))
    assert found["top1"] == pytest.approx(2 / 7)
    assert found["top5"] == pytest.approx(6 / 7)
    assert found["mean_top135"] == pytest.approx((2 + 4 + 6) / 21)


def test_ranks_are_capped_at_the_number_of_classes() -> None:
    found = accuracies(scores_with_label_at([0, 1], classes=2), np.zeros(2, dtype=int))
    assert (found["top1"], found["top5"]) == (0.5, 1.0)
    assert found["mean_top135"] == pytest.approx(2.5 / 3)


def test_of_equal_scores_the_lower_class_comes_first() -> None:
    equal, labels = np.ones((8, 8)), np.arange(8)
    assert accuracies(equal, labels)["top5"] == 5 / 8
    assert confusion(equal, labels)[:, 0].tolist() == [1] * 8


def test_the_loss_is_the_mean_over_videos() -> None:
    rows = np.arange(3)
    found = Scores(rows, rows, rows + 1, np.eye(3), np.array([0.5, 1.0, 3.0]))
    assert measure(found) == {"top1": 1.0, "top5": 1.0, "mean_top135": 1.0, "loss": 1.5}
    assert tuple(measure(found)) == METRICS


def test_no_video_has_no_accuracy() -> None:
    with pytest.raises(UsageError, match="no video"):
        accuracies(np.zeros((0, 4)), np.zeros(0, dtype=int))


def test_confusion_counts_true_classes_by_predicted_ones() -> None:
    labels = np.array([0, 0, 0, 1, 1, 3])
    predicted = np.array([0, 0, 2, 1, 0, 3])
    confused = confusion(np.eye(4)[predicted], labels)
    assert confused.tolist() == [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    by_class = class_accuracies(confused)
    assert by_class[[0, 1, 3]].tolist() == [2 / 3, 1 / 2, 1]
    assert math.isnan(by_class[2])
    top1 = accuracies(np.eye(4)[predicted], labels)["top1"]
    assert confused.trace() / confused.sum() == top1 == 4 / 6


@pytest.mark.parametrize("classes", [1, 2, 4, 6, 40])
@pytest.mark.parametrize("heads", [1, 2])
def test_the_scales_say_what_guessing_scores(classes: int, heads: int) -> None:
    every_rank_once = scores_with_label_at(list(range(classes)), classes)
    guessed = accuracies(every_rank_once, np.zeros(classes, dtype=int))
    guessed["loss"] = heads * -math.log(1 / classes)
    perfect = dict.fromkeys(METRICS, 1.0) | {"loss": 0.0}
    stated = scales(classes, heads)
    for name in METRICS:
        if name in stated:
            assert stated[name] == (pytest.approx(guessed[name]), perfect[name])
        else:
            assert guessed[name] == pytest.approx(perfect[name]), "guessing is right"
