"""Pruning, frontiers, orders, budgets and speculation, with files and real executors."""

from __future__ import annotations

import json
import math
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_solver import EXHAUSTIVE, kinetics
from watched import watched

from schedplan import (
    AtMost,
    Axis,
    CurveFit,
    FixedEpochs,
    GeneratorTrainer,
    KneeEstimator,
    Patience,
    Plan,
    Problem,
    SimulatedTrainer,
    Space,
    Verdict,
    build_graph,
    solve,
)
from schedplan.errors import BudgetError, ConfigError, EstimatorError
from schedplan.frontier import Beam, Pareto
from schedplan.graph import basic
from schedplan.journal import RunFolder, hash_folder
from schedplan.pruning import FAST, NONE, SAFE, Cut, Pruning, Race
from schedplan.simulator import StagedTrainer
from schedplan.solver import Budget, DiskEvent, Event, SearchOptions
from schedplan.testing.strategies import graphs
from schedplan.transition import RetryEvent

few = settings(max_examples=15, deadline=None)

STAGED = partial(StagedTrainer, problem=5, noise=0.3)
ESTIMATOR = AtMost(100, CurveFit())


def staged(**changes) -> Problem:
    return kinetics(STAGED, **{"estimator": ESTIMATOR, **changes})


def epochs(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []


@few
@given(drawn=graphs(max_transitions=20), seed=st.integers(0, 99))
def test_infinite_margins_equal_the_exhaustive_search(drawn, seed):
    problem = Problem(
        drawn.graph,
        partial(SimulatedTrainer, noise=0.02),
        "top1",
        estimator=AtMost(40, CurveFit()),
        seed=seed,
    )
    endless = Pruning(Race(z=math.inf), Cut(z=math.inf))
    assert solve(problem, options=SearchOptions(pruning=endless)) == solve(
        problem, options=EXHAUSTIVE
    )


@few
@given(budget=st.integers(0, 400), pruning=st.sampled_from([NONE, SAFE]), workers=st.integers(1, 3))
def test_a_budget_of_epochs_holds_to_the_epoch_and_can_be_raised(budget, pruning, workers):
    with tempfile.TemporaryDirectory() as temporary:
        folder, diary = Path(temporary) / "run", Path(temporary) / "diary"
        problem = kinetics(watched(diary))

        def search(most: float):
            options = SearchOptions(pruning=pruning, budget=Budget(epochs=most))
            with ThreadPoolExecutor(workers) as pool:
                executor = pool if workers > 1 else None
                return solve(problem, folder, options=options, executor=executor, config={"a": 1})

        try:
            complete = search(budget).complete
        except BudgetError:
            complete = False
        spent = epochs(diary)
        assert len(spent) <= budget
        assert complete or len(spent) == budget
        plan = search(math.inf)
        assert plan.complete
        assert plan == solve(problem, options=SearchOptions(pruning=pruning), config={"a": 1})
        trained = epochs(diary)[: len(spent)]
        assert trained == spent


def test_no_epoch_is_trained_twice_when_a_budget_is_raised_step_by_step(tmp_path):
    whole = staged()
    expected = solve(whole, tmp_path / "whole")
    steps = [100, 101, 350, 800, math.inf]
    for most in steps:
        try:
            plan = solve(
                whole, tmp_path / "steps", options=SearchOptions(budget=Budget(epochs=most))
            )
        except BudgetError as error:
            assert "raise search.budget" in str(error)
    assert plan == expected
    trained = [
        sum(n for _, n, _ in RunFolder(tmp_path / name).trained()) for name in ("whole", "steps")
    ]
    assert trained[0] == trained[1]


def test_a_budget_of_cost_counts_what_epochs_cost(tmp_path):
    options = SearchOptions(budget=Budget(cost=20_000.0), cost="clip_length", order="dive")
    plan = solve(staged(), tmp_path / "run", options=options)
    assert not plan.complete
    cost = 0.0
    for key, trained, _ in RunFolder(tmp_path / "run").trained():
        cost += trained * float(key.split("__")[1].split("_")[1])
    assert 20_000 - 128 < cost <= 20_000


def test_a_budget_of_hours_stops(tmp_path):
    options = SearchOptions(budget=Budget(hours=1e-9))
    with pytest.raises(BudgetError, match="before a final state"):
        solve(staged(), tmp_path / "run", options=options)
    assert sum(n for _, n, _ in RunFolder(tmp_path / "run").trained()) <= 1


@pytest.mark.parametrize("bad", [{"epochs": -1}, {"hours": "1"}, {"cost": math.nan}])
def test_a_bad_budget_is_refused(bad):
    with pytest.raises(ConfigError, match="allowed: numbers of at least 0"):
        Budget(**bad)


def test_a_cost_must_be_a_number(tmp_path):
    with pytest.raises(ConfigError, match=r"'sampling'.*numbers above 0"):
        solve(staged(), tmp_path / "run", options=SearchOptions(cost="sampling"))


@pytest.mark.parametrize(
    "options",
    [
        SearchOptions(pruning=SAFE),
        SearchOptions(pruning=FAST, speculate=True),
        SearchOptions(pruning=NONE, speculate=True),
        SearchOptions(order="dive"),
        SearchOptions(frontier=Beam(2)),
        SearchOptions(frontier=Pareto(2), cost="clip_length"),
    ],
    ids=["safe", "fast speculating", "speculating", "dive", "beam", "pareto"],
)
def test_workers_and_interruptions_do_not_change_the_plan(tmp_path, options):
    expected = solve(staged(), options=options)
    with ThreadPoolExecutor(4) as pool:
        assert solve(staged(), tmp_path / "pool", options=options, executor=pool) == expected
    number = 0

    def interrupt(event: object) -> None:
        nonlocal number
        number += 1
        if number % 300 == 0:
            raise KeyboardInterrupt

    for _ in range(50):
        try:
            plan = solve(staged(), tmp_path / "parts", options=options, on_event=interrupt)
            break
        except KeyboardInterrupt:
            continue
    assert plan == expected


def test_a_search_can_go_on_with_other_options_in_the_same_folder(tmp_path):
    exhaustive = solve(staged(), options=EXHAUSTIVE)
    safe = solve(staged(), tmp_path / "run", config={"name": "x", "search": "safe"})
    assert safe.complete
    again = solve(
        staged(), tmp_path / "run", options=EXHAUSTIVE, config={"name": "x", "search": "none"}
    )
    assert again.stages == exhaustive.stages


def test_pruned_transitions_say_why_and_keep_their_curve_and_model(tmp_path):
    problem = staged()
    solve(problem, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    pruned = [
        (training, outcome)
        for training in map(run.transition, (p.name for p in (run.path / "transitions").iterdir()))
        if (outcome := training.outcome()) and outcome.status == "pruned"
    ]
    assert pruned
    for training, outcome in pruned:
        assert outcome.reason.startswith(("race: at most", "cut: trails by"))
        if outcome.epochs_trained:
            assert len(training.records()) == len(outcome.scores)
            last = f"*/snapshots/{outcome.epochs_trained:04d}"
            assert list((run.path / "transitions" / training.key).glob(last))


def test_a_run_keeps_few_models(tmp_path):
    """A state's best and a pruned transition's last and best; nothing that is beyond use."""
    problem = staged()
    solve(problem, tmp_path / "run")
    run = tmp_path / "run"
    models = [*run.glob("snapshots/*"), *run.glob("transitions/*/*/snapshots/*")]
    assert len(models) <= problem.graph.states + 2 * problem.graph.transitions / 2


@pytest.mark.parametrize(
    ("options", "keep"),
    [(SearchOptions(), "best"), (SearchOptions(pruning=NONE, frontier=Beam(2)), "all")],
    ids=["safe", "beam"],
)
def test_a_run_keeps_within_the_disk_that_was_estimated(tmp_path, options, keep):
    run, told, most = tmp_path / "run", [], 0

    def look(event: Event) -> None:
        nonlocal most
        told.extend([event] if isinstance(event, DiskEvent) else [])
        models = [*run.glob("snapshots/*"), *run.glob("transitions/*/*/snapshots/*")]
        most = max(most, len(models))

    solve(staged(), run, options=options, keep_snapshots=keep, on_event=look)
    (disk,) = told
    assert 0 < most * disk.snapshot <= disk.needed <= 20 * most * disk.snapshot
    assert disk.free > 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SearchOptions(), SearchOptions(frontier=Beam(2))),
        (SearchOptions(pruning=NONE), SearchOptions(order="dive")),
        (SearchOptions(frontier=Pareto(2)), SearchOptions(pruning=FAST)),
    ],
    ids=["best to beam", "topological to dive", "pareto to fast"],
)
def test_models_that_another_search_removed_are_trained_again(tmp_path, first, second):
    solve(staged(), tmp_path / "run", options=first)
    assert solve(staged(), tmp_path / "run", options=second) == solve(staged(), options=second)


