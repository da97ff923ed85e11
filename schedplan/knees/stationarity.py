"""Stopping once the recent scores show no trend any more."""

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
class Stationarity(KneeEstimator):
    """Stop once the slope of the last scores is no longer statistically above 0; take the best.

    A straight line is fitted by least squares to the last `window` finite scores. The variance of
    its slope b allows for autocorrelated residuals e_t at centred epochs x_t, after Newey and West
    (1987) with the lags that are usual there,

        var(b) = sum_{|k| <= L} (1 - |k| / (L + 1)) sum_t x_t e_t x_{t-k} e_{t-k} / (sum_t x_t^2)^2,
        L = floor(4 (window / 100)^(2/9)).

    Training stops once b <= q sqrt(var(b)), q being Student's quantile of `confidence` with
    window - 2 degrees of freedom. As long as there are fewer scores it goes on. The idea is that
    of Lang, Xiao and Zhang, "Using statistics to automate stochastic optimization" (2019), and of
    its sequel SASA+ (2020), which lower the learning rate once a statistic of the training process
    cannot be told from its value at stationarity; here the statistic is the trend of the scores.

    Args:
        window: how many scores to judge by, at least 4.
        confidence: of the one-sided test, from 0.5 to 0.999; the higher, the sooner it stops.

    Raises:
        EstimatorError: an argument out of bounds.

    Example:
        >>> rising = [0.1, 0.2, 0.31, 0.4, 0.52, 0.6]
        >>> Stationarity(window=6)(rising).stop, Stationarity(window=6)([*rising, *[0.6] * 5]).stop
        (False, True)
    """

    window: int = 15
    confidence: float = 0.9

    def __post_init__(self) -> None:
        require_whole("window", self.window, at_least=4)
        require_number("confidence", self.confidence, 0.5, 0.999)

    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        recent = np.flatnonzero(np.isfinite(scores))[-self.window :]
        best = best_epoch(scores)
        score = score_at(scores, best)
        if len(recent) < self.window:
            reason = f"fewer than {self.window} finite scores so far" if len(recent) else NO_SCORE
            return Verdict(False, best, score, reason)
        ratio = self._ratio(recent.astype(np.float64), scores[recent])
        least = self._quantile()
        sign = "below" if ratio <= least else "above"
        reason = f"slope of the last {self.window} scores {ratio:.2g} standard errors"
        return Verdict(ratio <= least, best, score, f"{reason}, {sign} {least:.2g}")

    def _ratio(self, t: Array, y: Array) -> float:
        """Return the slope in units of its standard error, in a way that no unit overflows."""
        largest = float(np.abs(y).max())
        if y.min() == y.max():
            return 0.0
        y = y / largest
        x, y = t - t.mean(), y - y.mean()
        slope = float(x @ y) / float(x @ x)
        moments = x * (y - slope * x)
        lags = math.floor(4 * (len(t) / 100) ** (2 / 9))
        variance = float(moments @ moments)
        for lag in range(1, lags + 1):
            variance += 2 * (1 - lag / (lags + 1)) * float(moments[lag:] @ moments[:-lag])
        error = math.sqrt(max(variance, 0.0)) / float(x @ x)
        if error > 0:
            return slope / error
        return math.copysign(math.inf, slope) if slope else 0.0

    def _quantile(self) -> float:
        from scipy.special import stdtrit  # imported here: it would double the import time

        return float(stdtrit(self.window - 2, self.confidence))
