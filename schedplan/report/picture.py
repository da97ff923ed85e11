"""A state graph as a picture: a bitmap, or a vector graphic whose text stays text."""

from __future__ import annotations

from schedplan.report import palette
from schedplan.report.canvas import Canvas, plain_style
from schedplan.report.caption import Caption, Sample
from schedplan.report.diagram import Diagram
from schedplan.report.layout import Layout, lay_out, moving_axes
from schedplan.report.overview import Overview
from schedplan.report.view import GraphView

_MOST_BOXES = 200
_MOST_ARROWS = 800
"""Graphs with more states or transitions are shown as an overview."""

_MARGIN = 0.25
_LEGEND = 0.45


def svg(view: GraphView) -> bytes:
    """Return the picture as SVG."""
    with plain_style():
        return _draw(view).svg(view.title)


def png(view: GraphView) -> bytes:
    """Return the picture as PNG."""
    with plain_style():
        return _draw(view).png()


def _draw(view: GraphView) -> Canvas:
    axes = moving_axes(view.graph)
    large = view.graph.states > _MOST_BOXES or view.graph.transitions > _MOST_ARROWS
    style = Overview(view, axes) if large else Diagram(view, axes)
    sizes = style.sizes()
    layout = lay_out(view.graph, axes, sizes)
    caption = Caption.of(view, style.note, style.meanings)
    canvas = _sheet(layout, caption, style.draw_sample)
    for panel in layout.panels:
        for heading in panel.headings:
            font = palette.HEADINGS[heading.kind]
            canvas.text(heading.at, heading.text, font, upright=heading.upright)
    style.draw(canvas, layout, sizes)
    return canvas


def _sheet(layout: Layout, caption: Caption, sample: Sample) -> Canvas:
    """Return a sheet around a layout that lies at (0, 0), with its caption written."""
    (width, height), (caption_width, caption_height) = layout.size, caption.size
    sheet_width = max(width, caption_width) + 2 * _MARGIN
    left, bottom = (width - sheet_width) / 2, -_LEGEND - _MARGIN
    sheet_height = height + caption_height + _LEGEND + 3 * _MARGIN
    canvas = Canvas((sheet_width, sheet_height), (left, bottom))
    top = bottom + sheet_height - _MARGIN
    caption.write(canvas, (left + _MARGIN, top), (width / 2, bottom + _MARGIN), sample)
    return canvas