def test_training_again_what_was_removed_counts_in_the_budget_and_can_be_interrupted(tmp_path):
    first, second = SearchOptions(pruning=NONE), SearchOptions(frontier=Beam(2))
    expected = solve(staged(), options=second)
    run = RunFolder(tmp_path / "run")
    solve(staged(), run.path, options=first)
    spent = sum(n for _, n, _ in run.trained())
    for _ in range(20):
        spent += 150
        options = replace(second, budget=Budget(epochs=spent))
        plan = solve(staged(), run.path, options=options)
        if plan.complete:
            break
        assert sum(n for _, n, _ in run.trained()) == spent
    assert plan == expected
    repeated = [key for key, _, _ in run.trained() if "@again" in key]
    assert repeated


class Forgetful(StagedTrainer):
    """Trains a little better in every process, so that it never does the same twice."""

    better = 0.0

    def evaluate(self):
        return {name: value + self.better for name, value in super().evaluate().items()}


@pytest.fixture
def changeable():
    yield Forgetful
    Forgetful.better = 0.0


def test_a_trainer_need_not_repeat_itself(tmp_path, changeable):
    """Another model in place of one that was removed counts, and what follows from it is new."""
    problem = kinetics(partial(Forgetful, problem=5, noise=0.3), estimator=ESTIMATOR)
    config, wider, told = {"a": 1}, SearchOptions(frontier=Beam(2)), []
    solve(problem, tmp_path / "run", options=SearchOptions(pruning=NONE), config=config)
    changeable.better = 0.01
    plan = solve(problem, tmp_path / "run", options=wider, config=config, on_event=told.append)
    assert plan.complete
    retries = [event for event in told if isinstance(event, RetryEvent)]
    assert retries
    assert all("it gave another model" in retry.reason for retry in retries)
    changeable.better = 0.02
    assert solve(problem, tmp_path / "run", options=wider, config=config) == plan


