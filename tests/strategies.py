"""Hypothesis strategies for spaces and graphs, and trainers that tests can watch or break."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hypothesis import assume
from hypothesis import strategies as st

from schedplan import (
    Axis,
    Fixed,
    Forbid,
    Forward,
    Link,
    MaxStep,
    OneAxis,
    OneStep,
    Rule,
    SimulatedTrainer,
    Space,
    StateGraph,
    Where,
    build_graph,
)
from schedplan.errors import GraphError
from schedplan.graph import any_onward, basic, default_final, default_start, extended

PRESETS = {"basic": basic, "extended": extended, "any": any_onward}

values = st.one_of(
    st.integers(-5, 300), st.floats(-1e3, 1e3).map(lambda x: round(x, 6)), st.text(max_size=8)
)


@st.composite
def axes(draw: st.DrawFn, name: str, max_levels: int = 3) -> Axis:
    return Axis(name, tuple(draw(st.lists(values, min_size=1, max_size=max_levels, unique=True))))


@st.composite
def spaces(draw: st.DrawFn, max_axes: int = 3) -> Space:
    count = draw(st.integers(1, max_axes))
    drawn = tuple(draw(axes(f"axis{i}")) for i in range(count))
    followed = draw(st.sampled_from(drawn))
    table = draw(st.lists(values, min_size=len(followed.values), max_size=len(followed.values)))
    return Space(drawn, (Link("link", (followed.name,), tuple(table)),))


@dataclass(frozen=True)
class Drawn:
    """A graph and what it was made of."""

    graph: StateGraph
    fixed: tuple[str, ...]
    reversible: tuple[str, ...]


@st.composite
def further_rules(draw: st.DrawFn, space: Space, rule: Rule, fixed: tuple[str, ...]) -> Rule:
    """Combine `rule` with another one, or with none."""
    axis = draw(st.sampled_from(space.axes))
    value = draw(st.sampled_from(axis.values))
    return draw(
        st.sampled_from(
            [
                rule,
                rule & MaxStep(1),
                rule & OneAxis(),
                rule & ~OneAxis(),
                (rule | Forward(axis.name) & OneStep()) & Fixed(fixed),
                rule & Forbid(source={axis.name: value}),
                rule & Where(lambda a, b: sum(b) <= sum(a) + 1),
            ]
        )
    )


@st.composite
def graphs(draw: st.DrawFn, max_transitions: int = 30) -> Drawn:
    space = draw(spaces())
    names = [axis.name for axis in space.axes]
    fixed = tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=1)))
    free = [name for name in names if name not in fixed]
    reversible = (draw(st.sampled_from(free)),) if free and draw(st.booleans()) else ()
    rule = PRESETS[draw(st.sampled_from(sorted(PRESETS)))](fixed, reversible)
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


class WatchedTrainer(SimulatedTrainer):
    """Appends a line to `diary` for every transition begun and every epoch trained, and obeys
    `orders`: at the n-th epoch trained in this process, raise the exception given."""

    def __init__(self, diary: Path, orders: dict[int, BaseException], problem: int, noise: float):
        super().__init__(problem=problem, noise=noise)
        self._diary, self._orders, self._count = diary, orders, 0

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        self._name = f"{seed}"

    def train_epoch(self):
        self._count += 1
        if self._count in self._orders:
            raise self._orders[self._count]
        metrics = super().train_epoch()
        with self._diary.open("a") as stream:
            stream.write(f"{self._name} {self._epoch}\n")
        return metrics


def watched(
    diary: Path,
    orders: dict[int, BaseException] | None = None,
    problem: int = 0,
    noise: float = 0.02,
) -> partial[WatchedTrainer]:
    return partial(WatchedTrainer, diary, orders or {}, problem, noise)
