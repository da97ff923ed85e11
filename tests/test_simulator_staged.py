"""Laws of the staged simulator: time composes, noise is replayed, the optimum is one."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan import FixedEpochs, Problem, Trainer, solve
from schedplan.errors import GraphError, TrainerError
from schedplan.simulator import (
    SIZES,
    Roles,
    StagedProblem,
    StagedTrainer,
    best_path,
    exhaustive_plan,
    judge,
    knee,
    true_quality,
)
from schedplan.space import INITIAL

SHAPES = ("smooth", "late", "heavy")

problems = st.builds(
    StagedProblem.draw,
    st.integers(0, 10**6),
    noise=st.sampled_from([0.0, 0.3]),
    size=st.sampled_from(["single", "kinetics", "large"]),
    shape=st.sampled_from(SHAPES),
)
lengths = st.integers(0, 60)


@st.composite
def schedules(draw: st.DrawFn):
    """A problem, the stages of a walk through its graph, and a state that may follow."""
    problem, source, stages = draw(problems), INITIAL, []
    for _ in range(draw(st.integers(0, 3))):
        successors = list(problem.graph.dag.successors(source))
        if not successors:
            break
        source = draw(st.sampled_from(successors))
        stages.append((source, draw(lengths)))
    states = [state for state in problem.graph.order[1:] if state is not source]
    return problem, stages, draw(st.sampled_from(states))


def trained(problem, stages):
    hidden = problem.initial
    for state, epochs in stages:
        hidden = problem.after(hidden, state, epochs)
    return hidden


def numbers(hidden):
    *others, _ = hidden
    return np.hstack(others)


@given(schedules(), lengths, lengths)
def test_training_on_is_training_longer(drawn, first, then):
    problem, stages, state = drawn
    hidden = trained(problem, stages)
    once = problem.after(hidden, state, first + then)
    twice = problem.after(problem.after(hidden, state, first), state, then)
    np.testing.assert_allclose(numbers(once), numbers(twice), atol=1e-9)
    assert once.setting == twice.setting


@given(schedules(), lengths, st.integers(0, 2**32 - 1))
def test_curves_agree_with_the_hidden_state_and_noise_with_its_epoch(drawn, epochs, seed):
    problem, stages, state = drawn
    hidden = trained(problem, stages)
    curve = problem.curve(hidden, state, epochs)
    scores = problem.measured(hidden, state, epochs, seed)
    assert curve.shape == scores.shape == (epochs + 1,)
    assert curve[0] == pytest.approx(problem.quality(hidden))
    assert curve[-1] == pytest.approx(problem.quality(problem.after(hidden, state, epochs)))
    noise = [problem.noise(seed, state, epoch) for epoch in range(epochs + 1)]
    np.testing.assert_allclose(scores - curve, noise, atol=1e-9)


@given(problems, st.integers(0, 2**32 - 1))
def test_noise_is_replayed_whatever_is_trained_and_for_how_long(problem, seed):
    first, other = problem.graph.starts[0], problem.graph.finals[0]
    hidden = problem.after(problem.initial, first, 30)
    errors = problem.measured(problem.initial, other, 40, seed) - problem.curve(
        problem.initial, other, 40
    )
    again = problem.measured(hidden, other, 25, seed) - problem.curve(hidden, other, 25)
    np.testing.assert_allclose(errors[:26], again, atol=1e-9)


def test_noise_has_the_spread_asked_for_and_falls_with_the_rate():
    problem = StagedProblem.draw(0, noise=0.3)
    high, low = problem.graph.starts[0], problem.graph.finals[0]
    errors = {
        state: np.concatenate(
            [
                problem.measured(problem.initial, state, 400, seed)
                - problem.curve(problem.initial, state, 400)
                for seed in range(50)
            ]
        )
        for state in (high, low)
    }
    assert np.std(errors[high]) == pytest.approx(0.3, rel=0.03)
    assert np.std(errors[low]) < 0.7 * np.std(errors[high])
    for each in errors.values():
        assert abs(np.mean(each)) < 0.05 * np.std(each)
        assert abs(np.corrcoef(each[1:], each[:-1])[0, 1]) < 0.03


def play(trainer, problem, stages, state, epochs, seed, folder):
    """Train along the stages with a trainer, in fresh snapshot folders; return the scores of the
    last transition, restored once in its middle."""
    start = None
    for number, (each, length) in enumerate(stages):
        trainer.begin(problem.space.params(each), start, seed=0)
        for _ in range(length):
            trainer.train_epoch()
        start = folder / str(number)
        start.mkdir()
        trainer.save(start)
    trainer.begin(problem.space.params(state), start, seed)
    scores = [trainer.evaluate()["top1"]]
    for epoch in range(epochs):
        if epoch == epochs // 2:
            middle = folder / "middle"
            middle.mkdir()
            trainer.save(middle)
            trainer.train_epoch()
            trainer.begin(problem.space.params(state), start, seed)
            trainer.restore(middle)
        trainer.train_epoch()
        scores.append(trainer.evaluate()["top1"])
    return scores


@settings(max_examples=40)
@given(st.integers(0, 1000), st.sampled_from(SHAPES), st.lists(lengths, max_size=3), st.data())
def test_the_trainer_is_the_problem_in_fractions_of_one(
    tmp_path_factory, number, shape, durations, data
):
    problem = StagedProblem.draw(number, shape=shape)
    walk, source = [], INITIAL
    for duration in durations:
        source = data.draw(st.sampled_from(list(problem.graph.dag.successors(source))))
        walk.append((source, duration))
    target = data.draw(st.sampled_from(list(problem.graph.dag.successors(source)) or [source]))
    walk = [stage for stage in walk if stage[0] != target]
    trainer = StagedTrainer(problem=number, shape=shape)
    assert isinstance(trainer, Trainer)
    scores = play(trainer, problem, walk, target, 9, 5, tmp_path_factory.mktemp("snapshots"))
    expected = problem.measured(trained(problem, walk), target, 9, 5) / 100
    np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_the_search_finds_what_dynamic_programming_finds(tmp_path):
    problem = StagedProblem.draw(2, size="single")

    def at_eight(problem, hidden, source, target):
        return 8, float(problem.curve(hidden, target, 8)[8])

    plan = solve(
        Problem(
            problem.graph,
            lambda: StagedTrainer(problem=2, noise=0),
            "top1",
            estimator=FixedEpochs(8),
        )
    )
    expected = exhaustive_plan(problem, at_eight)
    assert [stage.epochs for stage in plan.stages] == [epochs for _, epochs in expected.stages]
    assert plan.score * 100 == pytest.approx(expected.quality)


@settings(max_examples=25)
@given(problems)
def test_the_best_path_is_the_best_of_all_and_dynamic_programming_is_close(problem):
    best, planned = best_path(problem), exhaustive_plan(problem)
    for plan in (best, planned):
        assert plan.quality == pytest.approx(true_quality(problem, plan.stages))
        assert plan.epochs == sum(epochs for _, epochs in plan.stages)
        assert problem.graph.dag.has_edge(INITIAL, plan.path[0])
        assert all(problem.graph.dag.has_edge(*pair) for pair in itertools.pairwise(plan.path))
        assert plan.path[-1] in problem.graph.finals
    assert best.quality - 5.0 < planned.quality <= best.quality + 1e-9


@settings(max_examples=25)
@given(problems)
def test_stages_of_zero_epochs_may_be_left_out(problem):
    stages = exhaustive_plan(problem).stages
    (first, *rest) = stages
    padded = [first, *((state, 0) for state, _ in rest), *rest]
    assert true_quality(problem, padded) == pytest.approx(true_quality(problem, stages), abs=1e-9)


@settings(max_examples=25)
@given(problems)
def test_every_curve_has_a_knee_within_the_horizon(problem):
    for start in problem.graph.starts:
        epoch, score = knee(problem, problem.initial, INITIAL, start)
        assert 0 < epoch < judge.STAGED_HORIZON
        assert score > problem.quality(problem.initial)


@pytest.mark.parametrize("seed", range(20))
def test_the_last_setting_is_a_bad_first_one_and_late_starters_are_flat_at_first(seed):
    problem = StagedProblem.draw(seed)
    state = problem.graph.starts[0]
    slow = problem.space.state(
        sampling=state.value("sampling"), clip_length=128, learning_rate=0.0004
    )
    at_once = knee(problem, problem.initial, INITIAL, slow)[1]
    assert at_once < exhaustive_plan(problem).quality - 10
    late = StagedProblem.draw(seed, shape="late")
    curve = late.curve(late.initial, state, 100)
    assert curve[4] == curve[0] < curve[90]


@pytest.mark.parametrize("size", SIZES)
def test_sizes_have_the_transitions_that_they_state(size):
    transitions = {"single": 18, "kinetics": 36, "large": 70, "cube": 218, "huge": 1134}
    problem = StagedProblem.draw(0, size=size)
    assert problem.graph.transitions == transitions[size]
    costs = {problem.cost(state) for state in problem.graph.order[1:]}
    assert (min(costs), max(costs)) == (1.0, pytest.approx(4.0))


def test_an_epoch_costs_1_2_and_4_by_clip_length():
    problem = StagedProblem.draw(0)
    costs = {state.value("clip_length"): problem.cost(state) for state in problem.space.states()}
    assert costs == {16: 1.0, 32: 2.0, 128: 4.0}


def test_a_problem_survives_pickling_and_equal_numbers_are_one_setting():
    problem = StagedProblem.draw(7, shape="heavy")
    plan = best_path(problem)
    copy = pickle.loads(pickle.dumps(problem))
    assert copy == problem
    assert best_path(copy) == plan
    setting = problem.physics.setting({"clip_length": 32, "learning_rate": 0.04})
    assert setting.key == problem.physics.setting({"learning_rate": 0.04, "clip_length": 32.0}).key


def test_other_processes_draw_the_same_problem():
    program = (
        "from schedplan.simulator import StagedProblem, best_path\n"
        "p = StagedProblem.draw(5)\n"
        "print(repr((best_path(p).quality, p.noise(9, p.graph.starts[0], 3))))"
    )
    here = StagedProblem.draw(5)
    expected = repr((best_path(here).quality, here.noise(9, here.graph.starts[0], 3)))
    for hash_seed in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed},
        )
        assert result.stdout.strip() == expected, result.stderr


@given(st.integers(0, 1000), st.sampled_from(SHAPES))
def test_a_model_from_scratch_scores_what_the_trainer_calls_chance(number, shape):
    trainer = StagedTrainer(problem=number, shape=shape, noise=0)
    trainer.begin({"learning_rate": 0.04}, None, seed=0)
    for metric, score in trainer.evaluate().items():
        assert score == pytest.approx(trainer.scales[metric][0])


def test_roles_can_be_renamed_and_absent_hyperparameters_do_not_matter(tmp_path):
    def first_epoch(trainer, params):
        trainer.begin(params, None, seed=0)
        trainer.train_epoch()
        return trainer.evaluate()["quality"]

    plain = first_epoch(StagedTrainer(noise=0), {"learning_rate": 0.01})
    assert first_epoch(StagedTrainer(noise=0), {}) != plain
    renamed = StagedTrainer(noise=0, rate="lr", strategy="order", highest_rate=0.1)
    assert 0 < first_epoch(renamed, {"lr": 0.1, "order": "curriculum", "dropout": 0.5}) < 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StagedProblem.draw(0, size="kinetic"), "size is 'kinetic'.*kinetics"),
        (lambda: StagedProblem.draw(0, shape="smoth"), "shape is 'smoth'.*smooth"),
        (lambda: StagedProblem.draw(0, noise=-1), "noise is -1"),
        (lambda: StagedTrainer(noise=float("nan")), "noise is nan"),
        (lambda: Roles(shortest=32, longest=16), "longest is 16"),
        (lambda: StagedTrainer().check({"learning_rate": "high"}), "learning_rate is 'high'"),
        (lambda: StagedTrainer().check({"clip_length": 0}), "clip_length is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(TrainerError) as caught:
        make()
    assert caught.match(message.split(".*")[0])
    assert message.split(".*")[-1] in str(caught.value)


def test_too_many_paths_are_refused():
    with pytest.raises(GraphError, match="paths"):
        best_path(StagedProblem.draw(0, size="huge"))


def test_a_problem_without_a_range_costs_the_same_everywhere():
    problem = StagedProblem.draw(0)
    axes = tuple(axis for axis in problem.space.axes if axis.name != "clip_length")
    plain = dataclasses.replace(problem, space=dataclasses.replace(problem.space, axes=axes))
    assert {plain.cost(state) for state in plain.space.states()} == {1.0}
    assert best_path(plain).quality > 0
