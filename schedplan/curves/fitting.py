"""Fitting a curve to scores, whatever their unit."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike

from schedplan.curves import trf, varpro
from schedplan.curves.families import Array, Curve, Family
from schedplan.errors import EstimatorError, did_you_mean

Solver: TypeAlias = Literal["varpro", "trf"]

MIN_POINTS: Final = 6
"""Fewer finite scores than this determine no curve."""

_SOLVERS = {"varpro": varpro.least_squares, "trf": trf.least_squares}
_ROUNDING = 8 * float(np.finfo(np.float64).eps)  # relative; scores as near as this are equal


def fit(family: Family, scores: ArrayLike, solver: Solver = "varpro") -> Curve | None:
    """Fit `family` to `scores` by least squares within the family's bounds.

    The fit does not depend on the unit of the scores: they are brought to unit range, so
    a * scores + b with a > 0 gives the curve a * f + b with the same peak.

    Args:
        family: the family of curves, see `find_family`.
        scores: shape (n,), the score after epoch 0, 1, ..., to be maximised, in any unit.
            Scores that are not finite are left out; the others keep their epoch.
        solver: "varpro", variable projection, the faster and surer one; "trf", SciPy's Trust
            Region Reflective, the paper's.

    Returns:
        The curve; a constant one, with its peak at epoch 0, where all scores are equal up to
        rounding. None where none is determined: with fewer than `MIN_POINTS` finite scores, or
        with scores so large that the curve overflows.

    Raises:
        EstimatorError: there is no such solver.

    Example:
        >>> t = np.arange(40)
        >>> from schedplan.curves import find_family
        >>> family = find_family("exponential")
        >>> curve = fit(family, 0.9 - 0.5 * np.exp(-0.2 * t) - 1e-4 * t**2)
        >>> round(curve.peak_epoch, 2), curve.sse < 1e-12
        (16.93, True)
    """
    check_solver(solver)
    scores = np.asarray(scores, dtype=np.float64)
    finite = np.isfinite(scores)
    t = np.flatnonzero(finite).astype(np.float64)
    if len(t) < MIN_POINTS:
        return None
    centre, unit, y = _standardised(scores[finite])
    parameters = _SOLVERS[solver](family, t, y)
    errors = family.value(parameters, t) - y
    with np.errstate(over="ignore"):  # what overflows is refused two lines below
        sse = np.float64(unit) ** 2 * (errors @ errors)
        parameters = _in_unit(parameters, centre, unit)
    if not (np.isfinite(sse) and np.isfinite(parameters).all()):
        return None
    return Curve(family, tuple(parameters.tolist()), float(sse))


def check_solver(solver: object) -> None:
    """Raise EstimatorError if there is no such solver."""
    if solver not in _SOLVERS:
        raise EstimatorError(
            f"there is no solver {solver!r}",
            allowed=get_args(Solver),
            hint=did_you_mean(solver, _SOLVERS),
            path=("solver",),
        )


def _standardised(scores: Array) -> tuple[float, float, Array]:
    """Return the middle of `scores`, half their range (0 if all are equal) and them within +-1."""
    lowest, highest = float(scores.min()), float(scores.max())
    # Halved before they are combined: the range of huge scores would overflow.
    centre, unit = lowest / 2 + highest / 2, highest / 2 - lowest / 2
    if unit <= _ROUNDING * max(abs(lowest), abs(highest)):
        return centre, 0.0, np.zeros_like(scores)
    return centre, unit, (scores - centre) / unit


def _in_unit(parameters: Array, centre: float, unit: float) -> Array:
    """Return the parameters of centre + unit * f, given those of f."""
    scaled = parameters * unit
    scaled[0] += centre
    scaled[2:-2:2] = parameters[2:-2:2]
    return scaled
