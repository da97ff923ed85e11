"""Hand-tuned strategies: which there are, and what holds for each."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_solver import kinetics

from schedplan import INITIAL, Axis, Link, Plan, Space, Stage, build_graph
from schedplan.baselines import HAND_TUNED, Strategy, hand_tuned, variants
from schedplan.baselines.courses import STAIRS, Cosine, Steps
from schedplan.errors import UsageError
from schedplan.graph import StateGraph, basic
from schedplan.testing.strategies import graphs

LIKE = Plan("demo", metric="top1", mode="max", score=None, stages=())
GRAPH = kinetics(trainer=None).graph


def states_of(graph: StateGraph, strategy: Strategy) -> list[tuple[int, ...] | None]:
    """Return the states of a strategy's stages; None where a cosine is between two levels."""
    by_label = {state.label: tuple(state) for state in graph.space.states()}
    return [by_label.get(stage.state) for stage in strategy.plan.stages]


@given(drawn=graphs(), lengths=st.lists(st.integers(7, 60), min_size=1, max_size=3))
def test_every_strategy_takes_its_epochs_on_the_way_to_a_final_state(drawn, lengths):
    graph = drawn.graph
    found = hand_tuned(graph, LIKE, lengths)
    assert len({strategy.key for strategy in found}) == len(found)
    for strategy in found:
        assert strategy.plan.epochs in lengths
        assert all(stage.epochs >= 1 for stage in strategy.plan.stages)
        states = states_of(graph, strategy)
        assert states[-1] is None or states[-1] in graph.finals or strategy.kind == "constant"
        for stage in strategy.plan.stages:
            assert set(stage.params) == {a.name for a in graph.space.axes} | {"link"}


@given(drawn=graphs(), length=st.integers(7, 60))
def test_one_by_one_makes_single_steps_of_equal_length_from_a_start_to_a_final(drawn, length):
    graph = drawn.graph
    for strategy in hand_tuned(graph, LIKE, [length]):
        if strategy.kind != "one-by-one":
            continue
        states = states_of(graph, strategy)
        assert states[0] in graph.starts
        assert states[-1] in graph.finals
        for before, after in itertools.pairwise(states):
            assert sum(abs(a - b) for a, b in zip(before, after, strict=True)) == 1
        epochs = [stage.epochs for stage in strategy.plan.stages]
        assert max(epochs) - min(epochs) <= 1
        moving = sum(a != b for a, b in zip(states[0], states[-1], strict=True))
        assert strategy.name.count(", then ") == max(moving - 1, 0), "other kinds have other names"


def test_every_strategy_of_the_papers_table_3_is_there():
    lengths = (128, 192, 256, 320, 384)
    side_by_side = [s for s in hand_tuned(GRAPH, LIKE, lengths) if s.kind == "side-by-side"]
    found = {(strategy.name, strategy.plan.epochs) for strategy in side_by_side}
    clips, rates = ("16>128", "32>128", "16>32>128"), ("0.04>0.004>0.0004", "0.04~0.0004")
    paper = {
        (f"sampling {sampling}, clip_length {clip}, learning_rate {rate}", length)
        for sampling in ("consecutive", "uniform")
        for clip in clips
        for rate in rates
        for length in lengths
    }
    assert found == paper
    assert len(side_by_side) == len(paper) == 60


def test_clips_take_equal_shares_while_the_rate_falls_in_thirds():
    (strategy,) = [
        each
        for each in hand_tuned(GRAPH, LIKE, [120])
        if each.name == "sampling uniform, clip_length 16>128, learning_rate 0.04>0.004>0.0004"
        and each.kind == "side-by-side"
    ]
    stages = [
        (stage.state.removeprefix("uniform_"), stage.epochs) for stage in strategy.plan.stages
    ]
    assert stages == [("16_0.04", 40), ("16_0.004", 20), ("128_0.004", 20), ("128_0.0004", 40)]


def test_a_grid_of_two_lengths_has_two_clip_paths():
    space = Space((Axis("clip", (16, 32)), Axis("rate", (0.04, 0.004, 0.0004))))
    starts = space.select({"rate": "first"})
    graph = build_graph(space, basic(), starts, space.select({"clip": "last", "rate": "last"}))
    names = [each.name for each in hand_tuned(graph, LIKE, [30]) if each.kind == "side-by-side"]
    rates = ("0.04>0.004>0.0004", "0.04~0.0004")
    assert names == [f"clip {clip}, rate {rate}" for clip in ("16>32", "32") for rate in rates]


def test_an_axis_that_links_follow_keeps_to_its_levels():
    rate = Axis("rate", (0.1, 0.01))
    space = Space((rate,), (Link("decay", ("rate",), (0.5, 0.4)),))
    graph = build_graph(space, basic(), space.select({"rate": 0.1}), space.select({"rate": 0.01}))
    found = hand_tuned(graph, LIKE, [10])
    assert [each.name for each in found] == ["rate 0.1>0.01", "rate 0.1", "rate 0.01"]
    assert found[0].plan.stages[1].params == {"rate": 0.01, "decay": 0.4}


