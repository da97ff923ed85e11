"""A sheet as SVG: small, its text is text, and its colours may be left to a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from schedplan.report.canvas import DASHES, FONT, Align, Canvas, Font, Pen
from schedplan.report.geometry import Array
from schedplan.report.panel import Point
from schedplan.report.text import printable

_SCALE: Final = 72
"""Units of a drawing in an inch, so that they are points."""

_ANCHORS: Final = {"left": "start", "center": "middle", "right": "end"}

_COLOR: Final = re.compile('"(#[0-9A-F]{6})"')

_DIGIT: Final = 0.35
"""How far the baseline lies below the middle of digits and capitals, per size of the font."""


class Vector(Canvas):
    """A sheet whose elements are collected as text."""

    def __init__(self, size: Point, corner: Point = (0.0, 0.0)) -> None:
        super().__init__(size, corner)
        self._elements: list[str] = []

    def text(
        self, at: Point, text: str, font: Font, *, align: Align = "center", upright: bool = False
    ) -> None:
        x, y = self._at(at)
        middle = _DIGIT * font.size
        place = f'x="{_short(x)}" y="{_short(y + middle)}"'
        if upright:
            turned = f"translate({_short(x + middle)} {_short(y)}) rotate(-90)"
            place = f'transform="{turned}"'
        weight = ' font-weight="bold"' if font.bold else ""
        anchor = "" if align == "left" else f' text-anchor="{_ANCHORS[align]}"'
        self._elements.append(
            f'<text {place} font-size="{_short(font.size)}" fill="{font.color}"{weight}{anchor}>'
            f"{_escaped(text)}</text>"
        )

    def box(self, at: Point, size: Point, face: str, pen: Pen, rounding: float) -> None:
        x, y = self._at((at[0] - size[0] / 2, at[1] + size[1] / 2))
        width, height = (side * _SCALE for side in size)
        radius = min(rounding * _SCALE, width / 2, height / 2)
        shape = f'x="{_short(x)}" y="{_short(y)}" width="{_short(width)}" height="{_short(height)}"'
        corners = f' rx="{_short(radius)}"' if radius else ""
        self._elements.append(f'<rect {shape}{corners} fill="{face}"{_edge(pen)}/>')

    def bezier(self, curve: Array, pen: Pen) -> None:
        first, *others = self._all(curve)
        self._path(f"M{first}C{' '.join(others)}", pen)

    def polygon(self, corners: Array, face: str) -> None:
        way = " ".join(self._all(corners))
        self._elements.append(f'<path d="M{way}Z" fill="{face}"/>')

    def polyline(self, at: Array, pen: Pen) -> None:
        self._path(f"M{' '.join(self._all(at))}", pen)

    def lines(self, ends: Sequence[tuple[Point, Point]], pen: Pen) -> None:
        if ends:
            places = iter(self._all([place for each in ends for place in each]))
            self._path("".join(f"M{start} {next(places)}" for start in places), pen)

    def dots(self, at: Sequence[Point], diameter: float, face: str, pen: Pen) -> None:
        if pen.color == "none" and at:  # a line of no length with round ends is a disc
            discs = "".join(f"M{each}h0" for each in self._all(at))
            width = _short(diameter * _SCALE)
            self._elements.append(
                f'<path d="{discs}" stroke="{face}" stroke-width="{width}" stroke-linecap="round"/>'
            )
            return
        radius = _short(diameter * _SCALE / 2)
        look = f'r="{radius}" fill="{face}"{_edge(pen)}'
        for x, y in map(self._at, at):
            self._elements.append(f'<circle cx="{_short(x)}" cy="{_short(y)}" {look}/>')

    def svg(
        self,
        title: str,
        description: str = "",
        paper: str | None = None,
        color: Callable[[str], str] | None = None,
    ) -> str:
        """Return the sheet as an element that may stand in a page or in a file of its own.

        Args:
            title: what the picture is, for those who do not see it.
            description: what it shows, for them.
            paper: the colour of the sheet; None: that of what lies behind.
            color: turns a colour into another, such as one that the page decides on.
        """
        width, height = (_short(side * _SCALE) for side in self.size)
        about = f"<desc>{_escaped(description)}</desc>" if description else ""
        ground = [f'<rect width="100%" height="100%" fill="{paper}"/>'] if paper else []
        body = "\n".join([*ground, *self._elements])
        if color:  # texts hold no quotes: they are escaped
            body = _COLOR.sub(lambda found: f'"{color(found[1])}"', body)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}pt" height="{height}pt" role="img" '
            f'font-family="{FONT}, Verdana, sans-serif" fill="none">'
            f"<title>{_escaped(title)}</title>{about}\n{body}\n</svg>"
        )

    def _at(self, at: Point) -> Point:
        x, y = at
        return (x - self.corner[0]) * _SCALE, (self.corner[1] + self.size[1] - y) * _SCALE

    def _all(self, points: ArrayLike) -> list[str]:
        """Return points, shape (n, 2), as they stand in a path, to a tenth of a unit."""
        places = np.asarray(points, dtype=np.float64) - (self.corner[0], 0)
        places[:, 1] = self.corner[1] + self.size[1] - places[:, 1]
        return [f"{x:g} {y:g}" for x, y in (places * _SCALE).round(1).tolist()]

    def _path(self, way: str, pen: Pen) -> None:
        self._elements.append(f'<path d="{way}"{_edge(pen)}/>')


def _edge(pen: Pen) -> str:
    if pen.color == "none":
        return ""
    dashes = DASHES.get(pen.stroke)
    lengths = " ".join(_short(length * pen.width) for length in dashes or ())
    dashed = f' stroke-dasharray="{lengths}"' if dashes else ""
    return f' stroke="{pen.color}" stroke-width="{_short(pen.width)}"{dashed}'


def _short(number: float) -> str:
    """Return a number to a tenth of a point, or what is left of a finer one."""
    return f"{round(number, 1) or round(number, 2):g}"


def _escaped(text: str) -> str:
    """Return a text as it may stand in XML."""
    return escape(printable(text))
