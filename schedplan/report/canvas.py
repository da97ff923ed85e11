"""A sheet of paper, measured in inches, with the few things a picture puts on it.

Pictures are drawn on any kind of sheet: `Bitmap` makes a PNG of it, `Vector` an SVG.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from schedplan.report.geometry import Array, part, points
from schedplan.report.panel import Point

FONT: Final = "DejaVu Sans"
"""Comes with matplotlib, so that texts are as wide on every machine."""

Stroke: TypeAlias = Literal["solid", "dashed", "dotted", "sparse", "dashdot"]

DASHES: Final[Mapping[str, tuple[float, ...]]] = {
    "dashed": (4.0, 2.5),
    "dotted": (1.0, 2.0),
    "sparse": (9.0, 6.0),
    "dashdot": (6.0, 2.0, 1.0, 2.0),
}
"""How long lines are on and off, in multiples of their width."""


@dataclass(frozen=True)
class Pen:
    """How a line is drawn; `width` is in points."""

    color: str
    width: float = 1.0
    stroke: Stroke = "solid"


@dataclass(frozen=True)
class Font:
    """How a text is written; `size` is in points."""

    size: float
    color: str
    bold: bool = False


Align: TypeAlias = Literal["left", "center", "right"]


class Canvas(ABC):
    """A sheet of `size` inches whose lower left corner is at `corner`.

    What is drawn later covers what was drawn before.
    """

    def __init__(self, size: Point, corner: Point = (0.0, 0.0)) -> None:
        self.size, self.corner = size, corner

    @abstractmethod
    def text(
        self, at: Point, text: str, font: Font, *, align: Align = "center", upright: bool = False
    ) -> None:
        """Write one line; its middle, or that of its left or right end, is at `at`."""

    @abstractmethod
    def box(self, at: Point, size: Point, face: str, pen: Pen, rounding: float) -> None:
        """Draw a box with round corners, its middle at `at`."""

    @abstractmethod
    def bezier(self, curve: Array, pen: Pen) -> None:
        """Draw a chain of cubic Bezier curves, as in `schedplan.report.geometry`."""

    @abstractmethod
    def polygon(self, corners: Array, face: str) -> None:
        """Fill the polygon with these corners, shape (n, 2)."""

    @abstractmethod
    def polyline(self, at: Array, pen: Pen) -> None:
        """Draw straight lines from point to point, shape (n, 2)."""

    @abstractmethod
    def lines(self, ends: Sequence[tuple[Point, Point]], pen: Pen) -> None:
        """Draw straight lines, each for itself."""

    @abstractmethod
    def dots(self, at: Sequence[Point], diameter: float, face: str, pen: Pen) -> None:
        """Draw discs, their middles at `at`."""

    def arrow(self, curve: Array, pen: Pen) -> None:
        """Draw a chain of Bezier curves that ends in an arrow head."""
        shaft, head = _arrow(curve, 0.06 + 0.03 * pen.width)
        self.bezier(shaft, pen)
        self.polygon(head, pen.color)


def _arrow(curve: Array, length: float) -> tuple[Array, Array]:
    """Return a curve cut off where its arrow head begins, and the head's corners."""
    at, last = np.linspace(0, 1, 201), curve[-4:]
    to_tip = last[-1] - points(last, at)
    distance = np.hypot(*to_tip.T)
    neck = max(int(np.argmax(distance < length)) - 1, 0)
    along = to_tip[neck] / distance[neck]
    base, aside = curve[-1] - length * along, 0.4 * length * np.array([-along[1], along[0]])
    shaft = np.concatenate([curve[:-4], part(last, 0, float(at[neck]))])
    return shaft, np.stack([curve[-1], base + aside, base - aside])
