"""What is known about a graph's states and transitions: what every format shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from schedplan.graph import StateGraph, Transition
from schedplan.journal import Outcome, TrainingStatus, transition_key
from schedplan.knees import Mode
from schedplan.space import INITIAL, State


@dataclass(frozen=True)
class Arrow:
    """A transition, and how it ended if it has.

    Attributes:
        source: where it starts.
        target: where it leads.
        outcome: how it ended; None if it has not.
        chosen: whether the chosen path takes it.
        begun: the epochs trained so far, if it has begun and not ended; else None.
    """

    source: State
    target: State
    outcome: Outcome | None = None
    chosen: bool = False
    begun: int | None = None

    @property
    def status(self) -> TrainingStatus:
        """`done`, `pruned` or `failed`; `begun` or `waiting` if it has not ended."""
        if self.outcome:
            return self.outcome.status
        return "waiting" if self.begun is None else "begun"

    @property
    def epochs(self) -> int | None:
        """The epochs it adds to a path; None unless it is done."""
        return self.outcome.epoch if self.outcome and self.status == "done" else None

    @property
    def score(self) -> float | None:
        """The score that it led to; None unless it is done."""
        return self.outcome.score if self.outcome and self.status == "done" else None

    @property
    def reason(self) -> str | None:
        """Why it led to no model; None if it did, or has not ended."""
        return self.outcome.reason if self.outcome and self.status != "done" else None


@dataclass(frozen=True)
class GraphView:
    """A graph with everything known about it.

    Attributes:
        graph: the states and transitions.
        arrows: every transition, in the order of the graph.
        scores: the best score of every state that has one.
        chosen: the states on the chosen path.
        title: what to call it.
        metric: what a score is.
    """

    graph: StateGraph
    arrows: tuple[Arrow, ...]
    scores: Mapping[State, float]
    chosen: frozenset[State]
    title: str
    metric: str

    @classmethod
    def of(
        cls,
        graph: StateGraph,
        outcomes: Mapping[str, Outcome],
        path: Iterable[Transition],
        *,
        metric: str,
        mode: Mode,
        title: str = "",
        begun: Mapping[str, int] = {},
    ) -> GraphView:
        """Gather what is known; `outcomes` and the epochs of what is `begun` go by
        `transition_key`."""
        taken = set(path)

        def arrow(edge: Transition) -> Arrow:
            key = transition_key(edge)
            so_far = None if key in outcomes else begun.get(key)
            return Arrow(*edge, outcomes.get(key), chosen=edge in taken, begun=so_far)

        arrows = tuple(map(arrow, graph.dag.edges))
        return cls(
            graph=graph,
            arrows=arrows,
            scores=_best_scores(arrows, mode),
            chosen=frozenset(state for edge in taken for state in edge),
            title=title,
            metric=metric or "score",
        )

    @cached_property
    def known(self) -> bool:
        """Whether any transition has begun."""
        return any(arrow.status != "waiting" for arrow in self.arrows)

    @cached_property
    def path(self) -> list[Arrow]:
        """The chosen path, in its order."""
        rank = {state: position for position, state in enumerate(self.graph.order)}
        chosen = (arrow for arrow in self.arrows if arrow.chosen)
        return sorted(chosen, key=lambda arrow: rank[arrow.target])

    def role(self, state: State) -> str:
        """Return `initial`, `final` or `state`."""
        if state == INITIAL:
            return "initial"
        return "final" if state in self.graph.finals else "state"


def _best_scores(arrows: Iterable[Arrow], mode: Mode) -> dict[State, float]:
    better = max if mode == "max" else min
    scores: dict[State, float] = {}
    for arrow in arrows:
        if arrow.score is not None:
            scores[arrow.target] = better(scores.get(arrow.target, arrow.score), arrow.score)
    return scores
