"""What can no longer win: rules that give up a transition, or a part of the graph, before its end.

Rules are frozen strategies over curves, without any input or output. `Race` drops rivals among the
transitions into one state; `Cut` drops a part of the graph that shares no state with the part in
the lead. Scores are such that higher is better, in the unit of the metric; every margin is a
multiple of what was measured, so the unit does not matter.

What is given up is given up for good reasons only with some probability: both rules extrapolate.
A drop never changes a transition that survives, so a search without a wrong drop finds exactly what
the exhaustive search finds; with infinite margins nothing is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from schedplan.checks import require_number, require_whole
from schedplan.curves import find_family, fit

Array: TypeAlias = NDArray[np.float64]

_BENDS = 6.0  # the variance of a second difference of independent errors of variance 1
_BENT = 6  # scores that a curve must have to tell the noise
_LEVEL_WINDOW = 12  # epochs that tell the present level
_LEAST_AHEAD = 5  # epochs that a forecast always looks ahead
_BEGUN = 5  # standard deviations of the noise by which a model has to rise before it is judged
_MOVES = 3  # the latest moves of a difference tell most: they settle as rates fall


@dataclass(frozen=True)
class Drop:
    """A decision to give something up.

    Attributes:
        rule: which rule decided.
        evidence: why, in words and numbers.
    """

    rule: str
    evidence: str


def measurement_noise(curves: Sequence[Array]) -> float:
    """Return the standard deviation of one measurement under the settings of `curves`.

    It comes from second differences, which a slow bend hardly touches. The first epoch, where
    curves bend most, is left out. inf, which drops nothing, if the curves are too short.
    """
    bends = [np.diff(curve[1:], 2) for curve in curves if len(curve) >= _BENT]
    if not bends:
        return math.inf
    together = np.concatenate(bends)
    return math.sqrt(float(together @ together) / len(together) / _BENDS)


@dataclass(frozen=True)
class Race:
    """Drop a rival once an optimistic forecast of it stays below what has been reached.

    All transitions into one state train under the same settings, so their curves are compared
    epoch by epoch. With f the curve fitted to a leader that has ended and y the rival's scores,
    the lag f - y is followed by a straight line over the last `window` epochs. The forecast is
    what f reaches from here on, less the lag continued: by the line where it shrinks, as it is
    where it grows. It looks as far as the leader's best, and at least `ahead` times the epochs
    that the rival was trained. What the rival has reached already counts too. It is dropped if the
    forecast and `z` of its standard errors stay below the score to beat.

    Models that differ in what they have learned converge under the same settings: a lag that dies
    away like a mixture of exponentials is convex, and a line fitted to it lies below its end and
    is steeper, so the forecast errs on the safe side. That it looks ahead only so far, and that
    repeated looks add up, is what makes it a heuristic.

    Args:
        z: how many standard errors; inf never drops.
        first: every rival is trained that far before the first look.
        first_from_scratch: the same for a new model, whose first epochs mislead; counted from
            where its scores have risen above where they began.
        window: the most epochs that the line follows, at least 3.
        ahead: how far to look ahead, in multiples of the epochs trained.
        ahead_from_scratch: the least epochs to look ahead for a new model.

    Raises:
        ConfigError: an argument out of bounds.
    """

    z: float = 1.5
    first: int = 6
    first_from_scratch: int = 20
    window: int = 15
    ahead: float = 0.25
    ahead_from_scratch: int = 50

    def __post_init__(self) -> None:
        require_number("z", self.z, 0)
        require_whole("first", self.first, at_least=1)
        require_whole("first_from_scratch", self.first_from_scratch, at_least=1)
        require_whole("window", self.window, at_least=3)
        require_number("ahead", self.ahead, 0)
        require_whole("ahead_from_scratch", self.ahead_from_scratch, at_least=0)

    def warm_up(self, from_scratch: bool) -> int:
        """Return how many epochs a rival is trained before it is looked at."""
        return self.first_from_scratch if from_scratch else self.first

    def promise(self, scores: Array) -> float:
        """Return the present level of a curve: the most promising rival is trained first."""
        recent = scores[-_LEVEL_WINDOW:]
        if len(recent) < 2:
            return float(recent[-1])
        t = np.arange(len(recent)) - (len(recent) - 1) / 2
        return float(recent.mean() + t[-1] * (t @ recent) / (t @ t))

    def expected(self, leader: Array) -> Array:
        """Return the curve fitted to a leader's scores, at their epochs; they if none fits."""
        curve = fit(find_family("exponential"), leader)
        return leader if curve is None else np.asarray(curve.value(np.arange(len(leader))))

    def drop(
        self, rival: Array, expected: Array, bar: float, noise: float, from_scratch: bool = False
    ) -> Drop | None:
        """Return why to give up a rival, or None to train it on.

        Args:
            rival: its scores so far, shape (epochs + 1,).
            expected: see `expected`; of a transition into the same state that has ended.
            bar: what the rival has to reach.
            noise: of one measurement, see `measurement_noise`.
            from_scratch: whether the rival is a new model.
        """
        if not math.isfinite(self.z * noise):
            return None
        curve = _begun(rival, noise) if from_scratch else rival
        if len(curve) <= max(2, self.warm_up(from_scratch)):
            return None
        best = self._forecast(curve, expected, noise, from_scratch)
        if best < bar:  # what it has reached already is only asked for where it matters
            best = max(best, float(self.expected(rival).max()))
        if best >= bar:
            return None
        evidence = f"at most {best:.6g} expected after {len(rival) - 1} epochs, below {bar:.6g}"
        return Drop("race", evidence)

    def _forecast(self, rival: Array, expected: Array, noise: float, from_scratch: bool) -> float:
        """Return the highest value that the rival may yet take."""
        epoch, knee = len(rival) - 1, int(np.argmax(expected))
        epochs = np.arange(len(rival))
        lag = (expected[np.minimum(epochs, len(expected) - 1)] - rival)[-self.window :]
        t = np.arange(len(lag)) - (len(lag) - 1) / 2
        spread = float(t @ t)
        slope = float(t @ lag) / spread
        least = self.ahead_from_scratch if from_scratch else _LEAST_AHEAD
        ahead = np.arange(max(knee - epoch, least, math.ceil(self.ahead * epoch)) + 1)
        error = noise * np.sqrt(1 / len(lag) + (ahead + t[-1]) ** 2 / spread)
        behind = lag.mean() + t[-1] * slope + ahead * min(slope, 0.0)
        leading = expected[np.minimum(epoch + ahead, max(knee, min(epoch, len(expected) - 1)))]
        return float((leading - behind + self.z * error).max())


