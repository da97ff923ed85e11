"""A sheet as a bitmap, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import count
from typing import Any, Final

from schedplan.report.canvas import DASHES, FONT, Align, Canvas, Font, Pen
from schedplan.report.geometry import Array
from schedplan.report.panel import Point

_DOTS_PER_INCH: Final = 160
_MOST_DOTS: Final = 6000
"""Along the longer side."""


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw in matplotlib's own style whatever the user has set, and the same bytes every time."""
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()
        rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "schedplan"})
        yield


class Bitmap(Canvas):
    """A white sheet; use it within `plain_style`."""

    def __init__(self, size: Point, corner: Point = (0.0, 0.0)) -> None:
        # Without pyplot, which would keep every figure and choose a window system.
        from matplotlib.figure import Figure

        super().__init__(size, corner)
        self._dpi = min(_DOTS_PER_INCH, _MOST_DOTS / max(size))
        self._figure = Figure(figsize=size, dpi=self._dpi, facecolor="white")
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(corner[0], corner[0] + size[0])
        self._axes.set_ylim(corner[1], corner[1] + size[1])
        self._order = count(1)

    def text(
        self, at: Point, text: str, font: Font, *, align: Align = "center", upright: bool = False
    ) -> None:
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
        from matplotlib.patches import BoxStyle, FancyBboxPatch

        patch = FancyBboxPatch(
            (at[0] - size[0] / 2, at[1] - size[1] / 2),
            *size,
            boxstyle=BoxStyle.Round(pad=0, rounding_size=min(rounding, *(s / 2 for s in size))),
            facecolor=face,
            **self._edge(pen),
        )
        self._axes.add_artist(patch)

    def bezier(self, curve: Array, pen: Pen) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        path = Path(curve, [Path.MOVETO, *[Path.CURVE4] * (len(curve) - 1)])
        self._axes.add_artist(PathPatch(path, facecolor="none", capstyle="butt", **self._edge(pen)))

    def polygon(self, corners: Array, face: str) -> None:
        from matplotlib.patches import Polygon

        shape = Polygon(corners, facecolor=face, linewidth=0, zorder=next(self._order))
        self._axes.add_artist(shape)

    def polyline(self, at: Array, pen: Pen) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        self._axes.add_artist(PathPatch(Path(at), facecolor="none", **self._edge(pen)))

    def lines(self, ends: Sequence[tuple[Point, Point]], pen: Pen) -> None:
        from matplotlib.collections import LineCollection

        collection = LineCollection(
            ends,
            colors=pen.color,
            linewidths=pen.width,
            linestyles=_line_style(pen),
            zorder=next(self._order),
        )
        self._axes.add_collection(collection, autolim=False)

    def dots(self, at: Sequence[Point], diameter: float, face: str, pen: Pen) -> None:
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
        """Return the sheet as PNG."""
        stream = BytesIO()
        self._figure.savefig(stream, format="png", dpi=self._dpi, metadata={"Software": None})
        return stream.getvalue()

    def _edge(self, pen: Pen) -> dict[str, Any]:
        return {
            "edgecolor": pen.color,
            "linewidth": pen.width,
            "linestyle": _line_style(pen),
            "zorder": next(self._order),
        }


def _line_style(pen: Pen) -> Any:
    return (0.0, DASHES[pen.stroke]) if pen.stroke in DASHES else "solid"
