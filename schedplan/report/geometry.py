"""Curves and rectangles in the plane.

A curve is a chain of k cubic Bezier curves: an array of shape (3k + 1, 2), their control points,
where neighbours share their ends. Rectangles are an array of shape (n, 4): left, bottom, right,
top.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from schedplan.report.panel import Point

Array: TypeAlias = NDArray[np.float64]


def arc(start: Point, end: Point, height: float) -> Array:
    """Return a curve whose middle lies `height` to the left of the straight line.

    Example:
        >>> points(arc((0, 0), (4, 0), height=1), np.array([0.5])).tolist()
        [[2.0, 1.0]]
    """
    first, last = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    along = last - first
    normal = np.array([-along[1], along[0]]) / np.hypot(*along)
    aside = normal * height * 4 / 3
    return np.stack([first, first + along / 3 + aside, last - along / 3 + aside, last])


def flow(through: Sequence[Point]) -> Array:
    """Return a curve that is level at all the points it passes through.

    Example:
        >>> flow([(0, 0), (4, 2)]).tolist()
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [4.0, 2.0]]
    """
    controls = [through[0]]
    for (left, low), (right, high) in pairwise(through):
        middle = (left + right) / 2
        controls += [(middle, low), (middle, high), (right, high)]
    return np.array(controls, dtype=float)


def points(curve: Array, at: Array) -> Array:
    """Return the curve's points at the parameters `at`, each in [0, 1]; shape (n, 2)."""
    pieces = len(curve) // 3
    piece = np.minimum((at * pieces).astype(int), pieces - 1)
    t = (at * pieces - piece)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    drawn: Array = np.einsum("nc,ncd->nd", weights, curve[3 * piece[:, None] + np.arange(4)])
    return drawn


def part(curve: Array, start: float, end: float) -> Array:
    """Return the part between two parameters of a curve of one piece, by its blossom."""
    steps = [(start, start, start), (start, start, end), (start, end, end), (end, end, end)]
    return np.stack([_blossom(curve, step) for step in steps])


def _blossom(curve: Array, parameters: tuple[float, ...]) -> Array:
    for t in parameters:
        curve = (1 - t) * curve[:-1] + t * curve[1:]
    blossom: Array = curve[0]
    return blossom


def rectangle(middle: Point, size: Point, margin: float = 0.0) -> Array:
    """Return one rectangle, of shape (4,), larger by `margin` on every side."""
    (x, y), (width, height) = middle, size
    across, down = width / 2 + margin, height / 2 + margin
    return np.array([x - across, y - down, x + across, y + down])


def stack(rectangles: Iterable[Array]) -> Array:
    """Return rectangles as one array, which may have no rows."""
    return np.array(list(rectangles)).reshape(-1, 4)


def inside(spots: Array, rectangles: Array) -> NDArray[np.bool_]:
    """Return which of the n `spots` lie in which of the m rectangles; shape (n, m)."""
    x, y = spots[:, :1], spots[:, 1:]
    left, bottom, right, top = rectangles.T
    found: NDArray[np.bool_] = (left < x) & (x < right) & (bottom < y) & (y < top)
    return found


def overlaps(one: Array, rectangles: Array) -> int:
    """Return how many of `rectangles` share a spot with `one`."""
    left, bottom, right, top = rectangles.T
    clear = (right <= one[0]) | (left >= one[2]) | (top <= one[1]) | (bottom >= one[3])
    return int(np.count_nonzero(~clear))
