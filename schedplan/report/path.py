"""The best path of a search, rebuilt from how its transitions ended."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from schedplan.graph import StateGraph, Transition
from schedplan.journal import Outcome, transition_key
from schedplan.knees import Mode
from schedplan.solver import Label, best_label
from schedplan.space import INITIAL, State


def best_path(
    graph: StateGraph, outcomes: Mapping[str, Outcome], mode: Mode = "max"
) -> list[Transition]:
    """Return the path that a search with these outcomes chooses, from `INITIAL` to a final state.

    It is the path of the plan, stages of 0 epochs included. Of an unfinished search it is the
    path to the best final state settled so far; empty if there is none.

    Args:
        graph: what was searched.
        outcomes: how transitions ended, by `transition_key`; those that have not are left out.
        mode: whether scores are maximised (`max`) or minimised (`min`).

    Example:
        >>> from schedplan import Axis, Space, build_graph
        >>> from schedplan.graph import basic
        >>> space = Space((Axis("rate", (0.1, 0.01)),))
        >>> first, last = space.states()
        >>> graph = build_graph(space, basic(), [first], [last])
        >>> done = Outcome("done", "", 3, 0.5, (), "model", origin=None, seed=0, seconds=1.0)
        >>> best_path(graph, {"S0__0.1": done, "0.1__0.01": done})
        [(<State S0>, <State 0.1>), (<State 0.1>, <State 0.01>)]
        >>> best_path(graph, {"S0__0.1": done})
        []
    """
    rank = {state: position for position, state in enumerate(graph.order)}
    labels = _settle(graph, outcomes, rank, mode)
    finals = [label for final in graph.finals if (label := labels.get(final))]
    if not finals:
        return []
    states = [label.state for label in best_label(finals, rank, mode).path()]
    return list(pairwise(states))


def _settle(
    graph: StateGraph, outcomes: Mapping[str, Outcome], rank: Mapping[State, int], mode: Mode
) -> dict[State, Label | None]:
    """Return the best label of every settled state; None where everything into it failed."""
    labels: dict[State, Label | None] = {INITIAL: Label(INITIAL)}
    for state in graph.order[1:]:
        arrived: list[Label] = []
        for source in graph.dag.predecessors(state):
            if source not in labels:
                break
            previous = labels[source]
            outcome = outcomes.get(transition_key((source, state)))
            if previous and outcome is None:
                break
            if previous and outcome and outcome.status == "done":
                arrived.append(previous.extended(state, outcome))
        else:
            labels[state] = best_label(arrived, rank, mode) if arrived else None
    return labels
