"""What Hypothesis draws: spaces, rules, graphs, training curves and simulated trainers.

Example:
    >>> from hypothesis import given
    >>> @given(graphs())
    ... def test_my_rule(drawn):
    ...     assert drawn.graph.transitions <= 30
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from schedplan.errors import GraphError, missing
from schedplan.graph import (
    StateGraph,
    any_onward,
    basic,
    build_graph,
    default_final,
    default_start,
    extended,
)
from schedplan.rules import Fixed, Forbid, Forward, MaxStep, OneAxis, OneStep, Rule, Where
from schedplan.simulator import SimulatedTrainer
from schedplan.space import Axis, Link, Space
from schedplan.trainer import TrainerFactory

try:
    from hypothesis import assume
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise missing(str(error.name), "testing") from error

PRESETS = {"basic": basic, "extended": extended, "any": any_onward}

values = st.one_of(
    st.integers(-5, 300), st.floats(-1e3, 1e3).map(lambda x: round(x, 6)), st.text(max_size=8)
)


@st.composite
def axes(draw: st.DrawFn, name: str, max_levels: int = 3) -> Axis:
    """Draw an axis of that name, of any plain values."""
    return Axis(name, tuple(draw(st.lists(values, min_size=1, max_size=max_levels, unique=True))))


@st.composite
def spaces(draw: st.DrawFn, max_axes: int = 3) -> Space:
    """Draw a space with a link."""
    count = draw(st.integers(1, max_axes))
    drawn = tuple(draw(axes(f"axis{i}")) for i in range(count))
    followed = draw(st.sampled_from(drawn))
    table = draw(st.lists(values, min_size=len(followed.values), max_size=len(followed.values)))
    return Space(drawn, (Link("link", (followed.name,), tuple(table)),))


@dataclass(frozen=True)
class Drawn:
    """A graph and what it was made of.

    Attributes:
        graph: acyclic, with a way from a start to a final state.
        fixed, reversible: the axes that its preset was given as such.
    """

    graph: StateGraph
    fixed: tuple[str, ...]
    reversible: tuple[str, ...]


@st.composite
def further_rules(draw: st.DrawFn, space: Space, rule: Rule, fixed: tuple[str, ...]) -> Rule:
    """Draw `rule` combined with another one, or with none."""
    axis = draw(st.sampled_from(space.axes))
    value = draw(st.sampled_from(axis.values))
    return draw(
        st.sampled_from(
            [
                rule,
                rule & MaxStep(1),
                rule & OneAxis(),
                rule & ~OneAxis(),
                (rule | Forward((axis.name,)) & OneStep()) & Fixed(fixed),
                rule & Forbid(source={axis.name: value}),
                rule & Where(lambda a, b: sum(b) <= sum(a) + 1),
            ]
        )
    )


@st.composite
def graphs(draw: st.DrawFn, max_transitions: int = 30) -> Drawn:
    """Draw a graph of any preset and rule."""
    space = draw(spaces())
    names = [axis.name for axis in space.axes]
    fixed: tuple[str, ...] = tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=1)))
    free = [name for name in names if name not in fixed]
    turns = draw(st.booleans())
    reversible = (draw(st.sampled_from(free)),) if free and turns else ()
    preset = draw(st.sampled_from(sorted(PRESETS)))
    rule = PRESETS[preset](fixed, reversible)
    rule = draw(further_rules(space, rule, fixed))
    some = st.lists(st.sampled_from(list(space.states())), min_size=1, max_size=3, unique=True)
    starts = draw(st.just(space.select(default_start(space, fixed, reversible))) | some)
    finals = draw(st.just(space.select(default_final(space, fixed))) | some)
    try:
        graph = build_graph(space, rule, starts, finals)
    except GraphError as error:
        assume("cycle" not in error.what and "can be reached" not in error.what)
        raise
    assume(graph.transitions <= max_transitions)
    return Drawn(graph, fixed, reversible)


@st.composite
def curves(draw: st.DrawFn, max_epochs: int = 60, noise: float = 0.02) -> tuple[float, ...]:
    """Draw the scores of a training, epoch 0 first: rising to a limit, with a decline or without,
    each up to `noise` too high or too low."""
    count = draw(st.integers(1, max_epochs))
    first, gain = draw(st.floats(0, 0.5)), draw(st.floats(0, 0.5))
    rate, decline = draw(st.floats(0.01, 1.0)), draw(st.floats(0, 0.005))
    error = st.floats(-noise, noise)
    return tuple(
        first + gain * (1 - math.exp(-rate * epoch)) - decline * epoch + draw(error)
        for epoch in range(count)
    )


def simulated_trainers() -> st.SearchStrategy[TrainerFactory]:
    """Draw factories of trainers whose best path is known, see `schedplan.simulator.optimum`."""
    return st.builds(
        partial,
        st.just(SimulatedTrainer),
        problem=st.integers(0, 1000),
        noise=st.floats(0, 0.1),
    )
