"""Where the states of a graph lie in a picture.

An axis that no transition moves along divides the graph into panels. Within a panel, up to two
moving axes span a table; more are laid out in layers, by the longest path from the start.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from schedplan.graph import StateGraph
from schedplan.report.layers import depths, layered
from schedplan.report.panel import Panel, Point, Sizes
from schedplan.report.table import StateTable
from schedplan.space import INITIAL, State

_ASPECT = 1.5
"""Panels are arranged so that the whole comes near this ratio of width to height."""

_BETWEEN = (0.5, 0.35)
"""Room between panels, across and down."""


@dataclass(frozen=True)
class Layout:
    """Where everything lies.

    Attributes:
        panels: one per combination of the values that never change.
        size: width and height of all panels together.
    """

    panels: tuple[Panel, ...]
    size: Point


def lay_out(graph: StateGraph, axes: Sequence[str], sizes: Sizes) -> Layout:
    """Return the places of all states of `graph`, whose moving axes are `axes`."""
    groups = _divide(graph, axes)
    if is_table(axes):
        table = StateTable.of(graph, axes, sizes)
        starts = set(graph.starts)
        panels = [
            table.panel(group, [s for s in group if s in starts]) for group in groups.values()
        ]
    else:
        depth = depths(graph)
        panels = [layered(graph, group, depth, sizes) for group in groups.values()]
    return _arrange([panel.titled(t) for t, panel in zip(groups, panels, strict=True)])


def moving_axes(graph: StateGraph) -> tuple[str, ...]:
    """Return the names of the axes that some transition moves along, in the space's order."""
    edges = [edge for edge in graph.dag.edges if edge[0] != INITIAL]
    return tuple(
        axis.name
        for position, axis in enumerate(graph.space.axes)
        if any(source[position] != target[position] for source, target in edges)
    )


def is_table(axes: Sequence[str]) -> bool:
    """Return whether so many moving axes are shown as a table, and not in layers."""
    return len(axes) <= 2


def _divide(graph: StateGraph, axes: Sequence[str]) -> dict[str, list[State]]:
    """Return the states of each panel by the panel's title."""
    fixed = [axis for axis in graph.space.axes if axis.name not in axes]
    groups: dict[str, list[State]] = defaultdict(list)
    for state in sorted(state for state in graph.order if state != INITIAL):
        parts = (f"{axis.name}: {axis.labels[state.level(axis.name)]}" for axis in fixed)
        groups[", ".join(parts)].append(state)
    return groups


def _arrange(panels: Sequence[Panel]) -> Layout:
    """Put the panels side by side and below each other, in cells of one size."""
    width = max(panel.size[0] for panel in panels) + _BETWEEN[0]
    height = max(panel.size[1] for panel in panels) + _BETWEEN[1]

    def strain(columns: int) -> float:
        rows = math.ceil(len(panels) / columns)
        return abs(math.log(columns * width / (rows * height * _ASPECT)))

    columns = min(range(1, len(panels) + 1), key=strain)
    rows = math.ceil(len(panels) / columns)
    moved = [
        panel.moved(
            number % columns * width + (width - _BETWEEN[0] - panel.size[0]) / 2,
            (rows - 1 - number // columns) * height + (height - _BETWEEN[1] - panel.size[1]) / 2,
        )
        for number, panel in enumerate(panels)
    ]
    size = (columns * width - _BETWEEN[0], rows * height - _BETWEEN[1])
    return Layout(tuple(moved), size)
