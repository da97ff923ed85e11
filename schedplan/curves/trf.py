"""Least squares by SciPy's Trust Region Reflective: the paper's solver."""

from __future__ import annotations

import numpy as np

from schedplan.curves import varpro
from schedplan.curves.families import Array, Family

_EVALUATIONS = 100  # more than it took on real curves; bounds the time of a fit


def least_squares(family: Family, t: Array, y: Array) -> Array:
    """Return the parameters of `family` nearest to `y` at epochs `t`, see `varpro.least_squares`.

    Starting at the best rates of a grid, it does not crawl along the valley in which rate and
    amplitude trade off, where it would end at a peak that rounding decides. At the rates that it
    finds, the other parameters are solved for exactly, so that bounds that bind do so exactly.
    """
    start = varpro.least_squares(family, t, y, refine=False)
    try:
        found = _trust_region(family, t, y, start)
    except np.linalg.LinAlgError:  # its SVD did not converge: the grid's best stands
        return start
    return varpro.with_rates(family, t, y, tuple(found[2:-2:2].tolist()))


def _trust_region(family: Family, t: Array, y: Array, start: Array) -> Array:
    """Return the parameters to which the trust region leads from `start`."""
    # Rates in units of the first guess, polynomial coefficients in those of the span: without it
    # the method stops early. The latter amounts to epochs scaled to [0, 1].
    units = np.ones(len(start))
    units[2:-2:2] = -start[2:-2:2]
    units[-2:] = 1 / t[-1], 1 / t[-1] ** 2
    lower, upper = np.full(len(start), -np.inf), np.full(len(start), np.inf)
    lower[2:-2:2], upper[2:-2:2] = family.rate_bounds(float(t[-1]))
    upper[1:-2:2] = upper[-1] = 0.0

    def errors(p: Array) -> Array:
        return family.value(p * units, t) - y

    def jacobian(p: Array) -> Array:
        return family.jacobian(p * units, t) * units

    from scipy import optimize  # imported here: it would double the import time

    inside = np.clip(start / units, lower / units, upper / units)
    bounds = lower / units, upper / units
    found = optimize.least_squares(
        errors, inside, jacobian, bounds, method="trf", max_nfev=_EVALUATIONS
    )
    return np.asarray(found.x * units)
