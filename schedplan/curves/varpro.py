"""Least squares by variable projection: the rates are searched, all other parameters follow.

For fixed rates a curve is linear in its other parameters. A straight line is free, so it is
projected out of the scores and of every column; what remains is

    minimise |y - X w|^2 over w >= 0,    X = [-P g(t; rate) for every rate, -P t^2],

with P the projection. Every column is concave, so no two of them point apart and no weight can
outgrow the scores: near-equal columns do no harm. With at most three columns, all active sets are
tried in closed form. The rates are searched over a logarithmic grid, which depends on the epochs
alone and is kept, and refined by Newton's method. Golub & Pereyra, "The differentiation of
pseudo-inverses and nonlinear least squares problems whose variables separate" (1973).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from schedplan.curves.families import Array, Family
from schedplan.curves.newton import DEPENDENT, Columns, Point, Solution, refined, weighed

Clock: TypeAlias = Callable[[Array], Array]
RateBounds: TypeAlias = Callable[[float], tuple[float, float]]

_GRID = 64  # rates in the grid: steps of about 0.2 in the log of the rate
_COARSE = 2  # every so manieth of them makes pairs
_STARTS = 3  # pairs that are refined
_RIVAL = 0.05  # of the error left: local maxima this near to the best of the grid are refined, too
_KEPT = 256  # designs kept, of at most as many epochs: 30 MB for each clock if all are in use
_ROUNDING = 8 * float(np.finfo(np.float64).eps)
_STRAIGHT = 1e-9  # a column that bends less than this is a straight line


@dataclass(frozen=True)
class Design:
    """All that a fit needs to know of the epochs alone.

    Attributes:
        t: the epochs, shape (n,), the last one greater than 0.
        clock: the family's clock at them.
        line: an orthonormal basis of the straight lines, shape (n, 2).
        bend: the quadratic column, -P (t / span)^2, shape (n,).
        rates: a logarithmic grid from the fastest rate to the slowest, shape (_GRID,).
        columns: a projected column of norm 1 for every rate of the grid, shape (_GRID, n).
    """

    t: Array
    clock: Array
    line: Array
    bend: Array
    rates: Array
    columns: Array

    @cached_property
    def bend_norm(self) -> float:
        """The norm of the quadratic column."""
        return math.sqrt(self.bend @ self.bend)

    @cached_property
    def overlap(self) -> Array:
        """The cosines between the grid's columns and the quadratic one."""
        return np.asarray(self.columns @ self.bend / self.bend_norm)

    @cached_property
    def sharpness(self) -> Array:
        """1 / (1 - overlap^2), 0 where both columns are one."""
        rest = 1 - self.overlap**2
        return np.where(rest > DEPENDENT, 1 / np.maximum(rest, DEPENDENT), 0.0)

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of rates of the grid."""
        return Pairs.of(self)


@dataclass(frozen=True)
class Pairs:
    """Every pair of two rates of a coarser grid, the faster one first.

    Attributes:
        rates: the positions of the coarser grid's rates in the design's, shape (size,).
        first, second: positions in the coarser grid, shape (pairs,).
        inverse: of the Gram matrix of both columns, shape (pairs, 2, 2); 0 where it has none.
        inverse_bent: of both columns and the quadratic one, shape (pairs, 3, 3), likewise.
    """

    rates: NDArray[np.intp]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    inverse: Array
    inverse_bent: Array

    @staticmethod
    def of(design: Design) -> Pairs:
        """Return the pairs of a design's grid."""
        rates = np.arange(0, _GRID, _COARSE)
        first, second = np.triu_indices(len(rates), 1)
        columns, overlap = design.columns[rates], design.overlap[rates]
        gram = np.ones((len(first), 3, 3))
        gram[:, 0, 1] = gram[:, 1, 0] = (columns @ columns.T)[first, second]
        gram[:, 0, 2] = gram[:, 2, 0] = overlap[first]
        gram[:, 1, 2] = gram[:, 2, 1] = overlap[second]
        return Pairs(rates, first, second, _inverses(gram[:, :2, :2]), _inverses(gram))


def _inverses(gram: Array) -> Array:
    """Return the inverse of each matrix, 0 for those that are singular but for rounding."""
    regular = (np.linalg.eigvalsh(gram)[:, 0] > DEPENDENT)[:, None, None]
    return np.where(regular, np.linalg.inv(np.where(regular, gram, np.eye(gram.shape[1]))), 0.0)


def _design_of(family: Family, t: Array) -> Design:
    """Return the design for epochs `t`, a kept one where no epoch is missing."""
    if len(t) <= _KEPT and t[-1] == len(t) - 1:
        return _kept_design(family.clock, family.rate_bounds, len(t))
    return _design(family.clock, family.rate_bounds, t)


@lru_cache(maxsize=_KEPT)
def _kept_design(clock: Clock, rate_bounds: RateBounds, n: int) -> Design:
    return _design(clock, rate_bounds, np.arange(n, dtype=np.float64))


def _design(clock: Clock, rate_bounds: RateBounds, t: Array) -> Design:
    line = np.stack([np.full(len(t), len(t) ** -0.5), t - t.mean()], axis=1)
    line[:, 1] /= np.linalg.norm(line[:, 1])
    fastest, slowest = rate_bounds(float(t[-1]))
    rates = -np.geomspace(-fastest, -slowest, _GRID)
    ticks = clock(t)
    columns = _projected(line, np.exp(rates[:, None] * ticks))
    norms = np.linalg.norm(columns, axis=1, keepdims=True)
    # A term that is straight over the observed epochs says nothing about its amplitude.
    columns *= np.where(norms > _STRAIGHT, 1 / np.maximum(norms, _STRAIGHT), 0.0)
    bend = _projected(line, ((t / t[-1]) ** 2)[None])[0]
    return Design(t, ticks, line, bend, rates, columns)


