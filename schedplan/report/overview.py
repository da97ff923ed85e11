"""A picture of a large graph: states are dots, transitions are thin lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from math import ceil

from schedplan.report import palette
from schedplan.report.canvas import Canvas, Font, Pen
from schedplan.report.layout import Layout, is_table
from schedplan.report.panel import Panel, Point, Sizes
from schedplan.report.view import Arrow, GraphView
from schedplan.space import INITIAL

_DOT, _LARGE_DOT, _RING = 0.07, 0.11, 0.18
"""The diameters of states, of those on the chosen path, and of the ring around final states."""

_LINES = {
    "waiting": Pen(palette.GREY, 0.3, "sparse"),
    "begun": Pen(palette.GREY, 0.4, "dashdot"),
    "pruned": Pen(palette.GREY, 0.4, "dotted"),
    "done": Pen(palette.GREY, 0.4),
    "failed": Pen(palette.RED, 0.7, "dashed"),
}
_MOST_LINES = 40_000
"""More would only be a grey area, and take minutes to draw."""


class Overview:
    """Draws dots and lines.

    Args:
        view: what to show.
        axes: the names of the moving axes.

    Attributes:
        note: what a reader has to be told.
        meanings: what arrows mean that are `chosen`, and others that are `done` or `begun`.
    """

    def __init__(self, view: GraphView, axes: Sequence[str]) -> None:
        self._view = view
        self._is_table = is_table(axes)
        self._step = ceil(len(view.arrows) / _MOST_LINES)
        self.meanings = {"chosen": "chosen path", "done": "explored", "begun": "begun"}
        self.note = f"one in {self._step} transitions is drawn" if self._step > 1 else ""

    def sizes(self) -> Sizes:
        """Return the room that dots and lines take."""
        gap = (0.3, 0.3) if self._is_table else (0.5, 0.06)
        return Sizes((_DOT, _DOT), gap, lane=0, levels=False)

    def draw(self, canvas: Canvas, layout: Layout, sizes: Sizes) -> None:
        """Draw all panels, without their headings."""
        for panel in layout.panels:
            for status, pen in _LINES.items():
                kin = (arrow for arrow in self._view.arrows if arrow.status == status)
                _draw_lines(canvas, panel, islice(kin, 0, None, self._step), pen)
            _draw_lines(canvas, panel, self._view.path, palette.CHOSEN)
            self._draw_states(canvas, panel)

    def draw_sample(self, canvas: Canvas, start: Point, end: Point, arrow: Arrow | None) -> None:
        """Draw what the legend shows: a transition, or a final state if `arrow` is None."""
        if arrow is None:
            middle = ((start[0] + end[0]) / 2, start[1])
            canvas.dots([middle], _RING, palette.WHITE, Pen(palette.INK, 0.9))
            canvas.dots([middle], _DOT, palette.SOFT, palette.NO_LINE)
            return
        canvas.lines([(start, end)], palette.CHOSEN if arrow.chosen else _LINES[arrow.status])

    def _draw_states(self, canvas: Canvas, panel: Panel) -> None:
        places, chosen, finals = panel.places, self._view.chosen, set(self._view.graph.finals)
        ends = [place for state, place in places.items() if state in finals]
        taken = [place for state, place in places.items() if state in chosen]
        others = [place for state, place in places.items() if state not in chosen]
        canvas.dots(ends, _RING, palette.WHITE, Pen(palette.INK, 0.9))
        canvas.dots(others, _DOT, palette.SOFT, palette.NO_LINE)
        canvas.dots(taken, _LARGE_DOT, palette.BLUE, palette.NO_LINE)
        x, y = places[INITIAL]
        canvas.dots([(x, y)], _LARGE_DOT, palette.INK, palette.NO_LINE)
        canvas.text((x, y + 0.18), INITIAL.label, Font(8, palette.INK, bold=True))


def _draw_lines(canvas: Canvas, panel: Panel, arrows: Iterable[Arrow], pen: Pen) -> None:
    places = panel.places
    here = (arrow for arrow in arrows if arrow.target in places)
    ends = [(places[arrow.source], places[arrow.target]) for arrow in here]
    if ends:
        canvas.lines(ends, pen)
