"""A plan with one state left out, or one more (paper, section 5.4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from schedplan.baselines.strategy import Strategy
from schedplan.graph import StateGraph
from schedplan.plan import Plan, Stage
from schedplan.space import INITIAL


def variants(graph: StateGraph, plan: Plan) -> list[Strategy]:
    """Return the plan without each of its stages in turn, and with every state more that fits.

    A state fits between two stages, or before the first, if there are transitions to it and from it
    on; it gets as many epochs as its neighbours on average. All variants train for as many epochs
    as the plan, in the plan's proportions, so that what differs is the path and not the length.

    Args:
        graph: what was searched.
        plan: what was found.

    Example:
        >>> from schedplan import Axis, Space
        >>> from schedplan.graph import any_onward, build_graph
        >>> space = Space((Axis("rate", (0.1, 0.01, 0.001)),))
        >>> graph = build_graph(space, any_onward(), space.select({"rate": [0.1, 0.01]}),
        ...     space.select({"rate": "last"}))
        >>> stages = (
        ...     Stage("0.1", {"rate": 0.1}, 30, score=None, observed=None, seed=0),
        ...     Stage("0.001", {"rate": 0.001}, 10, score=None, observed=None, seed=0),
        ... )
        >>> plan = Plan("demo", "top1", "max", score=None, stages=stages)
        >>> for variant in variants(graph, plan):
        ...     print(variant.name, [stage.epochs for stage in variant.plan.stages])
        without 0.1 [40]
        without 0.001 [40]
        with 0.01 [20, 13, 7]
    """
    stages = plan.stages
    found = [
        _variant(plan, f"without {stage.state}", (*stages[:place], *stages[place + 1 :]))
        for place, stage in enumerate(stages)
        if len(stages) > 1
    ]
    for place, stage in _insertions(graph, stages):
        among = (*stages[:place], stage, *stages[place:])
        found.append(_variant(plan, f"with {stage.state}", among))
    return found


def _insertions(graph: StateGraph, stages: Sequence[Stage]) -> Iterator[tuple[int, Stage]]:
    """Yield what may be inserted, and the place that it then has."""
    states = {state.label: state for state in graph.order}
    for place, after in enumerate(stages):
        before = stages[place - 1] if place else None
        source = states[before.state] if before else INITIAL
        epochs = [stage.epochs for stage in (before, after) if stage]
        for state in graph.dag.successors(source):
            if graph.dag.has_edge(state, states[after.state]):
                stage = Stage(
                    state=state.label,
                    params=state.space.params(state),
                    epochs=math.ceil(sum(epochs) / len(epochs)),
                    score=None,
                    observed=None,
                    seed=0,
                )
                yield place, stage


def _variant(plan: Plan, name: str, stages: Sequence[Stage]) -> Strategy:
    """Return a plan of `stages`, as long as `plan` but for stages that would get no epoch."""
    total = sum(stage.epochs for stage in stages)
    ends = [0]
    for stage in stages:
        ends.append(ends[-1] + stage.epochs)
    scaled = [round(Fraction(end * plan.epochs, total)) for end in ends]
    kept = tuple(
        replace(stage, epochs=scaled[place + 1] - scaled[place])
        for place, stage in enumerate(stages)
        if scaled[place + 1] > scaled[place]
    )
    return Strategy("variant", name, replace(plan, stages=kept))