def _projected(line: Array, rows: Array) -> Array:
    """Return minus the rows, their straight lines taken out."""
    return np.asarray((rows @ line) @ line.T - rows)


def least_squares(family: Family, t: Array, y: Array, refine: bool = True) -> Array:
    """Return the parameters of `family` nearest to `y` at epochs `t`.

    Args:
        family: the family of curves.
        t: the epochs, shape (n,), rising, the first at least 0; n is at least 3.
        y: the scores at them, within +-1.
        refine: whether to go on from the best rates of the grid.
    """
    design = _design_of(family, t)
    bent = -_projected(design.line, y[None])[0]
    if np.abs(bent).max() <= _ROUNDING:
        bent = np.zeros_like(bent)  # a straight line
    best = max(_solutions(family, design, bent, refine), key=lambda each: each.explained)
    return _parameters(family, design, y, best)


def with_rates(family: Family, t: Array, y: Array, rates: Point) -> Array:
    """Return the parameters of `family` nearest to `y` at epochs `t` among those of `rates`."""
    design = _design_of(family, t)
    columns = _columns(design, -_projected(design.line, y[None])[0])
    return _parameters(family, design, y, weighed(columns.table(rates), rates))


def _parameters(family: Family, design: Design, y: Array, found: Solution) -> Array:
    """Return the parameters of a solution, with the straight line put back."""
    span, middle = design.t[-1], design.t.mean()
    parameters = np.zeros(2 * family.terms + 3)
    for term, each in enumerate(sorted(range(family.terms), key=lambda i: found.rates[i])):
        parameters[2 * term + 1] -= found.weights[each]
        parameters[2 * term + 2] = found.rates[each]
    parameters[-1] -= found.weights[-1] / span**2
    level, tilt = (y - family.value(parameters, design.t)) @ design.line
    parameters[-2] = tilt / np.linalg.norm(design.t - middle)
    parameters[0] = level * len(y) ** -0.5 - parameters[-2] * middle
    return parameters


def _columns(design: Design, y: Array) -> Columns:
    bounds = float(design.rates[0]), float(design.rates[-1])
    return Columns(design.clock, design.line, design.bend, y, *bounds)


def _solutions(family: Family, design: Design, y: Array, refine: bool) -> Iterator[Solution]:
    """Yield a fit without any decaying term, and those to which the grid leads."""
    k = family.terms
    bend = float(design.bend @ y) / design.bend_norm
    plain = max(bend, 0.0)
    slowest = (float(design.rates[-1]),) * k
    yield Solution(plain**2, slowest, (0.0,) * k + (plain / design.bend_norm,))

    columns, moments = _columns(design, y), design.columns @ y

    def near(rates: Point) -> Solution:
        return refined(columns, rates) if refine else weighed(columns.table(rates), rates)

    for position in _best_rates(design, moments, bend, float(y @ y)):
        one = near((float(design.rates[position]),))
        weights = one.weights[:1] + (0.0,) * (k - 1) + one.weights[1:]
        yield Solution(one.explained, one.rates * k, weights)
    if k == 2:
        for pair in _best_pairs(design.pairs, moments, bend):
            yield near((float(design.rates[pair[0]]), float(design.rates[pair[1]])))


def _best_rates(design: Design, moments: Array, bend: float, total: float) -> list[int]:
    """Return the best rate of the grid, and other local maxima that may be better in between.

    Args:
        design: the design.
        moments: the products of the grid's columns with y, shape (_GRID,).
        bend: that of the quadratic column, normed.
        total: |y|^2.
    """
    own = (moments - design.overlap * bend) * design.sharpness
    bent = (bend - design.overlap * moments) * design.sharpness
    both = np.minimum(own, bent) > 0
    explained = np.where(both, own * moments + bent * bend, np.maximum(moments, 0.0) ** 2)
    highest = float(explained.max())
    if highest <= max(bend, 0.0) ** 2:
        return []
    tops = explained >= highest - _RIVAL * (total - highest)
    tops[1:] &= explained[1:] > explained[:-1]
    tops[:-1] &= explained[:-1] >= explained[1:]
    return np.flatnonzero(tops).tolist() or [int(np.argmax(explained))]


def _best_pairs(pairs: Pairs, moments: Array, bend: float) -> list[list[int]]:
    """Return the pairs of rates that explain most, each better than its neighbours in the grid."""
    target = np.full((len(pairs.first), 3), bend)
    target[:, :2] = moments[pairs.rates][np.stack([pairs.first, pairs.second], axis=1)]
    size = len(pairs.rates)
    field = np.zeros((size + 2, size + 2))
    for inverse in (pairs.inverse, pairs.inverse_bent):
        aim = target[:, : inverse.shape[1]]
        weights = (inverse @ aim[..., None])[..., 0]
        explained = np.where((weights > 0).all(axis=1), (weights * aim).sum(axis=1), 0.0)
        seen = field[pairs.first + 1, pairs.second + 1]
        field[pairs.first + 1, pairs.second + 1] = np.maximum(seen, explained)
    inner = field[1:-1, 1:-1]
    tops = inner > 0
    for down in range(3):
        for right in range(3):
            tops &= inner >= field[down : size + down, right : size + right]
    found = np.argwhere(tops)
    order = np.argsort(-inner[tops], kind="stable")[:_STARTS]
    chosen: list[list[int]] = pairs.rates[found[order]].tolist()
    return chosen
