"""The colours, fonts and pens of all pictures; no two kinds differ in their hue alone."""

from __future__ import annotations

from schedplan.report.canvas import Font, Pen

INK, SOFT, GREY, PALE = "#1F2328", "#5B636C", "#8F979F", "#C9CED4"
BLUE, SKY, RED, WHITE = "#0072B2", "#E3F0F8", "#C04000", "#FFFFFF"

TITLE = Font(11, INK, bold=True)
SUBTITLE = Font(8.5, SOFT)
LEGEND = Font(8, INK)
HEADINGS = {
    "panel": Font(9.5, INK, bold=True),
    "axis": Font(8.5, SOFT),
    "level": Font(8.5, INK, bold=True),
}
VALUES = Font(8, INK)
SCORE = Font(7, SOFT)

NO_LINE = Pen("none", 0)
CHOSEN = Pen(BLUE, 2.4)
ARROWS = {
    "done": Pen(GREY, 0.9),
    "pruned": Pen(GREY, 0.7, "dotted"),
    "failed": Pen(GREY, 0.9, "dashed"),
    "waiting": Pen(PALE, 0.9),
}
"""Transitions that are not chosen, by their status."""