def _begun(scores: Array, noise: float) -> Array:
    """Return the curve of a new model from where it has begun to learn for good.

    Before, it is flat, which says nothing about how it will learn.
    """
    idle = np.flatnonzero(scores <= scores[0] + _BEGUN * noise)
    return scores[idle[-1] :]


@dataclass(frozen=True)
class Cut:
    """Drop a part of the graph that trails by more than differences between the parts move.

    Parts share no state, as those of a fixed axis. Their corresponding states are settled side by
    side. A part is dropped if at each of the last `states` pairs it has trailed, and at the last
    one by more than `z` times the root mean square of how much the difference has moved from pair
    to pair lately, or `z` times the noise of a measurement if that is more: what moved less was
    luck. So a difference that is large and steady cuts early, one that swings does not. It is a
    heuristic: what has moved little may move yet.

    Args:
        z: the margin, in multiples of the typical move; inf never cuts.
        states: how many pairs must agree, at least 2.

    Raises:
        ConfigError: an argument out of bounds.

    Example:
        >>> rule = Cut(z=3, states=2)
        >>> rule.losers([{0: 50.0, 1: 52.0}, {0: 60.0, 1: 62.5}], {0, 1})[0].evidence
        'trails by 2.5 at the last state, by 2 at the least; moves of 0.5 are typical'
        >>> rule.losers([{0: 50.0, 1: 52.0}, {0: 60.0, 1: 60.5}], {0, 1})
        {}
    """

    z: float = 2.5
    states: int = 3

    def __post_init__(self) -> None:
        require_number("z", self.z, 0)
        require_whole("states", self.states, at_least=2)

    def losers(
        self, history: Sequence[Mapping[int, float]], alive: set[int], noise: float = 0.0
    ) -> dict[int, Drop]:
        """Return the parts to drop, each with the reason.

        Args:
            history: the score of every part at every group of corresponding states settled so
                far, in their order; parts without one there are left out.
            alive: the parts still in the search.
            noise: of one measurement at the last group.
        """
        if not math.isfinite(self.z):
            return {}
        latest = {part: history[-1][part] for part in alive if part in history[-1]}
        if not latest:
            return {}
        leader = max(sorted(latest), key=latest.__getitem__)
        drops = ((p, self._compare(self._lags(history, leader, p), noise)) for p in latest)
        return {part: drop for part, drop in drops if drop and part != leader}

    def _lags(self, history: Sequence[Mapping[int, float]], leader: int, part: int) -> list[float]:
        """Return by how much `part` has trailed lately, where both have a score."""
        pairs = (each for each in reversed(history) if leader in each and part in each)
        latest = islice(pairs, max(self.states, _MOVES + 1))
        return [each[leader] - each[part] for each in latest][::-1]

    def _compare(self, lags: Sequence[float], noise: float) -> Drop | None:
        if len(lags) < self.states:
            return None
        recent = lags[-self.states :]
        moves = np.diff(lags)[-_MOVES:]
        typical = max(math.sqrt(float(np.mean(moves**2))), noise)
        if min(recent) <= 0 or recent[-1] <= self.z * typical:
            return None
        return Drop(
            "cut",
            f"trails by {recent[-1]:.4g} at the last state, by {min(recent):.4g} at the least; "
            f"moves of {typical:.4g} are typical",
        )


@dataclass(frozen=True)
class Pruning:
    """Which rules a search uses; without any it is exhaustive, as in the paper.

    Attributes:
        race: among the transitions into one state.
        cut: among parts of the graph.
    """

    race: Race | None = None
    cut: Cut | None = None


NONE: Final = Pruning()
"""Every transition is trained to its end: the paper's search."""

SAFE: Final = Pruning(Race(), Cut())
"""Hardly ever finds another path than the exhaustive search; see `tests/benchmarks/search.py`."""

FAST: Final = Pruning(Race(z=1.25, ahead=0, ahead_from_scratch=35), Cut(z=2))
"""Spends less and finds another path more often, though seldom a much worse one."""

PRUNINGS: Final[Mapping[str, Pruning]] = {"none": NONE, "safe": SAFE, "fast": FAST}
"""Every pruning by its name in configurations."""
