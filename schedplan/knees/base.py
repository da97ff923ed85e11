"""What every knee estimator is: its contract, what it answers, and what it may be told."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schedplan import checks
from schedplan.curves import Curve
from schedplan.errors import EstimatorError, did_you_mean

Array: TypeAlias = NDArray[np.float64]
Mode: TypeAlias = Literal["max", "min"]

NO_SCORE: Final = "no finite score so far"

require_whole = partial(checks.require_whole, error=EstimatorError)
require_number = partial(checks.require_number, error=EstimatorError)
require_choice = partial(checks.require_choice, error=EstimatorError)


@dataclass(frozen=True)
class Scale:
    """What the scores of a metric mean: how good guessing is, and how good it gets at best.

    Args:
        chance: the score of guessing, 1 / K for the accuracy over K classes, log K for its loss.
        perfect: the best score there is, 1 for an accuracy, 0 for a loss.

    Raises:
        EstimatorError: a number that is not finite, or both are equal.

    Example:
        >>> Scale(chance=0.0, perfect=1.0).progress(0.5)
        0.5
    """

    chance: float
    perfect: float

    def __post_init__(self) -> None:
        for name, value in (("chance", self.chance), ("perfect", self.perfect)):
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise EstimatorError(f"{name} is {value!r}", allowed="finite numbers")
            object.__setattr__(self, name, float(value))
        if self.chance == self.perfect:
            raise EstimatorError(
                f"chance and perfect are both {self.chance}", allowed="two different scores"
            )

    def progress(self, score: float) -> float:
        """Return how far `score` has come from chance, 0, to perfect, 1."""
        return (score - self.chance) / (self.perfect - self.chance)


@dataclass(frozen=True)
class Verdict:
    """What an estimator says after the last epoch.

    Args:
        stop: whether to stop training now.
        epoch: the epoch whose model to hand on: an observed one with a finite score, or 0 if no
            score is finite.
        score: what that model is worth, in the unit and sign of the scores; NaN if no score is
            finite.
        reason: why, for people.
        curve: the fit behind it, if any, for plots. It is a fit of maximised scores: with mode
            "min", of the negated ones.
    """

    stop: bool
    epoch: int
    score: float
    reason: str
    curve: Curve | None = None

    def __post_init__(self) -> None:
        # Estimators of others may hand over numpy's numbers, which cannot be written down as YAML.
        object.__setattr__(self, "stop", bool(self.stop))
        object.__setattr__(self, "epoch", int(self.epoch))
        object.__setattr__(self, "score", float(self.score))


class KneeEstimator(ABC):
    """A strategy that finds the knee of a performance-epoch curve.

    Subclasses are frozen dataclasses and implement `decide`.
    """

    def __call__(
        self, scores: ArrayLike, mode: Mode = "max", scale: Scale | None = None
    ) -> Verdict:
        """Judge a training by all its scores so far.

        Args:
            scores: shape (n,), n > 0: the score after epoch 0 (the model as handed over), 1, ....
                Scores that are not finite are never chosen.
            mode: "max" if higher scores are better, "min" if lower ones are.
            scale: what the scores mean, where the trainer states it.

        Raises:
            EstimatorError: there are no scores, they are not one-dimensional, mode is unknown, or
                the scale's best score is worse than guessing.
        """
        if mode not in get_args(Mode):
            raise EstimatorError(
                f"mode is {mode!r}",
                allowed=get_args(Mode),
                hint=did_you_mean(mode, get_args(Mode)),
            )
        scores = np.asarray(scores, dtype=np.float64)
        if scores.ndim != 1 or not scores.size:
            raise EstimatorError(
                f"scores have the shape {scores.shape}", allowed="(n,) with n of at least 1"
            )
        if scale is not None and (scale.perfect > scale.chance) != (mode == "max"):
            raise EstimatorError(
                f"a perfect score of {scale.perfect} is worse than {scale.chance}, that of "
                f"guessing, where mode is {mode!r}",
                hint="see the trainer's `scales` and the configuration's `mode`",
            )
        if mode == "max":
            return self.decide(scores, scale)
        verdict = self.decide(-scores, scale and Scale(-scale.chance, -scale.perfect))
        return replace(verdict, score=-verdict.score)

    @abstractmethod
    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        """Judge `scores`, shape (n,), n > 0, of which higher ones are better.

        Args:
            scores: as in a call, negated where lower ones are better.
            scale: as in a call, likewise.
        """

    @property
    def lookback(self) -> int:
        """How many epochs before the one chosen now may still be chosen later.

        Snapshots of older epochs need not be kept.
        """
        return 0


def best_epoch(scores: Array) -> int:
    """Return the earliest epoch with the highest finite score, 0 if none is finite."""
    return int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))


def score_at(scores: Array, epoch: int) -> float:
    """Return the observed score of `epoch`, NaN if it is not finite."""
    return float(scores[epoch]) if np.isfinite(scores[epoch]) else math.nan
