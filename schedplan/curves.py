"""Concave families of performance-epoch curves: value, slope, least-squares fit and peak.

A curve says how the validation metric y_t moves with the epoch t while one state is trained, t = 0
being the model as handed over. All families share one shape, here for one decaying term,

    f(t) = a1 + a2 g(t; a3) + a4 t + a5 t^2,    a2, a3, a5 < 0,

and differ in g, which is convex and falls towards 0. So f is concave, hence unimodal, and its peak
is where the slope changes its sign. Source: "Optimization Planning for 3D ConvNets" (ICML 2021),
section 3.3 and Table 1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schedplan.errors import EstimatorError, did_you_mean

Array: TypeAlias = NDArray[np.float64]

MIN_POINTS: Final = 6
"""Fewer finite scores than this determine no curve."""

_GRID = 32  # rates in a grid; from its best, TRF reached the best known fit of real curves
_EVALUATIONS = 100  # more than TRF took on real curves; bounds the time of a fit
_ROUNDING = 8 * float(np.finfo(np.float64).eps)  # relative; scores as near as this are equal
_STRAIGHT = 1e-9  # a column that bends less than this is a straight line
_RIDGE = 1e-13  # keeps equal columns solvable


@dataclass(frozen=True)
class Family(ABC):
    """A family of concave curves, for metrics that are maximised.

    Parameters are ordered as in the paper: a constant, an (amplitude, rate) pair for each decaying
    term, the linear and the quadratic coefficient. Rates are below 0, amplitudes and the quadratic
    coefficient at most 0, the others free. Times `t` are epochs.
    """

    name: ClassVar[str]

    @abstractmethod
    def basis(self, t: Array, rates: Array) -> Array:
        """Return the decaying terms g(t; rate), broadcast over `t` and `rates`."""

    @abstractmethod
    def basis_slope(self, t: Array, rates: Array) -> Array:
        """Return the derivative of `basis` by `t`."""

    @abstractmethod
    def basis_by_rate(self, t: Array, rates: Array) -> Array:
        """Return the derivative of `basis` by the rate."""

    @abstractmethod
    def rate_bounds(self, span: float) -> tuple[float, float]:
        """Return the fastest and the slowest rate (both < 0) told apart over `span` epochs."""

    def value(self, parameters: Array, t: ArrayLike) -> Array:
        """Return f(t), in the shape of `t`."""
        t = np.asarray(t, dtype=np.float64)
        terms = self.basis(t[..., None], parameters[2:-2:2]) @ parameters[1:-2:2]
        return np.asarray(parameters[0] + terms + (parameters[-2] + parameters[-1] * t) * t)

    def slope(self, parameters: Array, t: ArrayLike) -> Array:
        """Return f'(t), in the shape of `t`; it never rises with `t`."""
        t = np.asarray(t, dtype=np.float64)
        terms = self.basis_slope(t[..., None], parameters[2:-2:2]) @ parameters[1:-2:2]
        return np.asarray(terms + parameters[-2] + 2 * parameters[-1] * t)

    def jacobian(self, parameters: Array, t: Array) -> Array:
        """Return the derivatives of f by the parameters, shape (len(t), len(parameters))."""
        amplitudes, rates = parameters[1:-2:2], parameters[2:-2:2]
        columns = np.empty((len(t), len(parameters)))
        columns[:, 0] = 1.0
        columns[:, 1:-2:2] = self.basis(t[:, None], rates)
        columns[:, 2:-2:2] = amplitudes * self.basis_by_rate(t[:, None], rates)
        columns[:, -2] = t
        columns[:, -1] = t * t
        return columns


@dataclass(frozen=True)
class Exponential(Family):
    """a1 + a2 e^(a3 t) + a4 t + a5 t^2 with a2, a3, a5 < 0: the paper's best fit, its default."""

    name = "exponential"

    def basis(self, t: Array, rates: Array) -> Array:
        return np.exp(rates * t)

    def basis_slope(self, t: Array, rates: Array) -> Array:
        return rates * np.exp(rates * t)

    def basis_by_rate(self, t: Array, rates: Array) -> Array:
        return t * np.exp(rates * t)

    def rate_bounds(self, span: float) -> tuple[float, float]:
        # Faster than e^-20 an epoch only epoch 0 differs; slower than e^-0.01 over the whole span
        # the term is a parabola, which the quadratic coefficient has already.
        return -20.0, -0.01 / span


