"""Stopping without a curve: patience, and a number of epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from schedplan.knees.base import (
    NO_SCORE,
    Array,
    KneeEstimator,
    Scale,
    Verdict,
    best_epoch,
    require_number,
    require_whole,
    score_at,
)


@dataclass(frozen=True)
class Patience(KneeEstimator):
    """Stop once the best score is `epochs` epochs old; choose the best epoch observed.

    Args:
        epochs: how many epochs to wait for a better score, at least 1.
        min_delta: a score is better if it exceeds the best by more than this, at least 0.

    Raises:
        EstimatorError: an argument out of bounds.

    Example:
        >>> Patience(epochs=2)([0.1, 0.5, 0.4, 0.4])
        Verdict(stop=True, epoch=1, score=0.5, reason='no better score for 2 epochs', curve=None)
    """

    epochs: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        require_whole("epochs", self.epochs, at_least=1)
        require_number("min_delta", self.min_delta, 0)

    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        best = best_epoch(scores)
        age = len(scores) - 1 - self._last_improvement(scores)
        reason = f"no better score for {age} epochs"
        if not np.isfinite(scores[best]):
            reason = NO_SCORE
        return Verdict(age >= self.epochs, best, score_at(scores, best), reason)

    def _last_improvement(self, scores: Array) -> int:
        """Return the last epoch that was better than all before, 0 if no score is finite."""
        best, last = -math.inf, 0
        for epoch in np.flatnonzero(np.isfinite(scores)).tolist():
            if scores[epoch] > best + self.min_delta:
                best, last = float(scores[epoch]), epoch
        return last


@dataclass(frozen=True)
class FixedEpochs(KneeEstimator):
    """Stop at epoch `epochs` and choose it, or the last one before it that has a finite score.

    Args:
        epochs: how many epochs to train, at least 0.

    Raises:
        EstimatorError: an argument out of bounds.

    Example:
        >>> FixedEpochs(2)([0.1, 0.5, 0.4])
        Verdict(stop=True, epoch=2, score=0.4, reason='epoch 2 of 2', curve=None)
    """

    epochs: int

    def __post_init__(self) -> None:
        require_whole("epochs", self.epochs, at_least=0)

    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        last = min(len(scores) - 1, self.epochs)
        finite = np.flatnonzero(np.isfinite(scores[: last + 1]))
        chosen = int(finite[-1]) if len(finite) else 0
        reason = f"epoch {last} of {self.epochs}"
        if not len(finite):
            reason = f"{reason}, {NO_SCORE}"
        elif chosen < last:
            reason = f"{reason}, the last with a finite score being {chosen}"
        return Verdict(last == self.epochs, chosen, score_at(scores, chosen), reason)
