"""The laws of the search, on random spaces, rules and simulated trainers."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from watched import watched

from schedplan import (
    AtMost,
    Axis,
    CurveFit,
    FixedEpochs,
    Patience,
    Plan,
    Problem,
    SimulatedTrainer,
    Space,
    build_graph,
    replay,
    solve,
)
from schedplan.errors import MetricError, RunFailedError, RunFolderError, TrainerError
from schedplan.graph import basic, extended
from schedplan.journal import RunFolder, transition_key
from schedplan.pruning import NONE, SAFE
from schedplan.simulator import HORIZON, optimum
from schedplan.solver import Event, PlanEvent, RunEvent, SearchOptions
from schedplan.testing.strategies import Drawn, graphs
from schedplan.transition import TransitionEvent

ESTIMATOR = AtMost(HORIZON, CurveFit(delay=4))

EXHAUSTIVE = SearchOptions(pruning=NONE)

few = settings(max_examples=20)


def kinetics(trainer=SimulatedTrainer, **changes) -> Problem:
    space = Space(
        (
            Axis("sampling", ("consecutive", "uniform")),
            Axis("clip_length", (16, 32, 128)),
            Axis("learning_rate", (0.04, 0.004, 0.0004)),
        )
    )
    graph = build_graph(
        space,
        extended(("sampling",), ("clip_length",)),
        space.select({"clip_length": [16, 32], "learning_rate": "first"}),
        space.select({"clip_length": "last", "learning_rate": "last"}),
    )
    return Problem(graph, trainer, **{"metric": "top1", "estimator": Patience(3), **changes})


def by_label(graph, label):
    return next(state for state in graph.dag if state.label == label)


@few
@given(drawn=graphs(), problem=st.integers(0, 1000), mode=st.sampled_from(["max", "min"]))
def test_without_noise_the_plan_is_the_best_of_all_paths(drawn: Drawn, problem, mode):
    metric = "top1" if mode == "max" else "loss"
    trainer = partial(SimulatedTrainer, problem=problem)
    plan = solve(Problem(drawn.graph, trainer, metric, mode, ESTIMATOR), options=EXHAUSTIVE)
    quality, path = optimum(drawn.graph, problem)
    best = quality if mode == "max" else 1 - quality
    assert plan.score == pytest.approx(best, abs=1e-5)
    assert sum(stage.epochs for stage in plan.stages) == plan.epochs
    assert {stage.state for stage in plan.stages} <= {state.label for state in path}


@few
@given(drawn=graphs(), seed=st.integers(0, 1000))
def test_a_plan_is_a_path_and_one_way_axes_never_turn_back(drawn: Drawn, seed):
    trainer = partial(SimulatedTrainer, noise=0.1)
    plan = solve(Problem(drawn.graph, trainer, "top1", estimator=FixedEpochs(1), seed=seed))
    states = [by_label(drawn.graph, stage.state) for stage in plan.stages]
    assert states, "with one epoch a state, no stage is dropped"
    assert states[0] in drawn.graph.starts
    assert states[-1] in drawn.graph.finals
    for source, target in pairwise(states):
        assert drawn.graph.dag.has_edge(source, target)
        for axis in drawn.graph.space.axes:
            if axis.name in drawn.fixed:
                assert source.level(axis.name) == target.level(axis.name)
            elif axis.name not in drawn.reversible:
                assert source.level(axis.name) <= target.level(axis.name)


@few
@given(drawn=graphs(), seed=st.integers(0, 1000))
def test_the_same_seed_gives_the_same_plan_on_any_executor_and_yaml_keeps_it(drawn, seed):
    problem = Problem(
        drawn.graph, partial(SimulatedTrainer, noise=0.05), "top1", estimator=Patience(2), seed=seed
    )
    plan = solve(problem)
    assert solve(problem) == plan
    with ThreadPoolExecutor(3) as pool:
        assert solve(problem, executor=pool) == plan
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.yaml"
        plan.save(file)
        assert Plan.load(file) == plan


class Interrupter:
    """Raises KeyboardInterrupt at the n-th end of a transition, and notes what was trained."""

    def __init__(self, after: int | None = None):
        self.after, self.trained = after, []

    def __call__(self, event: Event) -> None:
        if not isinstance(event, TransitionEvent) or event.known or event.outcome is None:
            return
        if event.outcome.status == "done":
            self.trained.append(event.key)
            if len(self.trained) == self.after:
                raise KeyboardInterrupt


@few
@given(drawn=graphs(max_transitions=15), pruning=st.sampled_from([NONE, SAFE]), data=st.data())
def test_cut_off_after_any_transition_and_resumed_the_plan_is_the_same(drawn, pruning, data):
    options = SearchOptions(pruning=pruning)
    problem = Problem(
        drawn.graph, partial(SimulatedTrainer, noise=0.05), "top1", estimator=Patience(2)
    )
    whole = Interrupter()
    expected = solve(problem, options=options, on_event=whole)
    cut = data.draw(st.integers(1, len(whole.trained)), label="cut off after")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        first, second = Interrupter(after=cut), Interrupter()
        with pytest.raises(KeyboardInterrupt):
            solve(problem, folder, options=options, on_event=first)
        assert solve(problem, folder, options=options, on_event=second) == expected
    assert sorted(first.trained + second.trained) == sorted(whole.trained)


@pytest.mark.parametrize("cut", [1, 2, 17, 60, 111])
def test_cut_off_inside_a_transition_and_resumed_no_epoch_is_trained_twice(tmp_path, cut):
    whole = kinetics(watched(tmp_path / "whole"))
    expected = solve(whole, tmp_path / "run1", config={"any": 1})
    broken = kinetics(watched(tmp_path / "parts", orders={cut: KeyboardInterrupt()}))
    with pytest.raises(KeyboardInterrupt):
        solve(broken, tmp_path / "run2", config={"any": 1})
    resumed = kinetics(watched(tmp_path / "parts"))
    plan = solve(resumed, tmp_path / "run2", config={"any": 1})
    assert plan == expected
    assert (tmp_path / "parts").read_text() == (tmp_path / "whole").read_text()


def test_a_failing_transition_is_left_out_and_the_search_goes_on(tmp_path):
    problem = kinetics(watched(tmp_path / "diary", orders={1: ValueError("out of luck")}))
    plan = solve(problem, tmp_path / "run")
    key = transition_key(next(iter(problem.graph.dag.edges)))
    outcome = RunFolder(tmp_path / "run").transition(key).outcome()
    assert outcome.status == "failed"
    assert outcome.reason == "ValueError: out of luck"
    assert "Traceback" in (tmp_path / "run/transitions" / key / "1/error.txt").read_text()
    assert plan.stages


class HopelessTrainer(SimulatedTrainer):
    def evaluate(self):
        return {"top1": float("nan") if self._epoch == 2 else 0.5}


def test_when_everything_fails_the_reasons_are_told(tmp_path):
    with pytest.raises(RunFailedError, match="top1 = nan at epoch 2"):
        solve(kinetics(HopelessTrainer), tmp_path / "run")


def test_an_unknown_metric_ends_the_search_at_once(tmp_path):
    with pytest.raises(MetricError, match="did you mean 'top1'"):
        solve(kinetics(metric="topp1"), tmp_path / "run")


def test_a_folder_of_another_problem_is_refused_with_the_difference(tmp_path):
    solve(kinetics(estimator=FixedEpochs(1)), tmp_path / "run")
    with pytest.raises(RunFolderError, match="seed was 0 and is now 1"):
        solve(kinetics(estimator=FixedEpochs(1), seed=1), tmp_path / "run")


def test_a_folder_in_use_is_refused_with_its_holder(tmp_path):
    with (
        RunFolder(tmp_path / "run").hold(),
        pytest.raises(RunFolderError, match=r"worked on by process \d+"),
    ):
        solve(kinetics(estimator=FixedEpochs(1)), tmp_path / "run")


def snapshots(folder: Path) -> set[str]:
    found = (path.parent for path in folder.rglob("simulated.json"))
    return {str(path) for path in found if path.parent.name == "snapshots"}


def test_snapshots_go_when_nothing_needs_them_and_stay_on_request(tmp_path):
    solve(kinetics(), tmp_path / "best", options=EXHAUSTIVE)
    solve(kinetics(), tmp_path / "all", options=EXHAUSTIVE, keep_snapshots="all")
    assert len(snapshots(tmp_path / "best")) <= 2, "the final states' alone"
    assert len(snapshots(tmp_path / "all")) > 10


def test_while_a_search_runs_at_most_one_model_a_state_and_one_a_rival_is_kept(tmp_path):
    most = 0

    def count(event: Event) -> None:
        nonlocal most
        most = max(most, len(snapshots(tmp_path / "run")))

    problem = kinetics()
    solve(problem, tmp_path / "run", options=EXHAUSTIVE, on_event=count)
    # A transition under way adds the epochs that Patience may still choose: from best to last.
    assert most <= problem.graph.states + 4


def test_the_model_is_the_one_whose_score_the_plan_tells(tmp_path):
    plan = solve(kinetics(estimator=ESTIMATOR), tmp_path / "run")
    trainer = SimulatedTrainer()
    trainer.begin(plan.stages[-1].params, tmp_path / "run" / "model", seed=0)
    assert trainer.evaluate()["top1"] == pytest.approx(plan.score, abs=1e-5)


def test_events_tell_the_whole_story(tmp_path):
    events: list[Event] = []
    problem = kinetics(estimator=FixedEpochs(2))
    plan = solve(problem, tmp_path / "run", options=EXHAUSTIVE, on_event=events.append)
    assert isinstance(events[0], RunEvent)
    assert events[-1] == PlanEvent(plan)
    ends = [e for e in events if isinstance(e, TransitionEvent) and e.outcome]
    assert len(ends) == problem.graph.transitions
    assert sum(type(e).__name__ == "EpochEvent" for e in events) == 3 * problem.graph.transitions


def test_a_tie_goes_to_the_shorter_path():
    space = Space((Axis("a", (1, 2)), Axis("b", (1, 2))))
    graph = build_graph(
        space, basic(), [space.state(a=1, b=1), space.state(a=2, b=1)], [space.state(a=2, b=2)]
    )

    class Constant(SimulatedTrainer):
        def evaluate(self):
            return {"top1": 0.5}

    plan = solve(Problem(graph, Constant, "top1", estimator=FixedEpochs(3)))
    assert [stage.state for stage in plan.stages] == ["2_1", "2_2"]
    assert nx.is_directed_acyclic_graph(graph.dag)


def test_what_failed_is_trained_again_on_request_and_so_is_all_that_follows(tmp_path):
    """Mended, the search ends where one that never failed does."""
    expected = solve(kinetics(watched(tmp_path / "diary")), config={"any": 1})
    broken = kinetics(watched(tmp_path / "diary", orders={1: ValueError("full disk")}))
    first = solve(broken, tmp_path / "run", config={"any": 1})
    mended = kinetics(watched(tmp_path / "diary"))
    assert solve(mended, tmp_path / "run", config={"any": 1}) == first, "failures are remembered"
    assert solve(mended, tmp_path / "run", config={"any": 1}, retry_failed=True) == expected


def test_a_fault_of_the_observer_is_not_the_trainers(tmp_path):
    def fail(event: Event) -> None:
        if type(event).__name__ == "EpochEvent":
            raise RuntimeError("bug in a callback")

    with pytest.raises(RuntimeError, match="bug in a callback"):
        solve(kinetics(), tmp_path / "run", on_event=fail)
    assert not list(tmp_path.glob("run/transitions/*/result.json"))


def test_other_arguments_of_the_trainer_are_another_problem(tmp_path):
    solve(kinetics(partial(SimulatedTrainer, noise=0.1)), tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"trainer was .*noise=0.1.* and is now .*noise=0.2"):
        solve(kinetics(partial(SimulatedTrainer, noise=0.2)), tmp_path / "run")


class Quitter(SimulatedTrainer):
    def train_epoch(self):
        raise SystemExit(0)


class Unprintable(SimulatedTrainer):
    def train_epoch(self):
        raise RuntimeError("\ud800")


class Lossless(SimulatedTrainer):
    def train_epoch(self):
        return {"loss": float("nan")}


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        (Quitter, "SystemExit: 0"),
        (Unprintable, "RuntimeError"),
        (Lossless, "loss = nan at epoch 1"),
    ],
)
def test_whatever_a_trainer_raises_is_its_transitions_failure(tmp_path, trainer, reason):
    with pytest.raises(RunFailedError, match=reason):
        solve(kinetics(trainer), tmp_path / "run")


class Sloppy(SimulatedTrainer):
    answer: object = None

    def evaluate(self):
        return self.answer


@pytest.mark.parametrize("answer", [0.5, {"top1": "0.5"}, {"top1": 0.5, "note": [1]}, None])
def test_an_evaluation_that_is_no_numbers_by_name_ends_the_search_at_once(tmp_path, answer):
    trainer = type("Answering", (Sloppy,), {"answer": answer})
    with pytest.raises(TrainerError, match="the trainer's evaluate returned"):
        solve(kinetics(trainer), tmp_path / "run")


class Forgetful(SimulatedTrainer):
    def save(self, folder):
        pass


def test_a_snapshot_without_files_is_noticed_at_once(tmp_path):
    with pytest.raises(TrainerError, match="save wrote no file"):
        solve(kinetics(Forgetful), tmp_path / "run")


class SeedDependentStart(SimulatedTrainer):
    """A new model's quality depends on the seed, and training of the first state only harms."""

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        if start is None:
            self._base = (seed % 1000) / 1000