FAMILIES: Final[tuple[Family, ...]] = (Exponential(),)
"""Every family, by decreasing preference."""


def find_family(name: str) -> Family:
    """Return the family called `name`.

    Raises:
        EstimatorError: there is none; the message names all and the nearest.

    Example:
        >>> find_family("exponential")
        Exponential()
    """
    families = {family.name: family for family in FAMILIES}
    if name not in families:
        raise EstimatorError(
            f"no family of curves is called {name!r}",
            allowed=families,
            hint=did_you_mean(name, families),
        )
    return families[name]


@dataclass(frozen=True)
class Curve:
    """A curve of one family, in the unit of the scores and in epochs.

    Args:
        family: the family.
        parameters: its parameters, in the family's order.
        sse: the sum of squared errors over the scores it was fitted to.

    Example:
        >>> curve = Curve(Exponential(), (0.9, -0.5, -0.2, 0.0, -1e-5), sse=0.0)
        >>> round(float(curve.value(0)), 6), round(curve.peak_epoch, 2), round(curve.peak, 4)
        (0.4, 26.25, 0.8905)
    """

    family: Family
    parameters: tuple[float, ...]
    sse: float

    def value(self, t: ArrayLike) -> Array:
        """Return the fitted score at epochs `t`, in the shape of `t`."""
        return self.family.value(np.array(self.parameters), t)

    def slope(self, t: ArrayLike) -> Array:
        """Return the fitted gain per epoch at epochs `t`, in the shape of `t`."""
        return self.family.slope(np.array(self.parameters), t)

    @cached_property
    def peak_epoch(self) -> float:
        """The earliest real-valued argmax over [0, inf); inf for a curve that rises for ever."""
        if self.slope(0.0) <= 0:
            return 0.0
        linear, quadratic = self.parameters[-2:]
        if quadratic == 0 and linear >= 0:
            return math.inf
        beyond = 1.0
        while self.slope(beyond) > 0:
            beyond *= 2
        from scipy.optimize import brentq  # imported here: it would double the import time

        return float(brentq(lambda t: float(self.slope(t)), 0.0, beyond))

    @property
    def peak(self) -> float:
        """The fitted score at `peak_epoch`; its limit for a curve that rises for ever."""
        if math.isinf(self.peak_epoch):
            return math.inf if self.parameters[-2] > 0 else self.parameters[0]
        return float(self.value(self.peak_epoch))


def fit(family: Family, scores: ArrayLike) -> Curve | None:
    """Fit `family` to `scores` by bounded least squares (Trust Region Reflective).

    The fit does not depend on the unit of the scores: they are brought to unit range and the epochs
    to [0, 1], so a * scores + b with a > 0 gives the curve a * f + b with the same peak. For a
    given rate all else is a linear problem; the best rate of a grid starts the search.

    Args:
        family: the family of curves, see `find_family`.
        scores: shape (n,), the score after epoch 0, 1, ..., to be maximised, in any unit.
            Scores that are not finite are left out; the others keep their epoch.

    Returns:
        The curve; a constant one, with its peak at epoch 0, where all scores are equal up to
        rounding. None where none is determined: with fewer than `MIN_POINTS` finite scores, or
        with scores so large that the curve overflows.

    Example:
        >>> t = np.arange(40)
        >>> curve = fit(Exponential(), 0.9 - 0.5 * np.exp(-0.2 * t) - 1e-4 * t**2)
        >>> round(curve.peak_epoch, 2), curve.sse < 1e-12
        (16.93, True)
    """
    scores = np.asarray(scores, dtype=np.float64)
    finite = np.isfinite(scores)
    t = np.flatnonzero(finite).astype(np.float64)
    if len(t) < MIN_POINTS:
        return None
    centre, unit, y = _standardised(scores[finite])
    parameters = _least_squares(family, t, y)
    errors = family.value(parameters, t) - y
    with np.errstate(over="ignore"):  # what overflows is refused two lines below
        sse = np.float64(unit) ** 2 * (errors @ errors)
        parameters = _in_unit(parameters, centre, unit)
    if not (np.isfinite(sse) and np.isfinite(parameters).all()):
        return None
    return Curve(family, tuple(parameters.tolist()), float(sse))


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


