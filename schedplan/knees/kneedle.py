"""The knee by the Kneedle algorithm, through the package kneed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from schedplan.curves import MIN_POINTS
from schedplan.errors import missing
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
class Kneedle(KneeEstimator):
    """Stop `delay` epochs after the knee that Kneedle finds, and take the model of the knee.

    Kneedle (Satopaa et al., "Finding a 'kneedle' in a haystack", 2011) takes the point of a
    concave, rising curve that lies farthest above its chord. That is where most has been gained,
    which is sooner than where nothing more is gained. With fewer than 6 finite scores training goes
    on; where Kneedle finds no knee, the best observed epoch takes its place.

    Args:
        sensitivity: S in that paper, from 0 to 100: how far the curve has to fall below a knee
            before it counts.
        delay: how many epochs to wait after the knee, at least 0.

    Raises:
        EstimatorError: an argument out of bounds.
        MissingDependencyError: the package kneed is not installed.
    """

    sensitivity: float = 1.0
    delay: int = 10

    def __post_init__(self) -> None:
        require_number("sensitivity", self.sensitivity, 0, 100)
        require_whole("delay", self.delay, at_least=0)
        _locator()

    @property
    def lookback(self) -> int:
        """The delay; a rule of thumb, as the knee of noisy scores may leap back by more."""
        return self.delay

    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        epochs = np.flatnonzero(np.isfinite(scores))
        best = best_epoch(scores)
        if len(epochs) < MIN_POINTS:
            few = f"fewer than {MIN_POINTS} finite scores so far" if len(epochs) else NO_SCORE
            return Verdict(False, best, score_at(scores, best), few)
        position = self._knee(epochs.astype(np.float64), scores[epochs])
        knee = best if position is None else int(epochs[position])
        age = len(scores) - 1 - knee
        about = "best score observed, as there is no knee," if position is None else "knee"
        verdict = Verdict(False, knee, float(scores[knee]), f"{about} at epoch {knee}")
        return replace(verdict, stop=age > self.delay, reason=f"{verdict.reason}, {age} epochs ago")

    def _knee(self, t: Array, y: Array) -> int | None:
        """Return the position of the knee, None if there is none."""
        low, high = float(y.min()), float(y.max())
        unit = high / 2 - low / 2
        if unit == 0:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it finds no knee
            found = _locator()(t, (y / 2 - low / 2) / unit, S=self.sensitivity).knee
        return None if found is None else int(np.searchsorted(t, found))


def _locator() -> Any:
    """Return kneed's algorithm, which looks for knees of concave, rising curves by default."""
    try:
        return import_module("kneed").KneeLocator
    except ModuleNotFoundError as error:
        raise missing("kneed", "kneedle") from error
