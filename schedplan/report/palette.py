"""The colours, fonts and pens of all pictures.

Blue and red are the blue and a darker vermillion of Okabe and Ito, which colour-blind readers tell
apart. On white, what is drawn has a contrast of 3 or more and text of 4.5; no two kinds differ in
their hue alone.
"""

from __future__ import annotations

from typing import Final

from schedplan.report.canvas import Font, Pen

INK, SOFT, GREY, PALE = "#1F2328", "#59616A", "#7B838B", "#D5DAE0"
BLUE, SKY, RED, WHITE = "#0072B2", "#E3F0F8", "#C04000", "#FFFFFF"

NAMES: Final = {
    INK: "ink",
    SOFT: "soft",
    GREY: "grey",
    PALE: "pale",
    BLUE: "blue",
    SKY: "sky",
    RED: "red",
    WHITE: "paper",
}
"""What a page calls these colours, which are others in the dark."""

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
TICKS = Font(7.5, SOFT)

NO_LINE = Pen("none", 0)
CURVE = Pen(BLUE, 1.5)
CHOSEN = Pen(BLUE, 2.4)
ARROWS = {
    "done": Pen(GREY, 0.9),
    "pruned": Pen(GREY, 0.9, "dotted"),
    "failed": Pen(RED, 0.9, "dashed"),
    "begun": Pen(GREY, 0.9, "dashdot"),
    "waiting": Pen(GREY, 0.6, "sparse"),
}
"""Transitions that are not chosen, by their status."""
