"""States as a table: the last moving axis across, the one before it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import sub
from statistics import fmean

from schedplan.graph import StateGraph
from schedplan.report.panel import HEADING_LINE, HEADING_POINTS, Heading, Panel, Sizes
from schedplan.report.text import widest
from schedplan.space import INITIAL, State

_ARC_ROOM = 0.45
"""Room above and below the table for arrows that pass by a state."""


@dataclass(frozen=True)
class Scale:
    """The rows or the columns of a table.

    Attributes:
        axis: the axis' name; empty if there is but one row or column.
        labels: what each row or column stands for.
        index: the row or column of a level.
    """

    axis: str = ""
    labels: tuple[str, ...] = ("",)
    index: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: StateGraph, name: str) -> Scale:
        """Return the scale of an axis, of the levels that some state of `graph` has."""
        axis = graph.space.axes[graph.space.position(name)]
        levels = sorted({state.level(name) for state in graph.order if state != INITIAL})
        labels = tuple(axis.labels[level] for level in levels)
        return cls(name, labels, {level: index for index, level in enumerate(levels)})

    def __call__(self, state: State) -> int:
        """Return the row or column that `state` belongs into."""
        return self.index[state.level(self.axis)] if self.axis else 0


@dataclass(frozen=True)
class StateTable:
    """A table, the same for all panels of a graph.

    Attributes:
        rows: what its rows stand for.
        columns: what its columns stand for.
        sizes: how much room states take.
        margin: the room above and below that arrows need.
    """

    rows: Scale
    columns: Scale
    sizes: Sizes
    margin: float

    @classmethod
    def of(cls, graph: StateGraph, axes: Sequence[str], sizes: Sizes) -> StateTable:
        """Return the table over at most two `axes`, the names of those that move."""
        rows, columns = [Scale(), Scale(), *(Scale.of(graph, name) for name in axes)][-2:]
        arcs = any(map(columns, graph.starts)) or _has_jump(graph)
        return cls(rows, columns, sizes, _ARC_ROOM if arcs else 0.0)

    def panel(self, states: Sequence[State], starts: Sequence[State]) -> Panel:
        """Return the panel of `states`; `INITIAL` lies level with those of `starts` in it."""
        places = {
            state: (self._x(self.columns(state)), self._y(self.rows(state))) for state in states
        }
        middle = fmean(places[start][1] for start in starts if start in places)
        return Panel(
            places={INITIAL: (self._left + self.sizes.initial / 2, middle), **places},
            size=(self._x(len(self.columns.labels) - 1) + self.sizes.box[0] / 2, self._height),
            headings=(*self._row_headings(), *self._column_headings()),
        )

    @property
    def _left(self) -> float:
        """Where the row headings end."""
        if not self.rows.axis:
            return 0.0
        labels = self.rows.labels if self.sizes.levels else ()
        return HEADING_LINE + widest(labels, HEADING_POINTS) + HEADING_LINE

    @property
    def _height(self) -> float:
        header = 0.0 if not self.columns.axis else (3 if self.sizes.levels else 2) * HEADING_LINE
        return self._y(0) + self.sizes.box[1] / 2 + self.margin + header

    def _x(self, column: int) -> float:
        first = self._left + self.sizes.initial + self.sizes.gap[0] + self.sizes.box[0] / 2
        return first + column * self.sizes.pitch[0]

    def _y(self, row: int) -> float:
        below = len(self.rows.labels) - 1 - row
        return self.margin + self.sizes.box[1] / 2 + below * self.sizes.pitch[1]

    def _row_headings(self) -> list[Heading]:
        middle = (self._y(0) + self._y(len(self.rows.labels) - 1)) / 2
        axis = Heading(self.rows.axis, (HEADING_LINE / 2, middle), "axis", upright=True)
        x = (HEADING_LINE + self._left) / 2
        levels = [
            Heading(label, (x, self._y(row)), "level") for row, label in enumerate(self.rows.labels)
        ]
        return self._shown(axis, levels)

    def _column_headings(self) -> list[Heading]:
        last = len(self.columns.labels) - 1
        axis = Heading(
            self.columns.axis,
            ((self._x(0) + self._x(last)) / 2, self._height - HEADING_LINE / 2),
            "axis",
        )
        y = self._height - 1.5 * HEADING_LINE
        levels = [
            Heading(label, (self._x(column), y), "level")
            for column, label in enumerate(self.columns.labels)
        ]
        return self._shown(axis, levels)

    def _shown(self, axis: Heading, levels: list[Heading]) -> list[Heading]:
        if not axis.text:
            return []
        return [axis, *levels] if self.sizes.levels else [axis]


def _has_jump(graph: StateGraph) -> bool:
    """Return whether some transition moves an axis by more than one level."""
    edges = (edge for edge in graph.dag.edges if edge[0] != INITIAL)
    return any(max(map(abs, map(sub, *edge))) > 1 for edge in edges)