def _least_squares(family: Family, t: Array, y: Array) -> Array:
    """Return the parameters of `family` nearest to `y` at epochs `t`; `y` has unit range."""
    start = _search_rates(family, t, y)
    try:
        refined = _refine(family, t, y, start)
    except np.linalg.LinAlgError:  # the SVD in TRF did not converge: the grid's best stands
        return start
    return _solve_linear_part(family, t, y, refined[None, 2:-2:2])


def _search_rates(family: Family, t: Array, y: Array) -> Array:
    """Return the best parameters over a coarse log grid of rates and a fine one around its best.

    Starting that near, TRF does not crawl along the valley in which rate and amplitude trade off,
    where it would end at a peak that rounding decides.
    """
    fastest, slowest = family.rate_bounds(float(t[-1]))
    step = (fastest / slowest) ** (1 / (_GRID - 1))
    coarse = -np.geomspace(-fastest, -slowest, _GRID)[:, None]
    best = _solve_linear_part(family, t, y, coarse)[2:-2:2]
    fine = np.clip(best * np.geomspace(1 / step, step, _GRID)[:, None], fastest, slowest)
    return _solve_linear_part(family, t, y, fine)


def _refine(family: Family, t: Array, y: Array, start: Array) -> Array:
    """Return the parameters that TRF reaches from `start`."""
    # Each parameter in its natural unit, which amounts to epochs scaled to [0, 1].
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

    from scipy.optimize import least_squares  # imported here: it would double the import time

    bounds = lower / units, upper / units
    found = least_squares(
        errors, start / units, jacobian, bounds, method="trf", max_nfev=_EVALUATIONS
    )
    return np.asarray(found.x * units)


def _solve_linear_part(family: Family, t: Array, y: Array, rates: Array) -> Array:
    """Return the least-squares parameters for the best row of `rates`, shape (rows, terms).

    With the rates fixed, f is linear in all else. The free straight line is projected out; what
    remains is a small least-squares problem with signs. Bounds that bind hold exactly, so that a
    curve that rises for ever is told from one that peaks far away.
    """
    span = t[-1]
    line = np.stack([np.full(len(t), len(t) ** -0.5), t - t.mean()], axis=1)
    line[:, 1] /= np.linalg.norm(line[:, 1])
    columns = np.empty((len(rates), len(t), rates.shape[1] + 1))
    columns[..., :-1] = family.basis(t[:, None], rates[:, None, :])
    columns[..., -1] = (t / span) ** 2
    columns -= line @ (line.T @ columns)
    norms = np.linalg.norm(columns, axis=1)
    # A term that is straight over the observed epochs says nothing about its amplitude.
    columns *= np.where(norms > _STRAIGHT, -1 / np.maximum(norms, _STRAIGHT), 0.0)[:, None, :]
    weights, explained = _nonnegative(columns.transpose(0, 2, 1) @ columns, y @ columns)
    best = int(np.argmax(explained))
    weights = weights[best] / np.maximum(norms[best], _STRAIGHT)

    parameters = np.zeros(2 * rates.shape[1] + 3)
    parameters[1:-2:2], parameters[2:-2:2] = -weights[:-1], rates[best]
    parameters[-1] = -weights[-1] / span**2
    level, tilt = line.T @ (y - family.value(parameters, t))
    parameters[-2] = tilt / np.linalg.norm(t - t.mean())
    parameters[0] = level * len(t) ** -0.5 - parameters[-2] * t.mean()
    return parameters


def _nonnegative(gram: Array, moments: Array) -> tuple[Array, Array]:
    """Minimise |y - X w|^2 over w >= 0 for a batch of few columns, trying every active set.

    Args:
        gram: X'X of columns with norm 1 or 0, shape (batch, k, k).
        moments: X'y, shape (batch, k).

    Returns:
        w, shape (batch, k), and the part of |y|^2 that it explains, shape (batch,).
    """
    k = moments.shape[1]
    gram = gram + _RIDGE * np.eye(k)
    weights, explained = np.zeros_like(moments), np.zeros(len(moments))
    for size in range(1, k + 1):
        for active in map(list, combinations(range(k), size)):
            target = moments[:, active]
            trial = np.linalg.solve(gram[:, active][:, :, active], target[..., None])[..., 0]
            gain = (trial * target).sum(axis=1)
            better = (trial >= 0).all(axis=1) & (gain > explained)
            weights[better] = 0.0
            weights[np.ix_(better, active)] = trial[better]
            explained[better] = gain[better]
    return weights, explained
