"""The parts of a graph that share no state, and which of their states correspond."""

from __future__ import annotations

from collections.abc import Iterator

from schedplan.graph import StateGraph
from schedplan.pruning import Cut, Drop
from schedplan.space import INITIAL, State


class Parts:
    """Which part each state belongs to, the order in which states are settled, what was cut.

    States of different parts correspond if they have the same levels on all axes that move inside
    some part. States are ordered by the longest way to a final state, corresponding ones side by
    side, so that parts advance in lockstep.
    """

    def __init__(self, graph: StateGraph) -> None:
        self.graph = graph
        self.part = _components(graph)
        moving = _moving_axes(graph)
        hops: dict[State, int] = {}
        for state in reversed(graph.order):
            hops[state] = 1 + max((hops[s] for s in graph.dag.successors(state)), default=-1)
        self.key = {state: tuple(state[axis] for axis in moving) for state in graph.order if state}
        ordered = sorted(
            (s for s in graph.order if s), key=lambda s: (-hops[s], self.key[s], self.part[s])
        )
        self.position = {state: float(index) for index, state in enumerate(ordered)}
        self.position[INITIAL] = -1.0
        # keys in the order in which the last of the corresponding states is reached
        self.members: dict[tuple[int, ...], list[State]] = {}
        for state in ordered:
            self.members.setdefault(self.key[state], []).append(state)
        self.keys = list(self.members)
        self.key_index = {key: index for index, key in enumerate(self.keys)}
        self.closed: dict[State, float | None] = {}
        self.cuts: dict[int, int] = {}
        self.next = 0
        self.history: list[dict[int, float]] = []

    def states_cut(self, part: int) -> Iterator[State]:
        """Yield the states of a part that was cut, from the cut on."""
        return (s for s in self.part if self.part[s] == part and self.is_cut(s))

    def is_cut(self, state: State) -> bool:
        """Return whether `state` lies in a part that was cut before it."""
        cut = self.cuts.get(self.part[state]) if self.cuts else None
        return cut is not None and self.key_index[self.key[state]] > cut

    def close(self, state: State, value: float | None, cut: Cut) -> Iterator[tuple[int, Drop]]:
        """Note the value of a settled state; yield the parts cut because of it."""
        if not state:
            return
        self.closed[state] = value
        while self.next < len(self.keys):
            members = [
                s for s in self.members[self.keys[self.next]] if self.part[s] not in self.cuts
            ]
            if not all(s in self.closed for s in members):
                return
            values = {self.part[s]: v for s in members if (v := self.closed[s]) is not None}
            if len(members) > 1 or len(self.cuts):
                self.history.append(values)
                alive = set(self.part.values()) - set(self.cuts)
                for part, drop in cut.losers(self.history, alive).items():
                    self.cuts[part] = self.next
                    yield part, drop
            self.next += 1


def _components(graph: StateGraph) -> dict[State, int]:
    part: dict[State, int] = {}
    number = 0
    for start in graph.order:
        if not start or start in part:
            continue
        stack = [start]
        part[start] = number
        while stack:
            state = stack.pop()
            for near in (*graph.dag.successors(state), *graph.dag.predecessors(state)):
                if near and near not in part:
                    part[near] = number
                    stack.append(near)
        number += 1
    return part


def _moving_axes(graph: StateGraph) -> list[int]:
    moving = {
        axis
        for source, target in graph.dag.edges
        if source
        for axis, (a, b) in enumerate(zip(source, target, strict=True))
        if a != b
    }
    return sorted(moving)
