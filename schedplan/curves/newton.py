"""Newton's method on the rates of a curve, all other parameters following from them.

With c_i the column of rate i, w_i its weight and r = y - X w, the error |r|^2 / 2 as a function of
the logs of the rates has the gradient g_i = -w_i c_i'.r and, the weights being eliminated, the
Hessian A - B inv(X'X) B', where A_ij = w_i w_j c_i'.c_j' - [i = j] w_i c_i''.r and
B_ij = w_i c_i'.x_j - [i = j] c_i'.r. All of it is read from one table of inner products.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np

from schedplan.curves.families import Array

Table: TypeAlias = list[list[float]]
Point: TypeAlias = tuple[float, ...]

DEPENDENT = 1e-10
"""What is left of a column beside others, squared and relative, if it is one of them but for
rounding."""

_ROUNDS = 40  # most evaluations; real curves took about 4 with one rate and 10 with two
_TRUST = 0.7  # the longest step, in the log of a rate
_ENOUGH = 1e-14  # of |y|^2: a gain as small as this ends the search


@dataclass(frozen=True)
class Solution:
    """Rates, the weights of their columns and of the quadratic one, and what they explain.

    Attributes:
        explained: the part of |y|^2 explained.
        rates: shape (terms,).
        weights: shape (terms + 1,), at least 0; the last one is the quadratic column's.
    """

    explained: float
    rates: Point
    weights: Point


@dataclass(frozen=True)
class Columns:
    """What the columns at given rates are made of.

    Attributes:
        clock: the family's clock, shape (n,).
        line: an orthonormal basis of the straight lines, shape (n, 2).
        bend: the quadratic column, shape (n,).
        y: the scores, a straight line taken out, shape (n,).
        fastest, slowest: the bounds of the rates.
    """

    clock: Array
    line: Array
    bend: Array
    y: Array
    fastest: float
    slowest: float

    def table(self, rates: Point) -> Table:
        """Return the inner products of c, c', c'' for every rate, the quadratic column and y."""
        k = len(rates)
        rows = np.empty((3 * k + 2, len(self.y)))
        ticks = np.multiply.outer(rates, self.clock)
        rows[:k] = np.exp(ticks)
        rows[k : 2 * k] = ticks * rows[:k]
        rows[2 * k : 3 * k] = (ticks + 1) * rows[k : 2 * k]
        rows[: 3 * k] = (rows[: 3 * k] @ self.line) @ self.line.T - rows[: 3 * k]
        rows[-2], rows[-1] = self.bend, self.y
        table: Table = (rows @ rows.T).tolist()
        return table

    def moved(self, rates: Point, step: Sequence[float]) -> Point:
        """Return the rates after a step in their logs, within the bounds."""
        return tuple(
            min(max(rate * math.exp(by), self.fastest), self.slowest)
            for rate, by in zip(rates, step, strict=True)
        )


def refined(columns: Columns, rates: Point) -> Solution:
    """Return the best solution that Newton's method reaches from `rates`, never a worse one."""
    table = columns.table(rates)
    best = weighed(table, rates)
    step, gain = _step(table, best)
    enough = _ENOUGH * table[-1][-1]
    for _ in range(_ROUNDS):
        trial = columns.moved(best.rates, step)
        if gain <= enough or trial == best.rates:
            break
        table = columns.table(trial)
        new = weighed(table, trial)
        if new.explained > best.explained:
            best = new
            step, gain = _step(table, best)
        else:
            step, gain = [each / 4 for each in step], gain / 4
    return best