def test_a_replay_begins_with_the_searchs_model_even_if_its_first_state_kept_no_epoch(tmp_path):
    problems = (
        kinetics(partial(SeedDependentStart, problem=problem), estimator=ESTIMATOR)
        for problem in range(30)
    )
    for number, problem in enumerate(problems):
        plan = solve(problem, tmp_path / f"run{number}")
        if plan.initial is None:
            continue
        outcomes = replay(plan, problem.trainer, tmp_path / f"replay{number}")
        assert outcomes[-1].observed == pytest.approx(plan.stages[-1].observed)
        return
    raise AssertionError("no problem whose plan leaves out its first state")


@few
@given(drawn=graphs(), seed=st.integers(0, 1000))
def test_a_plan_ends_where_its_score_was_measured_and_so_does_its_replay(drawn: Drawn, seed):
    trainer = partial(SimulatedTrainer, noise=0.2)
    plan = solve(Problem(drawn.graph, trainer, "top1", estimator=ESTIMATOR, seed=seed))
    assert by_label(drawn.graph, plan.path[-1].state) in drawn.graph.finals
    assert plan.score == plan.path[-1].score
    assume(plan.stages)
    with tempfile.TemporaryDirectory() as folder:
        *_, last = replay(plan, trainer, Path(folder))
    assert last.observed == pytest.approx(plan.path[-1].observed)


