"""What a network says about videos, apart from what that is worth.

Scores are known by the row of their video, so those of micro-batches, of parts of a video's views
or of several processes can be put together exactly: no video counts twice and none is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of N videos for C classes.

    Attributes:
        rows: int64 (N,), of the videos in their split; rising, none twice, once merged.
        labels: int64 (N,).
        views: int64 (N,), how many views of the video the others are means over.
        scores: float64 (N, C), softmax scores; each row sums to 1.
        losses: float64 (N,), cross-entropies as in training, summed over the network's heads.
    """

    rows: np.ndarray
    labels: np.ndarray
    views: np.ndarray
    scores: np.ndarray
    losses: np.ndarray

    def check_complete(self, videos: int, views: int) -> None:
        """Raise `RuntimeError` unless all rows below `videos` are there, with `views` views each,
        and no other."""
        found = np.bincount(self.rows, self.views, minlength=videos)
        wrong = found != np.where(np.arange(len(found)) < videos, views, 0)
        if wrong.any():
            rows = ", ".join(map(str, np.flatnonzero(wrong)[:5]))
            raise RuntimeError(f"not scored from {views} views each: {wrong.sum()} rows ({rows})")


def merge(parts: Iterable[Scores]) -> Scores:
    """Put together what was scored apart; every view of a video counts alike.

    Args:
        parts: of one network and one set of videos, in any order; some or all may be empty, such
            as the share of a process for which no video was left.

    Example:
        >>> one, both, once = np.array([1]), np.array([0, 1]), np.array([1, 1])
        >>> part = Scores(one, one, 3 * one, np.array([[0.5, 0.5]]), np.array([2.0]))
        >>> other = Scores(both, both, once, np.array([[1, 0], [0.1, 0.9]]), np.array([0, 2.0]))
        >>> merge([part, other]).scores.tolist()
        [[1.0, 0.0], [0.4, 0.6]]
    """
    filled = [part for part in parts if len(part.rows)]
    if not filled:
        none = np.zeros(0, dtype=np.int64)
        return Scores(none, none, none, np.zeros((0, 0)), np.zeros(0))
    rows, first, place = np.unique(
        np.concatenate([part.rows for part in filled]), return_index=True, return_inverse=True
    )
    weights = np.concatenate([part.views for part in filled])
    views = np.zeros(len(rows), dtype=np.int64)
    np.add.at(views, place, weights)

    def mean(values: list[np.ndarray]) -> np.ndarray:
        weighted = (np.concatenate(values).T * weights).T
        sums = np.zeros((len(rows), *weighted.shape[1:]))
        np.add.at(sums, place, weighted)
        return (sums.T / views).T

    return Scores(
        rows=rows,
        labels=np.concatenate([part.labels for part in filled])[first],
        views=views,
        scores=mean([part.scores for part in filled]),
        losses=mean([part.losses for part in filled]),
    )
