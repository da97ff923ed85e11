"""The knee as the peak of a concave curve fitted to the scores."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from schedplan.curves import MIN_POINTS, Curve, Solver, check_solver, find_family, fit
from schedplan.knees.base import (
    NO_SCORE,
    Array,
    KneeEstimator,
    Scale,
    Verdict,
    best_epoch,
    require_choice,
    require_number,
    require_whole,
    score_at,
)

Choice: TypeAlias = Literal["blend", "fit", "observed"]
Worth: TypeAlias = Literal["fit", "observed"]

_LEAP = 20  # see CurveFit.lookback
_ROUNDING = 1e-9  # so that 0.2 times 15 is 3 epochs
_TIE = 1e-9  # of the scores' range; values as near as this are equal, whatever the unit


@dataclass(frozen=True)
class CurveFit(KneeEstimator):
    """Stop some epochs after the peak of a concave curve fitted to the scores.

    A curve f is fitted after every epoch. t* is the observed epoch with a finite score at which it
    is highest, the earliest one where several are equal up to rounding. Training stops once the
    last epoch t > t* + delay + growth t*: the later a peak, the less surely it is the last one. So
    a curve that only falls, or is flat, has its knee at epoch 0, and one that is still rising goes
    on: wrap it in `AtMost`.

    A training that has learned next to nothing goes on, too: some are flat for tens of epochs and
    rise later. Where the trainer states a scale, that is as long as f has its peak within `margin`
    of the way from chance to perfect; single scores get above that by chance.

    With fewer than 6 finite scores, training goes on and the best observed epoch is chosen. Where
    no curve can be fitted, the best observed epoch takes the place of t*.

    Args:
        family: the family of curves, by name, see `schedplan.curves.FAMILIES`.
        delay: how many epochs to wait after t* at least, from 0; T in the paper, which uses 10.
        growth: how many more to wait for every epoch of t*, from 0, as in the paper, to 1; the
            product is rounded down. On real trainings no fixed delay lost as little at as few
            epochs as 5 and 0.2.
        solver: how the curve is fitted, see `schedplan.curves.fit`.
        choice: which observed epoch's model to hand on. "fit": that of t*. "observed": that with
            the best score y. "blend": that with the highest f + (y - f) / 2, because a residual is
            partly noise and partly how good the model is.
        score: what that model is worth. "fit": the highest f over the observed epochs, but no more
            than the best score: collapses early in a training bend curves above all that was
            measured. It ranks transitions better under noise than the best score, which is biased
            upwards. "observed": its own score.
        margin: from 0, never, to 1, see above; without a scale it has no effect.

    Raises:
        EstimatorError: an argument out of bounds.

    Example:
        >>> t = np.arange(31)
        >>> scores = 0.9 - 0.5 * np.exp(-0.2 * t) - 1e-4 * t**2  # highest at t = 16.93
        >>> verdict = CurveFit(delay=10, growth=0)(scores[:29])
        >>> verdict.stop, verdict.epoch, round(verdict.score, 4)
        (True, 17, 0.8544)
        >>> CurveFit(delay=10, growth=0)(scores[:28]).stop
        False
        >>> flat = np.full(30, 0.1)
        >>> CurveFit()(flat).stop, CurveFit()(flat, scale=Scale(chance=0.1, perfect=1.0)).stop
        (True, False)
    """

    family: str = "exponential"
    delay: int = 5
    growth: float = 0.2
    solver: Solver = "varpro"
    choice: Choice = "blend"
    score: Worth = "fit"
    margin: float = 0.1

    def __post_init__(self) -> None:
        find_family(self.family)
        require_whole("delay", self.delay, at_least=0)
        require_number("growth", self.growth, 0, 1)
        check_solver(self.solver)
        require_choice("choice", self.choice, get_args(Choice))
        require_choice("score", self.score, get_args(Worth))
        require_number("margin", self.margin, 0, 1)

    @property
    def lookback(self) -> int:
        """None where the best score chooses, else 20, or the delay if that is longer.

        The latter is a rule of thumb: a later fit leapt back by more in 1 of 144 real trainings. As
        the fit is concave, the oldest epoch kept is then the nearest in score to the one chosen.
        """
        return 0 if self.choice == "observed" else max(self.delay, _LEAP)

    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        epochs = np.flatnonzero(np.isfinite(scores))
        best = best_epoch(scores)
        if len(epochs) < MIN_POINTS:
            few = f"fewer than {MIN_POINTS} finite scores so far" if len(epochs) else NO_SCORE
            return Verdict(False, best, score_at(scores, best), few)
        curve = fit(find_family(self.family), scores, self.solver)
        if curve is None:
            about = f"best score observed, as no {self.family} curve fits,"
            verdict = Verdict(False, best, float(scores[best]), about)
            return self._stopped_if_old(verdict, scores, best, float(scores[best]), scale)
        return self._by_curve(curve, scores, epochs, scale)

    def _by_curve(
        self, curve: Curve, scores: Array, epochs: NDArray[np.intp], scale: Scale | None
    ) -> Verdict:
        observed, fitted = scores[epochs], curve.value(epochs)
        tie = _TIE * float(observed.max() - observed.min())
        knee = _earliest(fitted, tie)
        chosen = {
            "fit": knee,
            "observed": int(np.argmax(observed)),
            "blend": _earliest(fitted / 2 + observed / 2, tie),
        }[self.choice]
        worth = float(observed[chosen])
        if self.score == "fit":
            worth = min(float(fitted.max()), float(observed.max()))
        about = f"peak of the {self.family} fit"
        verdict = Verdict(False, int(epochs[chosen]), worth, about, curve)
        return self._stopped_if_old(verdict, scores, int(epochs[knee]), float(fitted.max()), scale)

    def _stopped_if_old(
        self, verdict: Verdict, scores: Array, knee: int, level: float, scale: Scale | None
    ) -> Verdict:
        """Return the verdict, stopping if `knee` is old, unless `level` is that of chance."""
        age = len(scores) - 1 - knee
        reason = f"{verdict.reason} at epoch {knee}, {age} epochs ago"
        old = age > self.delay + math.floor(self.growth * knee + _ROUNDING)
        if old and scale is not None and scale.progress(level) < self.margin:
            return replace(verdict, reason=f"{reason}, but hardly better than chance yet")
        return replace(verdict, stop=old, reason=reason)


def _earliest(values: Array, tie: float) -> int:
    """Return the first position whose value is within `tie` of the highest."""
    return int(np.argmax(values >= values.max() - tie))
