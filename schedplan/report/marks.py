"""The signs that a picture and its legend are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schedplan.report import palette
from schedplan.report.canvas import Canvas, Font, Pen
from schedplan.report.panel import Point
from schedplan.report.text import width

_CROSS = 0.04
"""Half the width of a cross."""

_RING = 0.035
"""Between the two borders of a final state."""


def draw_box(canvas: Canvas, at: Point, size: Point, face: str, pen: Pen) -> None:
    """Draw the border of a state."""
    canvas.box(at, size, face, pen, rounding=0.09)


def draw_ring(canvas: Canvas, at: Point, size: Point, color: str) -> None:
    """Draw the second border, within the first, that tells a final state."""
    inner = (size[0] - 2 * _RING, size[1] - 2 * _RING)
    canvas.box(at, inner, "none", Pen(color, 0.9), rounding=0.06)


@dataclass(frozen=True)
class Mark:
    """A sign on an arrow.

    Attributes:
        size: width and height.
        draw: draws it around a point.
    """

    size: Point
    draw: Callable[[Canvas, Point], None]


def cross() -> Mark:
    """Return the mark of a failure."""

    def draw(canvas: Canvas, at: Point) -> None:
        x, y = at
        canvas.dots([at], 3 * _CROSS, palette.WHITE, palette.NO_LINE)
        rising = ((x - _CROSS, y - _CROSS), (x + _CROSS, y + _CROSS))
        falling = ((x - _CROSS, y + _CROSS), (x + _CROSS, y - _CROSS))
        canvas.lines([rising, falling], Pen(palette.RED, 1.6))

    return Mark((3 * _CROSS, 3 * _CROSS), draw)


def badge(text: str) -> Mark:
    """Return a number on the chosen path."""
    size = (width(text, palette.VALUES.size) + 0.17, 0.19)

    def draw(canvas: Canvas, at: Point) -> None:
        canvas.box(at, size, palette.WHITE, Pen(palette.BLUE, 1.1), rounding=1)
        canvas.text(at, text, Font(palette.VALUES.size, palette.BLUE, bold=True))

    return Mark(size, draw)


def note(text: str) -> Mark:
    """Return a small text on an arrow that is not chosen."""
    size = (width(text, palette.SCORE.size) + 0.05, 0.13)

    def draw(canvas: Canvas, at: Point) -> None:
        canvas.box(at, size, palette.WHITE, palette.NO_LINE, rounding=0.03)
        canvas.text(at, text, palette.SCORE)

    return Mark(size, draw)