@given(
    first=st.floats(0.01, 10), last=st.floats(0, 0.009), epochs=st.integers(1, 400), data=st.data()
)
def test_a_cosine_falls_between_its_ends_in_few_stairs(first, last, epochs, data):
    values = [Cosine(first, last).at(epoch, epochs) for epoch in range(epochs)]
    assert values == sorted(values, reverse=True)
    assert last <= values[-1] <= values[0] <= first
    assert len(set(values)) == min(STAIRS, epochs)
    assert sum(values) / epochs == pytest.approx((first + last) / 2, rel=0.2)


@given(values=st.lists(st.integers(), min_size=1, max_size=8, unique=True), rest=st.integers(0, 99))
def test_steps_take_each_value_for_equally_many_epochs(values, rest):
    epochs = len(values) + rest
    taken = [Steps(tuple(values)).at(epoch, epochs) for epoch in range(epochs)]
    assert list(dict.fromkeys(taken)) == values
    counts = [taken.count(value) for value in values]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([30, 0], "a strategy of 0 epochs; allowed: 1 to 100,000 epochs"),
        ([99999999999], "a strategy of 99999999999 epochs"),
        ([], "strategies have no lengths; allowed: one or more, 1 to 100,000 epochs"),
        (range(100, 200), "more than 2,000 hand-tuned strategies"),
    ],
)
def test_a_grid_that_cannot_be_compared_is_refused(lengths, message):
    with pytest.raises(UsageError, match=message):
        hand_tuned(GRAPH, LIKE, lengths)


def test_an_axis_of_many_levels_is_too_much_at_once_and_not_after_hours():
    space = Space((Axis("size", tuple(range(28))), Axis("rate", (0.1, 0.01))))
    starts = space.select({"size": "first", "rate": "first"})
    graph = build_graph(space, basic(), starts, space.select({"size": "last", "rate": "last"}))
    with pytest.raises(UsageError, match="more than 2,000 hand-tuned strategies"):
        hand_tuned(graph, LIKE, [100])


def test_a_strategy_of_more_stages_than_epochs_is_left_out():
    assert {each.kind for each in hand_tuned(GRAPH, LIKE, [2])} == {"side-by-side", "constant"}
    assert {each.kind for each in hand_tuned(GRAPH, LIKE, [4])} == set(HAND_TUNED)


@st.composite
def plans(draw: st.DrawFn) -> tuple[StateGraph, Plan]:
    """Draw a graph, and a plan that walks through it."""
    graph = draw(graphs()).graph
    state, stages = INITIAL, []
    while state not in graph.finals:
        state = draw(st.sampled_from(list(graph.dag.successors(state))))
        epochs = draw(st.integers(0, 40))
        params = graph.space.params(state)
        if epochs:
            stages.append(Stage(state.label, params, epochs, score=None, observed=None, seed=0))
    assume(stages)
    return graph, replace(LIKE, stages=tuple(stages))


@given(drawn=plans())
def test_a_variant_is_as_long_as_the_plan_and_differs_in_one_state(drawn):
    graph, plan = drawn
    path = [stage.state for stage in plan.stages]
    by_label = {state.label: state for state in graph.order}
    for variant in variants(graph, plan):
        assert variant.plan.epochs == plan.epochs
        change, _, state = variant.name.partition(" ")
        walked = [stage.state for stage in variant.plan.stages]
        assert set(walked) <= {*path, state}
        if change == "with" and len(walked) == len(path) + 1:
            place = walked.index(state)
            before = by_label[walked[place - 1]] if place else INITIAL
            assert graph.dag.has_edge(before, by_label[state])
            assert graph.dag.has_edge(by_label[state], by_label[walked[place + 1]])


def test_a_variant_keeps_the_plans_proportions():
    stages = [("16_0.04", 60), ("32_0.04", 30), ("32_0.004", 30)]
    plan = replace(
        LIKE,
        stages=tuple(
            Stage(f"uniform_{name}", {}, epochs, score=None, observed=None, seed=0)
            for name, epochs in stages
        ),
    )
    found = {
        each.name: [stage.epochs for stage in each.plan.stages] for each in variants(GRAPH, plan)
    }
    assert found["without uniform_32_0.04"] == [80, 40]
    assert found["without uniform_16_0.04"] == [60, 60]
    assert found["with uniform_128_0.04"] == [48, 24, 24, 24]


def test_strategies_that_train_alike_have_one_key():
    stage = Stage("a", {"rate": 0.1}, 8, score=None, observed=None, seed=0)
    plan = replace(LIKE, stages=(stage,))
    known = replace(plan, stages=(replace(stage, state="b", score=0.5, seed=7),), confirmed=0.4)
    longer = replace(plan, stages=(replace(stage, epochs=9),))
    keys = [Strategy("plan", "", each).key for each in (plan, known, longer)]
    assert keys[0] == keys[1] != keys[2]
