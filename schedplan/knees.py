"""When to stop training a state, and which epoch's model to hand on: the knee estimators.

An estimator is a frozen, stateless strategy. After every epoch it is called with all scores so far
and answers with a `Verdict`: stop or go on, and the epoch to hand on if training ended now. Limits
are added by wrapping: `AtMost(400, CurveFit())`. Source: "Optimization Planning for 3D ConvNets"
(ICML 2021), section 3.3.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schedplan.curves import MIN_POINTS, Curve, find_family, fit
from schedplan.errors import EstimatorError, did_you_mean

Array: TypeAlias = NDArray[np.float64]
Mode: TypeAlias = Literal["max", "min"]

_NO_SCORE: Final = "no finite score so far"
_TIE = 1e-9  # of the scores' range; fitted values as near as this are equal, whatever the unit


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

    def __call__(self, scores: ArrayLike, mode: Mode = "max") -> Verdict:
        """Judge a training by all its scores so far.

        Args:
            scores: shape (n,), n > 0: the score after epoch 0 (the model as handed over), 1, ....
                Scores that are not finite are never chosen.
            mode: "max" if higher scores are better, "min" if lower ones are.

        Raises:
            EstimatorError: there are no scores, they are not one-dimensional, or mode is unknown.
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
        if mode == "max":
            return self.decide(scores)
        verdict = self.decide(-scores)
        return replace(verdict, score=-verdict.score)

    @abstractmethod
    def decide(self, scores: Array) -> Verdict:
        """Judge `scores`, shape (n,), n > 0, of which higher ones are better."""

    @property
    def lookback(self) -> int:
        """How many epochs before the one chosen now may still be chosen later.

        Snapshots of older epochs need not be kept.
        """
        return 0


