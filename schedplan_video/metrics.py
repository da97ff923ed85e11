"""What scores are worth: accuracies, exact over videos, and which classes are taken for which.

Where classes have equal scores, the one with the lower number comes first, in every metric.
"""

from __future__ import annotations

import math

import numpy as np

from schedplan.errors import NotFiniteError, UsageError
from schedplan_video.scores import Scores

ACCURACIES = ("top1", "top5", "mean_top135")
"""Keys of what `accuracies` returns."""

METRICS = (*ACCURACIES, "loss")
"""Keys of what `measure` returns."""

_RANKS = (1, 3, 5)


def scales(classes: int, heads: int) -> dict[str, tuple[float, float]]:
    """Return the score of guessing and the best one of each of `METRICS`.

    Args:
        classes: how many there are.
        heads: of the network, over which the loss is summed.

    Returns:
        Nothing about metrics that guessing gets right, such as top5 among 5 classes.

    Example:
        >>> scales(classes=10, heads=1)["top5"]
        (0.5, 1.0)
        >>> "top5" in scales(classes=5, heads=1)
        False
    """
    top1, top3, top5 = (min(rank / classes, 1.0) for rank in _RANKS)
    mean = (top1 + top3 + top5) / len(_RANKS)
    chance = {"top1": top1, "top5": top5, "mean_top135": mean, "loss": heads * math.log(classes)}
    perfect = {**dict.fromkeys(METRICS, 1.0), "loss": 0.0}
    return {
        name: (chance[name], perfect[name]) for name in METRICS if chance[name] != perfect[name]
    }


def check_finite(loss: float) -> None:
    """Raise `NotFiniteError` if `loss` is infinite or not a number."""
    if not math.isfinite(loss):
        raise NotFiniteError(f"the loss became {loss}")


def accuracies(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return how often labels are among the highest scores.

    Args:
        scores: (N, C), the higher the likelier.
        labels: integers (N,).

    Returns:
        top1, top5: share of videos whose label is among the 1 or 5 highest scores, in [0, 1]; with
        fewer than 5 classes, top5 is 1.
        mean_top135: mean of top-1, top-3 and top-5.

    Raises:
        UsageError: there is no video.

    Example:
        >>> accuracies(np.array([[0.1, 0.9], [0.4, 0.6]]), np.array([1, 0]))["top1"]
        0.5
    """
    if not len(labels):
        raise UsageError("there is no video to measure accuracy on")
    found = _best(scores, max(_RANKS)) == labels[:, None]
    top1, top3, top5 = (float(found[:, :rank].any(axis=1).mean()) for rank in _RANKS)
    return {"top1": top1, "top5": top5, "mean_top135": (top1 + top3 + top5) / len(_RANKS)}


def measure(found: Scores) -> dict[str, float]:
    """Return `accuracies`, and `loss`, the mean over videos as in training.

    Raises:
        UsageError: there is no video.
        NotFiniteError: the loss is infinite or not a number.
    """
    measured = {**accuracies(found.scores, found.labels), "loss": float(found.losses.mean())}
    check_finite(measured["loss"])
    return measured


def confusion(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many videos of each class were taken for which.

    Args:
        scores: (N, C), the higher the likelier.
        labels: integers (N,), below C.

    Returns:
        int64 (C, C), a row for each true class and a column for each predicted one.

    Example:
        >>> confusion(np.array([[0.1, 0.9], [0.4, 0.6]]), np.array([1, 0])).tolist()
        [[0, 1], [0, 1]]
    """
    classes = scores.shape[1]
    pairs = labels * classes + _best(scores, 1)[:, 0]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def class_accuracies(confused: np.ndarray) -> np.ndarray:
    """Return the top-1 accuracy of each class, float64 (C,); NaN where a class has no video.

    Args:
        confused: (C, C), from `confusion`.

    Example:
        >>> class_accuracies(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 2]])).tolist()
        [0.75, nan, 1.0]
    """
    videos = confused.sum(axis=1)
    return np.where(videos > 0, confused.diagonal() / np.maximum(videos, 1), np.nan)


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the classes with the `count` highest scores, the highest first, (N, count)."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]
