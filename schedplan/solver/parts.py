"""The parts of a graph that share no state, and which of their states correspond."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from schedplan.graph import Levels, StateGraph
from schedplan.pruning import Cut, Drop
from schedplan.space import INITIAL, State


class Measured(NamedTuple):
    """The best score found for a state, and the noise of a measurement under it."""

    value: float
    noise: float


class Parts:
    """Which part each state belongs to, the order in which states are settled, what was cut.

    States of different parts correspond if they have the same levels on all axes that move inside
    some part. States are ordered by the longest way to a final state, corresponding ones side by
    side, so that parts advance in lockstep.

    Args:
        graph: what is searched.

    Attributes:
        part: the number of every state's part.
        position: of every state in that order; `INITIAL` comes first.
        cuts: the parts that were cut, and after which group of corresponding states.
    """

    def __init__(self, graph: StateGraph) -> None:
        self.part: Mapping[State, int] = _components(graph)
        moving = _moving_axes(self.part, len(graph.space.axes))
        key = {state: tuple([state[axis] for axis in moving]) for state in self.part}
        hops = _hops(graph)
        ordered = sorted(self.part, key=lambda s: (-hops[s], key[s], self.part[s]))
        self.position = {state: index for index, state in enumerate((INITIAL, *ordered))}
        self._alive = set(self.part.values())
        self.several = len(self._alive) > 1
        groups: defaultdict[Levels, list[State]] = defaultdict(list)
        for state in ordered if self.several else ():  # one part has nothing to be compared with
            groups[key[state]].append(state)
        self._groups = list(groups.values())
        self._group = {s: index for index, group in enumerate(self._groups) for s in group}
        self.cuts: dict[int, int] = {}
        self._values: dict[State, Measured | None] = {}
        self._next = 0
        self._history: list[dict[int, float]] = []

    def states_cut(self, part: int) -> Iterator[State]:
        """Yield the states of a part that was cut, from the cut on."""
        return (s for s in self.part if self.part[s] == part and self.is_cut(s))

    def is_cut(self, state: State) -> bool:
        """Return whether `state` lies in a part that was cut before it."""
        if not self.cuts:
            return False
        cut = self.cuts.get(self.part.get(state, -1))
        return cut is not None and self._group[state] > cut

    def settle(self, state: State, best: Measured | None, rule: Cut) -> Iterator[tuple[int, Drop]]:
        """Note what a settled state is worth, None if it has no model; yield what is cut therefore.

        Groups are compared in their order, each once all its states in live parts are settled, so
        that what is cut does not depend on the order in which states are settled.
        """
        self._values[state] = best
        while self._next < len(self._groups):
            group = [s for s in self._groups[self._next] if self.part[s] in self._alive]
            if not all(s in self._values for s in group):
                return
            if len(group) > 1:
                found = {self.part[s]: best for s in group if (best := self._values[s])}
                self._history.append({part: best.value for part, best in found.items()})
                noise = max((best.noise for best in found.values()), default=0.0)
                for part, drop in rule.losers(self._history, self._alive, noise).items():
                    self.cuts[part] = self._next
                    yield part, drop
                self._alive -= set(self.cuts)
            self._next += 1

    def revive(self) -> list[State]:
        """Take back every cut; return the states that had been cut off."""
        states = [state for part in self.cuts for state in self.states_cut(part)]
        self.cuts.clear()
        return states


def _components(graph: StateGraph) -> dict[State, int]:
    """Number the parts that are connected without `INITIAL`."""
    dag = graph.dag
    part = {INITIAL: -1}
    number = 0
    for first in graph.order:
        if first in part:
            continue
        part[first] = number
        reached = [first]
        for state in reached:
            for near in chain(dag.successors(state), dag.predecessors(state)):
                if near not in part:
                    part[near] = number
                    reached.append(near)
        number += 1
    del part[INITIAL]
    return part


def _hops(graph: StateGraph) -> dict[State, int]:
    """Return the number of transitions on the longest way from every state."""
    hops: dict[State, int] = {}
    for state in reversed(graph.order):
        hops[state] = 1 + max(map(hops.__getitem__, graph.dag.successors(state)), default=-1)
    return hops


def _moving_axes(part: Mapping[State, int], axes: int) -> list[int]:
    """Return the positions of the axes that some transition moves along.

    Transitions connect the states of a part, so these are the axes on which some of them differ.
    """
    any_of = {number: state for state, number in part.items()}
    still = list(range(axes))
    for state, number in part.items():
        if not still:
            break
        still = [axis for axis in still if state[axis] == any_of[number][axis]]
    return [axis for axis in range(axes) if axis not in still]
