"""A picture of a small graph: every state is a box, every transition an arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from schedplan.report import palette
from schedplan.report.canvas import Canvas, Font, Pen
from schedplan.report.geometry import arc
from schedplan.report.labels import ArrowLabel, place_labels
from schedplan.report.layout import Layout, is_table
from schedplan.report.marks import badge, cross, draw_box, draw_ring, note
from schedplan.report.panel import Panel, Point, Sizes
from schedplan.report.routes import Route, flowing_routes, obstacles, straight_routes
from schedplan.report.text import rounding, values, widest
from schedplan.report.view import Arrow, GraphView
from schedplan.space import INITIAL, State

_LINE = 0.16
"""The height of a line of text in a box."""

_PADDING = (0.24, 0.17)
_TABLE_GAP = (0.85, 0.62)
_LAYER_GAP = (0.95, 0.3)
_LANE = 0.2

_MOST_SCORES = 150
"""With more transitions than this, arrows are thin, close together and without scores."""

_THIN = 0.5


class Diagram:
    """Draws boxes and arrows.

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
        self._is_crowded = len(view.arrows) > _MOST_SCORES
        self._as_text = rounding(view.scores.values())
        self._end = view.path[-1].target if view.path else None
        named = axes or [axis.name for axis in view.graph.space.axes]
        self._lines = {s: values(s, named) for s in view.graph.order if s != INITIAL}
        self.note = self._note(named)
        self.meanings = {"chosen": "chosen path, with epochs", "done": "explored", "begun": "begun"}
        if not self._is_crowded:
            self.meanings["done"] += f", with epochs · {view.metric}"
            self.meanings["begun"] += ", with epochs so far"

    def sizes(self) -> Sizes:
        """Return the room that boxes and arrows take."""
        texts = [line for lines in self._lines.values() for line in lines]
        texts += map(self._as_text, self._view.scores.values())
        lines = max(map(len, self._lines.values())) + bool(self._view.scores)
        box = (widest(texts, palette.VALUES.size) + _PADDING[0], lines * _LINE + _PADDING[1])
        gap = _TABLE_GAP if self._is_table else _LAYER_GAP
        lane = _LANE * min(1, _MOST_SCORES / len(self._view.arrows))
        return Sizes(box, gap, lane, levels=True)

    def draw(self, canvas: Canvas, layout: Layout, sizes: Sizes) -> None:
        """Draw all panels, without their headings."""
        for panel in layout.panels:
            self._draw_panel(canvas, panel, sizes)

    def _draw_panel(self, canvas: Canvas, panel: Panel, sizes: Sizes) -> None:
        find = straight_routes if self._is_table else flowing_routes
        arrows = [arrow for arrow in self._view.arrows if arrow.target in panel.places]
        routes = find(panel, sizes, arrows)
        for route in sorted(routes, key=lambda route: route.arrow.chosen):
            canvas.arrow(route.curve, self._pen(route.arrow))
        for state, place in panel.places.items():
            self._draw_state(canvas, state, place, sizes)
        wanted = sorted(self._labels(routes), key=lambda label: not label.needed)
        for mark, place in place_labels(wanted, routes, obstacles(panel, sizes)):
            mark.draw(canvas, place)

    def draw_sample(self, canvas: Canvas, start: Point, end: Point, arrow: Arrow | None) -> None:
        """Draw what the legend shows: a transition, or a final state if `arrow` is None."""
        middle, size = ((start[0] + end[0]) / 2, start[1]), (0.8 * (end[0] - start[0]), 0.18)
        if arrow is None:
            draw_box(canvas, middle, size, palette.WHITE, Pen(palette.GREY))
            draw_ring(canvas, middle, size, palette.GREY)
            return
        canvas.arrow(arc(start, end, 0), self._pen(arrow))
        if arrow.status == "failed":
            cross().draw(canvas, middle)

    def _note(self, axes: Sequence[str]) -> str:
        """Return what stands in a state, in words."""
        best = [f"best {self._view.metric}"] if self._view.scores else []
        if self._is_table:
            return f"in each state: {', '.join([' · '.join(axes), *best])}" if best else ""
        return f"in each state, from above: {', '.join([*axes, *best])}"

    def _labels(self, routes: Sequence[Route]) -> Iterator[ArrowLabel]:
        for number, route in enumerate(routes):
            arrow = route.arrow
            if arrow.status == "failed":
                yield ArrowLabel(cross(), number, needed=True)
            elif arrow.chosen and arrow.epochs is not None:
                yield ArrowLabel(badge(str(arrow.epochs)), number, needed=True)
            elif self._is_crowded:
                continue
            elif arrow.begun is not None:
                yield ArrowLabel(note(str(arrow.begun)), number, needed=False)
            elif arrow.score is not None:
                text = f"{arrow.epochs} · {self._as_text(arrow.score)}"
                yield ArrowLabel(note(text), number, needed=False)

    def _pen(self, arrow: Arrow) -> Pen:
        if arrow.chosen:
            return palette.CHOSEN
        pen = palette.ARROWS[arrow.status if self._view.known else "done"]
        return replace(pen, width=_THIN) if self._is_crowded else pen

    def _draw_state(self, canvas: Canvas, state: State, at: Point, sizes: Sizes) -> None:
        if state == INITIAL:
            canvas.dots([at], sizes.initial, palette.INK, palette.NO_LINE)
            canvas.text(at, state.label, Font(8, palette.WHITE, bold=True))
            return
        face, pen, ink = self._look(state)
        draw_box(canvas, at, sizes.box, face, pen)
        if state in self._view.graph.finals:
            ring = palette.WHITE if state == self._end else pen.color
            draw_ring(canvas, at, sizes.box, ring)
        lines = [(line, Font(palette.VALUES.size, ink)) for line in self._lines[state]]
        if state in self._view.scores:
            score = self._as_text(self._view.scores[state])
            lines.append((score, Font(palette.VALUES.size, ink, bold=True)))
        for number, (line, font) in enumerate(lines):
            canvas.text((at[0], at[1] + ((len(lines) - 1) / 2 - number) * _LINE), line, font)

    def _look(self, state: State) -> tuple[str, Pen, str]:
        """Return the face, the border and the colour of the text of a state."""
        if state == self._end:
            return palette.BLUE, Pen(palette.BLUE, 1.6), palette.WHITE
        if state in self._view.chosen:
            return palette.SKY, Pen(palette.BLUE, 1.6), palette.INK
        if state in self._view.scores or not self._view.known:
            return palette.WHITE, Pen(palette.GREY), palette.INK
        return palette.WHITE, Pen(palette.GREY, 0.8, "dashed"), palette.SOFT