def test_a_damaged_model_of_the_answer_is_trained_again(tmp_path, changeable):
    problem = kinetics(partial(Forgetful, problem=5, noise=0.3), estimator=ESTIMATOR)
    config, options = {"a": 1}, SearchOptions(pruning=NONE)
    run = RunFolder(tmp_path / "run")
    plan = solve(problem, run.path, options=options, config=config)
    for better, same in ((0.0, True), (0.01, False)):
        changeable.better = better
        answer = hash_folder(run.model)
        models = [*(run.path / "snapshots").iterdir()]
        (model,) = [model for model in models if hash_folder(model) == answer]
        next(model.glob("*.json")).write_text("damaged")
        again = solve(problem, run.path, options=options, config=config)
        assert (again == plan) == same
        assert hash_folder(run.model) == again.provenance["model_sha256"]
        assert "damaged" not in next(run.model.glob("*.json")).read_text()


def test_a_budget_of_hours_stops_within_the_epoch(tmp_path):
    """Hours are what trainers take; a clock that counts epochs makes them exact."""

    class Slow(SimulatedTrainer):
        def train_epoch(self):
            time.sleep(0.01)
            return super().train_epoch()

    options = SearchOptions(budget=Budget(hours=0.3 / 3600), pruning=NONE)
    with pytest.raises(BudgetError, match="hours"):
        solve(kinetics(Slow), tmp_path / "run", options=options)
    seconds = [
        record.seconds for t in RunFolder(tmp_path / "run").trainings() for record in t.records()
    ]
    assert sum(seconds) - max(seconds) <= 0.3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SearchOptions(order="random"), "order is 'random'; allowed: topological, dive"),
        (lambda: SearchOptions(pruning="safe"), "pruning is 'safe'; allowed: a Pruning"),
        (lambda: SearchOptions(frontier=2), "frontier is 2; allowed: a Frontier"),
        (lambda: Race(first=4.5), "first is 4.5; allowed: whole numbers of at least 1"),
        (lambda: Race(z=math.nan), "z is nan; allowed: numbers of at least 0"),
        (lambda: Race(ahead_from_scratch=-1), "ahead_from_scratch is -1"),
        (lambda: Cut(states=1), "states is 1; allowed: whole numbers of at least 2"),
    ],
)
def test_bad_options_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_budget_that_ends_early_does_not_forget_an_earlier_plan(tmp_path):
    plan = solve(staged(), tmp_path / "run")
    less = SearchOptions(pruning=NONE, budget=Budget(epochs=10))
    again = solve(staged(), tmp_path / "run", options=less)
    assert again == replace(plan, complete=False)
    assert Plan.load(tmp_path / "run") == plan


