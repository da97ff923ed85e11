"""How well each family describes a set of curves: the paper's Table 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from schedplan.curves.families import FAMILIES, Array, Family
from schedplan.curves.fitting import Solver, fit


@dataclass(frozen=True)
class Goodness:
    """The fit of a family to several curves, averaged over them.

    Attributes:
        family: its name.
        rmse: sqrt(SSE / n), in the unit of the scores; n is a curve's number of finite scores.
        adjusted_rmse: sqrt(SSE / (n - p)); p is the family's number of parameters.
        r2: 1 - SSE / (the scores' sum of squares about their mean).
        curves: over how many curves.
    """

    family: str
    rmse: float
    adjusted_rmse: float
    r2: float
    curves: int


def goodness_of_fit(
    curves: Iterable[ArrayLike],
    families: Sequence[Family] = FAMILIES,
    solver: Solver = "varpro",
) -> list[Goodness]:
    """Fit every family to every curve, and average how well it does.

    All families are judged by the same curves: those with more finite scores than any of the
    families has parameters, that are not constant and can be fitted.

    Args:
        curves: the scores after epoch 0, 1, ... of each training, to be maximised.
        families: the families to compare.
        solver: see `fit`.

    Returns:
        One entry per family, NaN where there is no curve to average over.

    Example:
        >>> rise = 1 - np.exp(-0.3 * np.arange(30))
        >>> [(each.family, round(each.r2, 3)) for each in goodness_of_fit([rise])]
        [('power', 0.994), ('multi-power', 0.994), ('exponential', 1.0), ('multi-exponential', 1.0)]
    """
    most = max(2 * family.terms + 3 for family in families)
    rows = []
    for curve in curves:
        scores = np.asarray(curve, dtype=np.float64)
        finite = scores[np.isfinite(scores)]
        if len(finite) <= most or finite.min() == finite.max():
            continue
        fits = [fit(family, scores, solver) for family in families]
        errors = [each.sse for each in fits if each is not None]
        if len(errors) == len(families):
            rows.append(_measures(finite, np.array(errors), families))
    means = np.mean(rows, axis=0) if rows else np.full((len(families), 3), math.nan)
    return [
        Goodness(family.name, rmse, adjusted, r2, curves=len(rows))
        for family, (rmse, adjusted, r2) in zip(families, means.tolist(), strict=True)
    ]


def _measures(scores: Array, errors: Array, families: Sequence[Family]) -> Array:
    """Return RMSE, adjusted RMSE and R2 for each family, shape (families, 3)."""
    n = len(scores)
    free = n - np.array([2 * family.terms + 3 for family in families])
    spread = float(((scores - scores.mean()) ** 2).sum())
    return np.stack([np.sqrt(errors / n), np.sqrt(errors / free), 1 - errors / spread], axis=1)
