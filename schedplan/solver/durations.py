"""What transitions take, learned from those that have ended, to train the longest way first."""

from __future__ import annotations

from collections import defaultdict

from schedplan.graph import StateGraph
from schedplan.space import State

_TYPICAL_EPOCHS = 25.0  # of a transition, before any has ended


class Durations:
    """Expected seconds of every transition, by the state that is trained.

    Args:
        graph: what is searched.
    """

    def __init__(self, graph: StateGraph) -> None:
        self._graph = graph
        self._ended, self._epochs_ended = 0, 0
        self._seconds: dict[State, float] = defaultdict(float)
        self._epochs: dict[State, int] = defaultdict(int)
        self._next = 1

    def learn(self, state: State, epochs: int, seconds: float, ended: bool) -> bool:
        """Take in a slice of training; return whether enough is new to look again."""
        self._seconds[state] += seconds
        self._epochs[state] += epochs
        self._epochs_ended += epochs
        self._ended += ended
        if self._ended < self._next:
            return False
        self._next = 2 * self._ended
        return True

    def seconds_per_epoch(self, state: State) -> float | None:
        """Return what an epoch under `state` takes, or any epoch if it was never trained."""
        if self._epochs.get(state):
            return self._seconds[state] / self._epochs[state]
        epochs = sum(self._epochs.values())
        return sum(self._seconds.values()) / epochs if epochs else None

    def remaining(self) -> dict[State, float]:
        """Return the expected seconds of the longest way from every state, its own included."""
        typical = self._epochs_ended / self._ended if self._ended else _TYPICAL_EPOCHS
        overall = self.seconds_per_epoch(self._graph.order[0]) or 1.0
        remaining: dict[State, float] = {}
        for state in reversed(self._graph.order):
            own = self.seconds_per_epoch(state) if self._epochs.get(state) else overall
            after = max((remaining[s] for s in self._graph.dag.successors(state)), default=0.0)
            remaining[state] = after + typical * (own or overall)
        return remaining