def test_a_plan_names_its_final_state_even_if_no_epoch_was_kept_there():
    plans = (
        solve(kinetics(partial(SimulatedTrainer, problem=problem), estimator=ESTIMATOR))
        for problem in range(30)
    )
    plan = next(plan for plan in plans if plan.final)
    assert plan.final.epochs == 0
    assert plan.final.state.endswith("_128_0.0004")
    assert plan.stages[-1].state != plan.final.state


@pytest.mark.parametrize(
    "facts",
    [
        {"snapshot": "../victim"},
        {"snapshot": "snapshots/../../victim"},
        {"snapshot": "/victim"},
        {"snapshot": 5},
        {"score": float("nan")},
        {"score": None},
        {"score": "0.5"},
        {"epoch": -3},
        {"epoch": 10**9},
        {"scores": []},
        {"status": "weird"},
        {"seconds": "x"},
        {"origin": 3},
    ],
)
def test_a_result_that_was_tampered_with_is_refused_and_removes_nothing(tmp_path, facts):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("1")
    problem = kinetics()
    solve(problem, tmp_path / "run")
    for result in tmp_path.glob("run/transitions/*/result.json"):
        result.write_text(json.dumps(json.loads(result.read_text()) | facts))
    with pytest.raises(RunFolderError, match=r"result\.json: .* cannot be read"):
        solve(problem, tmp_path / "run")
    assert (victim / "precious").exists()
