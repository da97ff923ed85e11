"""A white sheet of paper, measured in inches, with the few things a picture puts on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from typing import Literal, TypeAlias

import numpy as np

from schedplan.report.geometry import Array, part, points
from schedplan.report.panel import Point

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that a picture is the same on every machine."""

_DOTS_PER_INCH = 160
_MOST_DOTS = 6000
"""Along the longer side of a bitmap."""

_MOST_SHAPES = 5000
"""More lines than that go into a vector file as one bitmap, which stays small and quick."""

Stroke: TypeAlias = Literal["solid", "dashed", "dotted"]

_DASHES = {"solid": "solid", "dashed": (0.0, (4.0, 2.5)), "dotted": (0.0, (1.0, 2.0))}


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


class Canvas:
    """A sheet of `size` inches whose lower left corner is at `corner`.

    What is drawn later covers what was drawn before. Use it within `plain_style`.
    """

    def __init__(self, size: Point, corner: Point) -> None:
        # Without pyplot, which would keep every figure and choose a window system.
        from matplotlib.figure import Figure

        self._dpi = min(_DOTS_PER_INCH, _MOST_DOTS / max(size))
        self._figure = Figure(figsize=size, dpi=self._dpi, facecolor="white")
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(corner[0], corner[0] + size[0])
        self._axes.set_ylim(corner[1], corner[1] + size[1])
        self._order = count(1)

    def text(
        self,
        at: Point,
        text: str,
        font: Font,
        *,
        align: Literal["left", "center"] = "center",
        upright: bool = False,
    ) -> None:
        """Write one line, its middle, or the middle of its left end, at `at`."""
        self._axes.text(
            *at,
            text,
            size=font.size,
            color=font.color,
            family=FONT,
            weight="bold" if font.bold else "normal",
            ha=align,
            va="center" if upright else "center_baseline",
            rotation="vertical" if upright else "horizontal",
            parse_math=False,
            zorder=next(self._order),
        )

    def box(self, at: Point, size: Point, face: str, pen: Pen, rounding: float) -> None:
        """Draw a box with round corners, its middle at `at`."""
        from matplotlib.patches import BoxStyle, FancyBboxPatch

        patch = FancyBboxPatch(
            (at[0] - size[0] / 2, at[1] - size[1] / 2),
            *size,
            boxstyle=BoxStyle.Round(pad=0, rounding_size=min(rounding, *(s / 2 for s in size))),
            facecolor=face,
            edgecolor=pen.color,
            linewidth=pen.width,
            linestyle=_DASHES[pen.stroke],
            zorder=next(self._order),
        )
        self._axes.add_artist(patch)

    def arrow(self, curve: Array, pen: Pen) -> None:
        """Draw a curve that ends in an arrow head."""
        from matplotlib.patches import PathPatch, Polygon
        from matplotlib.path import Path

        shaft, head = _arrow(curve, 0.06 + 0.03 * pen.width)
        line = PathPatch(
            Path(shaft, [Path.MOVETO, *[Path.CURVE4] * (len(shaft) - 1)]),
            facecolor="none",
            edgecolor=pen.color,
            linewidth=pen.width,
            linestyle=_DASHES[pen.stroke],
            capstyle="butt",
            zorder=next(self._order),
        )
        self._axes.add_artist(line)
        self._axes.add_artist(
            Polygon(head, facecolor=pen.color, linewidth=0, zorder=next(self._order))
        )

    def lines(self, ends: Sequence[tuple[Point, Point]], pen: Pen) -> None:
        """Draw straight lines."""
        from matplotlib.collections import LineCollection

        collection = LineCollection(
            ends,
            colors=pen.color,
            linewidths=pen.width,
            linestyles=_DASHES[pen.stroke],
            rasterized=len(ends) > _MOST_SHAPES,
            zorder=next(self._order),
        )
        self._axes.add_collection(collection, autolim=False)

    def dots(self, at: Sequence[Point], diameter: float, face: str, pen: Pen) -> None:
        """Draw discs, their middles at `at`."""
        from matplotlib.collections import EllipseCollection

        sides = [diameter] * len(at)
        collection = EllipseCollection(
            sides,
            sides,
            [0.0] * len(at),
            units="inches",
            offsets=at,
            offset_transform=self._axes.transData,
            facecolors=face,
            edgecolors=pen.color,
            linewidths=pen.width,
            zorder=next(self._order),
        )
        self._axes.add_collection(collection, autolim=False)

    def png(self) -> bytes:
        """Return the sheet as a bitmap."""
        return self._save("png", {"Software": None})

    def svg(self, title: str) -> bytes:
        """Return the sheet as a vector graphic whose text is text."""
        return self._save("svg", {"Title": title, "Date": None})

    def _save(self, form: str, metadata: dict[str, str | None]) -> bytes:
        stream = BytesIO()
        self._figure.savefig(stream, format=form, dpi=self._dpi, metadata=metadata)
        return stream.getvalue()


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw in matplotlib's own style whatever the user has set, and the same bytes every time."""
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()
        rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "schedplan"})
        yield


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