def saturating(ceiling):
    """Return a trainer whose score rises towards `ceiling(params, epoch, from_scratch)`."""

    def loop(params, start, seed, resume):
        model = {"quality": 0.1, "epoch": 0, "new": start is None}
        if resume or start:
            model |= json.loads(((resume or start) / "model").read_text())
        if not resume:
            model |= {"epoch": 0, "new": start is None}
        while True:
            text = json.dumps(model)
            yield {"acc": model["quality"]}, lambda to, text=text: (to / "model").write_text(text)
            model["epoch"] += 1
            aim = ceiling(params, model["epoch"], model["new"])
            model["quality"] += 0.3 * (aim - model["quality"])

    return partial(GeneratorTrainer, loop)


def chain(trainer, axis: Axis, starts: int = 1, **changes) -> Problem:
    space = Space((axis,))
    states = list(space.states())
    graph = build_graph(space, basic(), states[:starts], states[-1:])
    return Problem(graph, trainer, "acc", **changes)


def test_a_dive_keeps_a_model_that_a_later_state_hands_on():
    ceilings = {0.1: 0.6, 0.01: 0.8, 0.001: 0.5}  # the last stage only harms
    problem = chain(saturating(lambda p, *_: ceilings[p["rate"]]), Axis("rate", tuple(ceilings)))
    dived = solve(problem, options=SearchOptions(order="dive"))
    assert dived == solve(problem, options=SearchOptions(order="topological"))


def late(params, epoch, new):
    """What goes on from another model blooms late, after a race has given it up."""
    if params["c"] == 1:
        return 0.5
    return 0.8 if new or epoch < 30 else 0.9


def test_the_model_of_the_answer_is_trained_again_if_another_search_had_removed_it(tmp_path):
    problem = chain(saturating(late), Axis("c", (1, 2)), 2, estimator=FixedEpochs(40))
    safe = solve(problem, options=SearchOptions(pruning=SAFE))
    exhaustive = solve(problem, tmp_path / "run", options=EXHAUSTIVE)
    assert safe.score < exhaustive.score
    spent = sum(n for _, n, _ in RunFolder(tmp_path / "run").trained())
    little = SearchOptions(pruning=SAFE, budget=Budget(epochs=spent + 5))
    assert solve(problem, tmp_path / "run", options=little) == replace(exhaustive, complete=False)
    again = solve(problem, tmp_path / "run", options=SearchOptions(pruning=SAFE))
    assert again == safe
    assert RunFolder(tmp_path / "run").transition("S0__2@again1").outcome()


@dataclass(frozen=True)
class Wrong(KneeEstimator):
    epoch: int = 0
    score: float = 0.5

    def decide(self, scores, scale):
        return Verdict(len(scores) >= 8, self.epoch, self.score, "because")


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Wrong(epoch=99), "the knee estimator chose epoch 99; allowed: 0 to 0"),
        (Wrong(score=math.nan), "returned the score nan; allowed: finite numbers"),
        (Wrong(score=math.inf), "returned the score inf; allowed: finite numbers"),
    ],
)
def test_what_an_estimator_may_not_return_is_refused(tmp_path, estimator, message):
    for _ in range(2):
        with pytest.raises(EstimatorError, match=message):
            solve(staged(estimator=estimator), tmp_path / "run")


def test_no_model_is_evaluated_on_hours_that_are_used_up(tmp_path):
    with pytest.raises(BudgetError, match="hours 0 of 0"):
        solve(staged(), tmp_path / "run", options=SearchOptions(budget=Budget(hours=0)))
    assert list(RunFolder(tmp_path / "run").trained()) == []


@pytest.mark.parametrize("mode", ["max", "min"])
def test_no_training_is_dropped_that_has_won_already(tmp_path, mode):
    """An estimator that takes the best measured may have it long before it stops."""
    estimator, metric = Patience(8), {"max": "top1", "min": "loss"}[mode]
    sign, dropped = {"max": 1, "min": -1}[mode], 0
    for seed in range(4):
        noisy = partial(SimulatedTrainer, noise=0.03, problem=seed)
        problem = kinetics(noisy, metric=metric, mode=mode, estimator=estimator, seed=seed)
        folder = RunFolder(tmp_path / str(seed))
        solve(problem, folder.path, options=SearchOptions(pruning=SAFE))
        ended = [(each.key, each.outcome()) for each in folder.trainings()]
        for key, outcome in ended:
            if outcome.rule == "race":
                into = [
                    o for k, o in ended if k.endswith(key.split("__")[1]) and o.status == "done"
                ]
                worth = sign * estimator(outcome.scores, mode).score
                assert worth < max(sign * each.score for each in into)
                dropped += 1
    assert dropped > 5
