"""What stands above a picture, and the legend below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from schedplan.report import palette
from schedplan.report.canvas import Canvas, Font
from schedplan.report.panel import Point
from schedplan.report.text import counted, width
from schedplan.report.view import Arrow, GraphView

Sample: TypeAlias = Callable[[Canvas, Point, Point, Arrow | None], None]
"""Draws an entry of the legend between two points; None stands for a final state."""

_LINE = 0.22
"""The height of a line of text."""

_SAMPLE = 0.38
_GAPS = (0.07, 0.32)
"""After a sample, and between entries of the legend."""


@dataclass(frozen=True)
class Caption:
    """The lines above a picture and the entries of its legend.

    Attributes:
        lines: texts with their fonts, from the top.
        entries: meanings with the arrow to show; None shows a final state.
    """

    lines: tuple[tuple[str, Font], ...]
    entries: tuple[tuple[str, Arrow | None], ...]

    @classmethod
    def of(cls, view: GraphView, note: str, meanings: Mapping[str, str]) -> Caption:
        """Return the caption of a picture.

        Args:
            view: what the picture shows.
            note: one more line, unless it is empty.
            meanings: what arrows mean that are `chosen`, and others that are `done` or `begun`.
        """
        texts = [(view.title, palette.TITLE), (_facts(view), palette.SUBTITLE)]
        texts.append((note, palette.SUBTITLE))
        entries = [*_arrow_entries(view, meanings), ("final state", None)]
        return cls(tuple(each for each in texts if each[0]), tuple(entries))

    @property
    def size(self) -> Point:
        """The width of the widest line or the legend, and the height of the lines."""
        # Bold text is wider than measured.
        lines = (width(text, font.size) * (1.12 if font.bold else 1) for text, font in self.lines)
        return max(*lines, self._legend_width), _LINE * len(self.lines)

    @property
    def _legend_width(self) -> float:
        return sum(_entry_width(meaning) for meaning, _ in self.entries) - _GAPS[1]

    def write(self, canvas: Canvas, top_left: Point, bottom: Point, sample: Sample) -> None:
        """Write the lines from `top_left` down, and the legend with its middle at `bottom`."""
        for number, (text, font) in enumerate(self.lines):
            at = (top_left[0], top_left[1] - (number + 0.5) * _LINE)
            canvas.text(at, text, font, align="left")
        x, y = bottom[0] - self._legend_width / 2, bottom[1]
        for meaning, arrow in self.entries:
            sample(canvas, (x, y), (x + _SAMPLE, y), arrow)
            at = (x + _SAMPLE + _GAPS[0], y)
            canvas.text(at, meaning, palette.LEGEND, align="left")
            x += _entry_width(meaning)


def _facts(view: GraphView) -> str:
    """Return in words how large the graph is and what a search has found in it."""
    status = Counter[str](arrow.status for arrow in view.arrows)
    kinds = {"failed": "failed", "pruned": "pruned", "begun": "begun", "waiting": "not trained"}
    known = kinds.items() if view.known else ()
    troubles = [f"{status[kind]:,} {name}" for kind, name in known if status[kind]]
    parts = [
        f"{counted(view.graph.states, 'state')}, {counted(len(view.arrows), 'transition')}"
        + (f" ({', '.join(troubles)})" if troubles else "")
    ]
    last = view.path[-1].score if view.path else None
    if last is not None:
        epochs = sum(arrow.epochs or 0 for arrow in view.path)
        parts.append(f"{view.metric} {last:.4g} after {counted(epochs, 'epoch')}")
    return "; ".join(parts)


def _arrow_entries(view: GraphView, meanings: Mapping[str, str]) -> Iterator[tuple[str, Arrow]]:
    """Yield what the legend says about arrows, for the kinds that there are."""
    first: dict[str, Arrow] = {}
    for arrow in view.arrows:
        first.setdefault("chosen" if arrow.chosen else arrow.status, arrow)
    waiting = "not trained" if view.known else "transition"
    ends = {"pruned": "pruned", "failed": "failed", "waiting": waiting}
    for kind, meaning in {**meanings, **ends}.items():
        if kind in first:
            yield meaning, first[kind]


def _entry_width(meaning: str) -> float:
    return _SAMPLE + width(meaning, palette.LEGEND.size) + sum(_GAPS)
