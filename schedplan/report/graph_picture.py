"""A state graph as a picture."""

from __future__ import annotations

from collections import Counter

from schedplan.report import palette
from schedplan.report.caption import Caption, Sample
from schedplan.report.diagram import Diagram
from schedplan.report.layout import Layout, lay_out, moving_axes
from schedplan.report.overview import Overview
from schedplan.report.picture import AnyCanvas, Picture
from schedplan.report.text import counted
from schedplan.report.view import GraphView

_MOST_BOXES = 200
_MOST_ARROWS = 800
"""Graphs with more states or transitions are shown as an overview."""

_MARGIN = 0.25
_LEGEND = 0.45


def graph_picture(view: GraphView) -> Picture:
    """Return the picture of a graph with all that is known about it."""

    def draw(sheet: type[AnyCanvas]) -> AnyCanvas:
        axes = moving_axes(view.graph)
        large = view.graph.states > _MOST_BOXES or view.graph.transitions > _MOST_ARROWS
        style = Overview(view, axes) if large else Diagram(view, axes)
        sizes = style.sizes()
        layout = lay_out(view.graph, axes, sizes)
        caption = Caption.of(view, style.note, style.meanings)
        canvas = _make_sheet(sheet, layout, caption, style.draw_sample)
        for panel in layout.panels:
            for heading in panel.headings:
                font = palette.HEADINGS[heading.kind]
                canvas.text(heading.at, heading.text, font, upright=heading.upright)
        style.draw(canvas, layout, sizes)
        return canvas

    return Picture(view.title or "The graph of states", _in_words(view), draw)


def _in_words(view: GraphView) -> str:
    """Return what the picture shows of a search."""
    kinds = Counter("chosen" if arrow.chosen else arrow.status for arrow in view.arrows)
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    path = " > ".join(["S0", *(arrow.target.label for arrow in view.path)]) if view.path else "none"
    states = counted(view.graph.states, "state")
    return f"{states}; transitions: {counts}. The chosen path: {path}."


def _make_sheet(
    sheet: type[AnyCanvas], layout: Layout, caption: Caption, sample: Sample
) -> AnyCanvas:
    """Return a sheet around a layout that lies at (0, 0), with its caption written."""
    (width, height), (caption_width, caption_height) = layout.size, caption.size
    sheet_width = max(width, caption_width) + 2 * _MARGIN
    left, bottom = (width - sheet_width) / 2, -_LEGEND - _MARGIN
    sheet_height = height + caption_height + _LEGEND + 3 * _MARGIN
    canvas = sheet((sheet_width, sheet_height), (left, bottom))
    top = bottom + sheet_height - _MARGIN
    caption.write(canvas, (left + _MARGIN, top), (width / 2, bottom + _MARGIN), sample)
    return canvas