@dataclass(frozen=True)
class CurveFit(KneeEstimator):
    """Stop `delay` epochs after the peak of a concave curve fitted to the scores: the paper's rule.

    A curve is fitted after every epoch. t* is the observed epoch with a finite score at which it is
    highest, the earliest one where several are equal up to rounding. Training stops once the last
    epoch t > t* + delay, and the model of epoch t* is handed on. So a curve that only falls, or is
    flat, has its knee at epoch 0, and one that is still rising goes on: wrap it in `AtMost`.

    The score is the fitted value at t*, within the range of the observed scores. It says what the
    model of epoch t* is worth without that epoch's noise, so it ranks transitions better than the
    observed score.

    With fewer than 6 finite scores, training goes on and the best observed epoch is chosen. Where
    no curve can be fitted, the best observed epoch takes the place of t*.

    Args:
        family: the family of curves, by name, see `schedplan.curves.FAMILIES`.
        delay: how many epochs to wait after t*, at least 0; T in the paper, which uses 10.

    Raises:
        EstimatorError: no such family, or a delay out of bounds.

    Example:
        >>> t = np.arange(31)
        >>> scores = 0.9 - 0.5 * np.exp(-0.2 * t) - 1e-4 * t**2  # highest at t = 16.93
        >>> verdict = CurveFit(delay=10)(scores[:29])
        >>> verdict.stop, verdict.epoch, round(verdict.score, 4)
        (True, 17, 0.8544)
        >>> CurveFit(delay=10)(scores[:28]).stop
        False
    """

    family: str = "exponential"
    delay: int = 10

    def __post_init__(self) -> None:
        find_family(self.family)
        _require_whole("delay", self.delay, at_least=0)

    @property
    def lookback(self) -> int:
        """The delay.

        It is a rule of thumb: a later fit may leap back by more. As the fit is concave, the oldest
        epoch kept is then the nearest in score to the one chosen.
        """
        return self.delay

    def decide(self, scores: Array) -> Verdict:
        epochs = np.flatnonzero(np.isfinite(scores))
        best = _best_epoch(scores)
        if len(epochs) < MIN_POINTS:
            few = f"fewer than {MIN_POINTS} finite scores so far"
            return Verdict(False, best, _score(scores, best), few if len(epochs) else _NO_SCORE)
        curve = fit(find_family(self.family), scores)
        if curve is None:
            observed = f"best score observed, as no {self.family} curve fits,"
            return self._stop_if_old(scores, Verdict(False, best, float(scores[best]), observed))
        lowest, highest = float(scores[epochs].min()), float(scores[best])
        fitted = curve.value(epochs)
        knee = int(np.argmax(fitted >= fitted.max() - _TIE * (highest - lowest)))
        score = min(max(float(fitted[knee]), lowest), highest)
        peak = f"peak of the {self.family} fit"
        return self._stop_if_old(scores, Verdict(False, int(epochs[knee]), score, peak, curve))

    def _stop_if_old(self, scores: Array, verdict: Verdict) -> Verdict:
        """Stop if the verdict's epoch is older than the delay."""
        age = len(scores) - 1 - verdict.epoch
        return replace(
            verdict,
            stop=age > self.delay,
            reason=f"{verdict.reason} at epoch {verdict.epoch}, {age} epochs ago",
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
        _require_whole("epochs", self.epochs, at_least=1)
        if not (isinstance(self.min_delta, Real) and 0 <= self.min_delta < math.inf):
            raise EstimatorError(
                f"min_delta is {self.min_delta!r}",
                allowed="finite numbers of at least 0",
                path=("min_delta",),
            )

    def decide(self, scores: Array) -> Verdict:
        best = _best_epoch(scores)
        age = len(scores) - 1 - self._last_improvement(scores)
        reason = f"no better score for {age} epochs"
        if not np.isfinite(scores[best]):
            reason = _NO_SCORE
        return Verdict(age >= self.epochs, best, _score(scores, best), reason)

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
        _require_whole("epochs", self.epochs, at_least=0)

    def decide(self, scores: Array) -> Verdict:
        last = min(len(scores) - 1, self.epochs)
        finite = np.flatnonzero(np.isfinite(scores[: last + 1]))
        chosen = int(finite[-1]) if len(finite) else 0
        reason = f"epoch {last} of {self.epochs}"
        if not len(finite):
            reason = f"{reason}, {_NO_SCORE}"
        elif chosen < last:
            reason = f"{reason}, the last with a finite score being {chosen}"
        return Verdict(last == self.epochs, chosen, _score(scores, chosen), reason)


@dataclass(frozen=True)
class AtMost(KneeEstimator):
    """Stop at epoch `epochs` whatever `estimator` says; epoch and score are chosen by it.

    Args:
        epochs: the last epoch to train, at least 1.
        estimator: what decides until then.

    Raises:
        EstimatorError: an argument out of bounds.

    Example:
        >>> AtMost(2, Patience(10))([0.1, 0.4, 0.5]).reason
        'cap of 2 epochs reached; no better score for 0 epochs'
    """

    epochs: int
    estimator: KneeEstimator

    def __post_init__(self) -> None:
        _require_whole("epochs", self.epochs, at_least=1)

    @property
    def lookback(self) -> int:
        """That of the wrapped estimator."""
        return self.estimator.lookback

    def decide(self, scores: Array) -> Verdict:
        verdict = self.estimator.decide(scores)
        if verdict.stop or len(scores) - 1 < self.epochs:
            return verdict
        reason = f"cap of {self.epochs} epochs reached; {verdict.reason}"
        return replace(verdict, stop=True, reason=reason)


def _best_epoch(scores: Array) -> int:
    """Return the earliest epoch with the highest finite score, 0 if none is finite."""
    return int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))


def _score(scores: Array, epoch: int) -> float:
    """Return the observed score of `epoch`, NaN if it is not finite."""
    return float(scores[epoch]) if np.isfinite(scores[epoch]) else math.nan


def _require_whole(name: str, value: object, at_least: int) -> None:
    if not isinstance(value, Integral) or value < at_least:
        raise EstimatorError(
            f"{name} is {value!r}", allowed=f"whole numbers of at least {at_least}", path=(name,)
        )
