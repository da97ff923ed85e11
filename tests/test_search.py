"""The laws of the search, driven by hand: no files, no processes, any order of events."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import World

from schedplan.frontier import Beam, Pareto
from schedplan.journal import Outcome
from schedplan.pruning import FAST, NONE, SAFE, Cut, Pruning, Race
from schedplan.simulator import SimulatedCurve, StagedProblem
from schedplan.solver import Search
from schedplan.testing.strategies import graphs

few = settings(max_examples=25, deadline=None)

problems = st.builds(
    StagedProblem.draw,
    st.integers(0, 10_000),
    noise=st.sampled_from([0.0, 0.1, 0.5]),
    size=st.sampled_from(["single", "kinetics"]),
)
prunings = st.sampled_from([NONE, SAFE, FAST])


@few
@given(problem=problems, seed=st.integers(0, 99))
def test_infinite_margins_find_what_the_exhaustive_search_finds(problem, seed):
    world = World(problem, seed)
    endless = Pruning(Race(z=math.inf), Cut(z=math.inf))
    pruned, exhaustive = world.search(pruning=endless), world.search(pruning=NONE)
    assert pruned.schedule == exhaustive.schedule
    assert pruned.label.value == exhaustive.label.value
    assert pruned.epochs == exhaustive.epochs


@few
@given(problem=problems, pruning=prunings, data=st.data())
def test_the_order_in_which_slices_end_changes_nothing(problem, pruning, data):
    world = World(problem)
    expected = world.search(pruning=pruning)
    random = data.draw(st.randoms(use_true_random=False))
    found = world.search(
        workers=data.draw(st.integers(1, 9)),
        speculate=data.draw(st.booleans()),
        choose=lambda running: random.randrange(len(running)),
        most=data.draw(st.sampled_from([1, 7, math.inf])),
        pruning=pruning,
    )
    assert found.schedule == expected.schedule
    assert found.label.value == expected.label.value


@few
@given(problem=problems, pruning=prunings)
def test_a_dive_ends_where_the_topological_order_does(problem, pruning):
    world = World(problem)
    expected, dive = world.search(pruning=pruning), world.search(pruning=pruning, order="dive")
    assert dive.schedule == expected.schedule
    assert dive.answers[0][0] <= expected.answers[0][0], "its first plan is earlier"


@few
@given(problem=problems)
def test_nothing_costs_more_than_the_exhaustive_search(problem):
    world = World(problem)
    exhaustive = world.search(pruning=NONE)
    for pruning in (SAFE, FAST):
        assert world.search(pruning=pruning).cost <= exhaustive.cost


def outcome(score: float, epoch: int = 1) -> Outcome:
    return Outcome("done", "", epoch, score, (0.0,) * (epoch + 1), "m", None, 0, 0.0)


FAILED = Outcome("failed", "out of luck", 0, None, (0.0,), None, None, 0, 0.0)


def additive(search: Search, problem: int) -> None:
    """Train everything by the additive simulator, whose knees are exact without noise."""
    while request := search.next_request():
        trial, _ = request
        curve = SimulatedCurve.of(problem, trial.target.space.params(trial.target))
        before = trial.source.value if trial.source.outcome else 0.0
        search.report(trial, outcome(before + curve.at(curve.knee), curve.knee))


@few
@given(drawn=graphs(), problem=st.integers(0, 1000), width=st.integers(2, 4))
def test_without_noise_a_beam_never_ends_worse_than_the_best(drawn, problem, width):
    best, beam = Search(drawn.graph), Search(drawn.graph, frontier=Beam(width))
    additive(best, problem)
    additive(beam, problem)
    assert beam.answer().value >= best.answer().value - 1e-12


@few
@given(drawn=graphs(), problem=st.integers(0, 1000), width=st.integers(1, 4))
def test_the_labels_of_a_front_never_dominate_each_other(drawn, problem, width):
    search = Search(drawn.graph, frontier=Pareto(width))
    additive(search, problem)
    for labels in search.kept.values():
        assert len(labels) <= width
        for better, cheaper in pairwise(labels):
            assert better.value > cheaper.value
            assert better.cost > cheaper.cost


@few
@given(drawn=graphs(), problem=st.integers(0, 1000))
def test_a_model_is_released_once_and_not_while_it_may_be_needed(drawn, problem):
    search = Search(drawn.graph)
    released: set[int] = set()
    while request := search.next_request():
        trial, _ = request
        assert id(trial.source) not in released
        curve = SimulatedCurve.of(problem, trial.target.space.params(trial.target))
        before = trial.source.value if trial.source.outcome else 0.0
        search.report(trial, outcome(before + curve.at(curve.knee), curve.knee))
        while search.released:
            label = search.released.popleft()
            assert id(label) not in released
            released.add(id(label))
    assert id(search.answer()) not in released
    kept = {id(label) for final in drawn.graph.finals for label in search.kept.get(final, ())}
    assert not kept & released
    labels = [t.label for trials in search.trials.values() for t in trials.values() if t.label]
    assert {id(label) for label in labels} == released - {id(search.root)} | kept


def test_a_part_that_was_cut_is_taken_up_again_if_the_leader_fails():
    problem = StagedProblem.draw(0, noise=0.1)
    world = World(problem)
    cut = Pruning(cut=Cut(z=0.0))
    search = Search(problem.graph, pruning=cut)
    doomed = None
    while request := search.next_request():
        trial, until = request
        if search.dropped and doomed is None:  # the other part leads and will fail from now on
            lost = search.dropped[0][0][1].value("sampling")
            doomed = next(s for s in ("consecutive", "uniform") if s != lost)
        fails = trial.target.value("sampling") == doomed
        search.report(trial, FAILED if fails else world.advance(trial, until))
    assert doomed
    assert search.finished
    assert search.answer().state.value("sampling") != doomed


def test_a_race_of_failures_leaves_the_state_without_a_model():
    problem = StagedProblem.draw(1)
    search = Search(problem.graph, pruning=SAFE)
    while request := search.next_request():
        search.report(request[0], FAILED)
    assert search.finished
    assert search.answer() is None


@pytest.mark.parametrize("pruning", [NONE, SAFE, FAST])
def test_a_first_plan_is_early_when_diving(pruning):
    world = World(StagedProblem.draw(3, noise=0.3))
    whole = world.search(pruning=NONE).cost
    assert world.search(pruning=pruning, order="dive").answers[0][0] < 0.3 * whole
