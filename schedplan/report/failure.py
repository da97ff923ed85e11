"""What a run has failed by, in words; empty while there is a way to its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from schedplan.graph import StateGraph, Transition
from schedplan.journal import Outcome, transition_key
from schedplan.report.content import Training
from schedplan.solver.solve import failure_in_words
from schedplan.space import INITIAL


def search_failure(graph: StateGraph, trainings: Mapping[Transition, Sequence[Outcome]]) -> str:
    """Return what has failed, if no final state can be reached without it.

    Args:
        graph: what is searched.
        trainings: how those of every transition have ended, see `ended_trainings`.
    """
    failed = {
        edge: outcomes[0].reason
        for edge, outcomes in trainings.items()
        if all(outcome.status == "failed" for outcome in outcomes)
    }
    reached = nx.descendants(nx.restricted_view(graph.dag, (), failed), INITIAL)
    if not reached.isdisjoint(graph.finals):
        return ""
    return failure_in_words([f"{transition_key(edge)}: {why}" for edge, why in failed.items()])


def replay_failure(stages: Iterable[Training]) -> str:
    """Return which stage has failed, and why."""
    failed = (each for each in stages if each.status == "failed")
    return next((f"{each.key} ({each.target}): {each.reason}" for each in failed), "")