def weighed(table: Table, rates: Point) -> Solution:
    """Return the least-squares weights at `rates`, of all active sets the best."""
    k = len(rates)
    columns = (*range(k), 3 * k)
    best = Solution(0.0, rates, (0.0,) * (k + 1))
    for size in range(k + 1, 0, -1):
        if all(best.weights):
            break  # without bounds, this is the least squares solution: no other one is better
        for active in combinations(range(k + 1), size):
            chosen = [columns[each] for each in active]
            weights = _solved(_part(table, chosen, chosen), [table[c][-1] for c in chosen])
            if weights is None or min(weights) <= 0:
                continue
            explained = sum(w * table[c][-1] for w, c in zip(weights, chosen, strict=True))
            if explained > best.explained:
                found = dict(zip(active, weights, strict=True))
                best = Solution(explained, rates, tuple(found.get(i, 0.0) for i in range(k + 1)))
    return best


def _step(table: Table, at: Solution) -> tuple[list[float], float]:
    """Return Newton's step in the logs of the rates, and the gain in |r|^2 that it promises."""
    k = len(at.rates)
    moving = [i for i in range(k) if at.weights[i] > 0]
    linear = [(i if i < k else 3 * k, w) for i, w in enumerate(at.weights) if w > 0]

    def error(row: int) -> float:  # the inner product of a row with r
        return table[row][-1] - sum(w * table[row][c] for c, w in linear)

    gradient = [-at.weights[i] * error(k + i) for i in moving]
    cross = [
        [at.weights[i] * table[k + i][c] - (error(k + i) if c == i else 0.0) for c, _ in linear]
        for i in moving
    ]
    chosen = [c for c, _ in linear]
    gram = _part(table, chosen, chosen)
    hessian = []
    for row, i in enumerate(moving):
        shift = _solved(gram, cross[row]) or [0.0] * len(chosen)
        hessian.append(
            [
                at.weights[i] * at.weights[j] * table[k + i][k + j]
                - (at.weights[i] * error(2 * k + i) if i == j else 0.0)
                - sum(a * b for a, b in zip(shift, cross[column], strict=True))
                for column, j in enumerate(moving)
            ]
        )
    step = [0.0] * k
    for i, by in zip(moving, _descent(gradient, hessian), strict=True):
        step[i] = by
    return step, -sum(step[i] * slope for i, slope in zip(moving, gradient, strict=True))


def _descent(gradient: list[float], hessian: Table) -> list[float]:
    """Return -inv(H) g within the trust region, H being made positive if it is not."""
    if not gradient:
        return []
    diagonal = [hessian[i][i] for i in range(len(hessian))]
    mean = sum(diagonal) / len(diagonal)
    spread = 0.0
    if len(gradient) == 2:
        spread = math.hypot((diagonal[0] - diagonal[1]) / 2, hessian[0][1])
    lift = max(0.0, 1.1 * (spread - mean) + 0.1 * (abs(mean) + spread)) if mean <= spread else 0.0
    lifted = [
        [value + lift if i == j else value for j, value in enumerate(row)]
        for i, row in enumerate(hessian)
    ]
    step = _solved(lifted, [-each for each in gradient], pivot=0.0)
    if step is None:
        return [0.0] * len(gradient)
    longest = max(map(abs, step))
    return step if longest <= _TRUST else [each * _TRUST / longest for each in step]


def _part(table: Table, rows: Sequence[int], columns: Sequence[int]) -> Table:
    return [[table[row][column] for column in columns] for row in rows]


def _solved(matrix: Table, target: Sequence[float], pivot: float = DEPENDENT) -> list[float] | None:
    """Solve a small positive definite system by elimination; None if it is singular."""
    size = len(target)
    rows = [[*row, value] for row, value in zip(matrix, target, strict=True)]
    for i in range(size):
        if rows[i][i] <= pivot * matrix[i][i] or matrix[i][i] <= 0:
            return None
        for j in range(i + 1, size):
            ratio = rows[j][i] / rows[i][i]
            for column in range(i, size + 1):
                rows[j][column] -= ratio * rows[i][column]
    solution = [0.0] * size
    for i in range(size - 1, -1, -1):
        known = sum(rows[i][j] * solution[j] for j in range(i + 1, size))
        solution[i] = (rows[i][-1] - known) / rows[i][i]
    return solution
