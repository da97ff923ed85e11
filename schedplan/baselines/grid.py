"""The hand-tuned strategies that people try where nothing plans for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import networkx as nx

from schedplan.baselines.courses import Course, Steps, courses, is_annealed
from schedplan.baselines.strategy import Kind, Strategy
from schedplan.errors import UsageError
from schedplan.graph import StateGraph
from schedplan.plan import Plan, Stage
from schedplan.space import State

MOST: Final = 2000
"""How many strategies a grid may have."""

LONGEST: Final = 100_000
"""How many epochs a strategy may have."""

_Moment: TypeAlias = tuple[str, Mapping[str, Any]]
"""What an epoch is trained under: the name of its state, and all hyperparameters."""


def hand_tuned(graph: StateGraph, like: Plan, lengths: Sequence[int]) -> list[Strategy]:
    """Return the grid of hand-tuned strategies, from every start to every final state.

    `side-by-side`: every axis takes its own course over the whole training, as in the paper's Table
    3: clips of l1>l3, l2>l3 or l1>l2>l3, equally many epochs each, while the rate falls in equal
    steps or along a cosine. `one-by-one`: one axis after the other goes through its levels, in any
    order of the axes, equally many epochs in each state; these are paths of single steps.
    `constant`: the settings of a final state from the first epoch on, with any level of the axes
    that are annealed.

    Args:
        graph: its starts and finals, and which final can be reached from which start.
        like: the plan to compare with, for the metric.
        lengths: how many epochs strategies train in all. A strategy of more stages than that is
            left out, as is one that trains as another one does.

    Raises:
        UsageError: see `check_lengths` and `check_size`.

    Example:
        >>> from schedplan import Axis, Space
        >>> from schedplan.graph import basic, build_graph
        >>> space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
        >>> finals = space.select({"clip": "last", "rate": "last"})
        >>> graph = build_graph(space, basic(), space.select({"clip": 16, "rate": 0.1}), finals)
        >>> like = Plan("demo", "top1", "max", score=None, stages=())
        >>> for strategy in hand_tuned(graph, like, [30]):
        ...     print(f"{strategy.kind}: {strategy.name} ({len(strategy.plan.stages)})")
        side-by-side: clip 16>32, rate 0.1>0.01 (2)
        side-by-side: clip 16>32, rate 0.1~0.01 (20)
        one-by-one: clip 16>32, then rate 0.1>0.01 (3)
        one-by-one: rate 0.1>0.01, then clip 16>32 (3)
        constant: clip 32, rate 0.1 (1)
        constant: clip 32, rate 0.01 (1)
    """
    check_lengths(lengths)
    shapes = check_size(graph, len(lengths))
    fitting = (each for each in itertools.product(lengths, shapes) if each[0] >= each[1].shortest)
    strategies = (shape.strategy(like, length) for length, shape in fitting)
    found: dict[str, Strategy] = {}
    for strategy in strategies:
        found.setdefault(strategy.key, strategy)
    return list(found.values())


def check_lengths(lengths: Sequence[int]) -> None:
    """Raise UsageError unless there are lengths, all of them from 1 to `LONGEST` epochs."""
    allowed = f"1 to {LONGEST:,} epochs"
    if not lengths:
        raise UsageError("hand-tuned strategies have no lengths", allowed=f"one or more, {allowed}")
    if bad := [length for length in lengths if not 1 <= length <= LONGEST]:
        raise UsageError(f"a strategy of {bad[0]} epochs", allowed=allowed)


def check_size(graph: StateGraph, lengths: int) -> list[_Shape]:
    """Return what hand-tuned strategies there are, of any length.

    Raises:
        UsageError: with so many lengths each, they are more than `MOST`.
    """
    shapes = list(itertools.islice(_shapes(graph), MOST + 1))
    if len(shapes) * lengths > MOST:
        raise UsageError(
            f"there are more than {MOST:,} hand-tuned strategies",
            hint="compare over fewer axes, levels, start states or numbers of epochs",
        )
    return shapes


@dataclass(frozen=True)
class _Shape:
    """A strategy of any length.

    Attributes:
        kind, name: the strategy's.
        shortest: the least number of epochs that shows all of it.
        at: (epoch, epochs) -> what that epoch of so many is trained under.
    """

    kind: Kind
    name: str
    shortest: int
    at: Callable[[int, int], _Moment]

    def strategy(self, like: Plan, epochs: int) -> Strategy:
        moments = (self.at(epoch, epochs) for epoch in range(epochs))
        stages = tuple(
            Stage(state, dict(params), len(list(same)), score=None, observed=None, seed=0)
            for (state, params), same in itertools.groupby(moments)
        )
        plan = Plan(like.name, like.metric, like.mode, score=None, stages=stages)
        return Strategy(self.kind, self.name, plan)


def _shapes(graph: StateGraph) -> Iterator[_Shape]:
    ways = [
        (start, final)
        for start, final in itertools.product(graph.starts, graph.finals)
        if nx.has_path(graph.dag, start, final)
    ]
    for way in ways:
        yield from _side_by_side(*way)
    for way in ways:
        yield from _one_by_one(*way)
    for final in graph.finals:
        yield from _constant(final)


def _side_by_side(start: State, final: State) -> Iterator[_Shape]:
    # One axis of many levels alone may have more courses than a grid may have strategies.
    choices = [
        list(itertools.islice(courses(axis, start, final), MOST + 1)) for axis in start.space.axes
    ]
    return (_of_courses("side-by-side", chosen, final) for chosen in itertools.product(*choices))


def _constant(final: State) -> Iterator[_Shape]:
    choices = [
        axis.values if is_annealed(axis) else axis.values[level : level + 1]
        for axis, level in zip(final.space.axes, final, strict=True)
    ]
    for values in itertools.product(*choices):
        yield _of_courses("constant", [Steps((value,)) for value in values], final)


def _of_courses(kind: Kind, chosen: Sequence[Course], final: State) -> _Shape:
    """Return the strategy in which every axis takes its own course to `final`."""
    axes = final.space.axes

    def at(epoch: int, epochs: int) -> _Moment:
        values = [course.at(epoch, epochs) for course in chosen]
        levels, texts, between = [], [], {}
        for axis, value, last in zip(axes, values, final, strict=True):
            known = value in axis.values
            levels.append(axis.level(value) if known else last)
            texts.append(axis.labels[levels[-1]] if known else f"{value:.3g}")
            between.update({} if known else {axis.name: value})
        params = final.space.params(State(levels, final.space))
        return "_".join(texts), {**params, **between}

    names = [f"{axis.name} {course.label}" for axis, course in zip(axes, chosen, strict=True)]
    return _Shape(kind, ", ".join(names), max(course.shortest for course in chosen), at)


def _one_by_one(start: State, final: State) -> Iterator[_Shape]:
    axes = start.space.axes
    moving = [position for position in range(len(axes)) if start[position] != final[position]]
    still = [position for position in range(len(axes)) if position not in moving]
    values = [
        tuple(axis.values[level] for level in _levels(first, last))
        for axis, first, last in zip(axes, start, final, strict=True)
    ]
    for order in itertools.permutations(moving):
        names = [f"{axis.name} {Steps(own).label}" for axis, own in zip(axes, values, strict=True)]
        turns = ", then ".join(names[position] for position in order)
        name = ", ".join([*(names[position] for position in still), *filter(None, [turns])])
        yield _of_states(name, list(_walk(start, final, order)))


def _walk(start: State, final: State, order: Sequence[int]) -> Iterator[State]:
    """Yield the states from `start` to `final`, the axes at the positions `order` in turn."""
    levels = list(start)
    yield start
    for position in order:
        for level in _levels(start[position], final[position])[1:]:
            levels[position] = level
            yield State(levels, start.space)


def _levels(first: int, last: int) -> range:
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)


def _of_states(name: str, states: Sequence[State]) -> _Shape:
    """Return the strategy that trains equally long in each of `states`."""
    course = Steps(tuple(states))

    def at(epoch: int, epochs: int) -> _Moment:
        state = course.at(epoch, epochs)
        return state.label, state.space.params(state)

    return _Shape("one-by-one", name, course.shortest, at)
