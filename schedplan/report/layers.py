"""States in layers, for graphs in which more axes move than a table has sides.

A transition that passes a layer by has a lane of its own there, so that it runs through no state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from schedplan.graph import StateGraph, Transition
from schedplan.report.panel import Panel, Point, Sizes
from schedplan.space import INITIAL, State

_SWEEPS = 12
"""Rounds of reordering; more change hardly anything."""


@dataclass(frozen=True)
class _Item:
    """What takes room in a layer: a state, or a transition's lane past it."""

    depth: int
    state: State | None = None
    passing: Transition | None = None


def depths(graph: StateGraph) -> dict[State, int]:
    """Return the number of transitions of the longest path from `INITIAL` to every state."""
    depth = {INITIAL: 0}
    for state in graph.order[1:]:
        depth[state] = 1 + max(depth[source] for source in graph.dag.predecessors(state))
    return depth


def layered(
    graph: StateGraph, states: Sequence[State], depth: Mapping[State, int], sizes: Sizes
) -> Panel:
    """Return the panel of `states`, a column per depth, with few crossings."""
    edges = [edge for state in states for edge in graph.dag.in_edges(state)]
    chains = {edge: _chain(edge, depth, lanes=sizes.lane > 0) for edge in edges}
    layers = _layers(chains.values())
    rises = _untangle(layers, chains.values(), sizes)
    height = max(sum(_room(item, sizes) for item in layer) for layer in layers)
    column = {layer[0].depth: number for number, layer in enumerate(layers)}

    def place(item: _Item) -> Point:
        return _x(column[item.depth], sizes), height / 2 + rises[item]

    return Panel(
        places={
            item.state: place(item) for layer in layers for item in layer if item.state is not None
        },
        size=(_x(len(layers) - 1, sizes) + sizes.box[0] / 2, height),
        lanes={edge: tuple(map(place, chain[1:-1])) for edge, chain in chains.items()},
    )


def _x(column: int, sizes: Sizes) -> float:
    if column == 0:
        return sizes.initial / 2
    first = sizes.initial + sizes.gap[0] + sizes.box[0] / 2
    return first + (column - 1) * sizes.pitch[0]


def _chain(edge: Transition, depth: Mapping[State, int], lanes: bool) -> list[_Item]:
    """Return a transition's source, its lanes, and its target."""
    source, target = edge
    between = range(depth[source] + 1, depth[target]) if lanes else ()
    return [
        _Item(depth[source], state=source),
        *(_Item(each, passing=edge) for each in between),
        _Item(depth[target], state=target),
    ]


def _layers(chains: Iterable[Sequence[_Item]]) -> list[list[_Item]]:
    """Return all items by depth, each once, in the order of the chains."""
    layers: dict[int, dict[_Item, None]] = defaultdict(dict)
    for chain in chains:
        for item in chain:
            layers[item.depth][item] = None
    return [list(layers[depth]) for depth in sorted(layers)]


def _untangle(
    layers: Sequence[list[_Item]], chains: Iterable[Sequence[_Item]], sizes: Sizes
) -> dict[_Item, float]:
    """Reorder every layer by where its neighbours lie; return how high every item lies."""
    before: dict[_Item, list[_Item]] = defaultdict(list)
    after: dict[_Item, list[_Item]] = defaultdict(list)
    for chain in chains:
        for one, other in pairwise(chain):
            before[other].append(one)
            after[one].append(other)
    rises: dict[_Item, float] = {}
    for layer in layers:
        rises.update(_rises(layer, sizes))
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        near = before if forward else after
        for layer in layers if forward else reversed(layers):
            pull = {i: fmean(rises[n] for n in near[i]) if near[i] else rises[i] for i in layer}
            layer.sort(key=pull.__getitem__, reverse=True)
            rises.update(_rises(layer, sizes))
    return rises


def _rises(layer: Sequence[_Item], sizes: Sizes) -> dict[_Item, float]:
    """Return how high above the middle of its layer each item lies, the first at the top."""
    top = sum(_room(item, sizes) for item in layer) / 2
    rises: dict[_Item, float] = {}
    for item in layer:
        room = _room(item, sizes)
        rises[item] = top - room / 2
        top -= room
    return rises


def _room(item: _Item, sizes: Sizes) -> float:
    return sizes.lane if item.state is None else sizes.pitch[1]
