from __future__ import annotations

import math
from dataclasses import asdict, replace
from functools import partial
from typing import ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from test_solver import kinetics

from schedplan import Patience, Plan, Problem, SimulatedTrainer, Stage, confirm, replay, solve
from schedplan.course import stages_by_key
from schedplan.errors import PlanError, RunFailedError, RunFolderError
from schedplan.journal import RunFolder
from schedplan.transition import TransitionEvent

scores = st.none() | st.floats(allow_nan=False, allow_infinity=False)
make_stages = partial(
    st.builds,
    Stage,
    state=st.text(max_size=10),
    params=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
    score=scores,
    observed=scores,
    seed=st.integers(0, 2**32 - 1),
)
stages, ends = make_stages(epochs=st.integers(1, 20)), make_stages(epochs=st.just(0))
plans = st.builds(
    Plan,
    name=st.text(max_size=5),
    metric=st.just("top1"),
    mode=st.sampled_from(["max", "min"]),
    score=scores,
    stages=st.lists(stages, min_size=1, max_size=4).map(tuple),
    initial=st.none() | ends,
    final=st.none() | ends,
    complete=st.booleans(),
    confirmed=scores,
    provenance=st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


@given(plan=plans)
def test_a_plan_survives_its_file(tmp_path_factory, plan):
    file = tmp_path_factory.mktemp("plan") / "plan.yaml"
    plan.save(file)
    assert Plan.load(file) == plan


@given(plan=plans)
def test_params_at_goes_through_the_stages_epoch_by_epoch(plan):
    expected = [stage.params for stage in plan.stages for _ in range(stage.epochs)]
    assert [plan.params_at(epoch) for epoch in range(plan.epochs)] == expected
    assert tuple(map(plan.stage_at, plan.starts)) == plan.stages
    for outside in (-1, plan.epochs):
        with pytest.raises(PlanError, match=f"no epoch {outside}; allowed: 0 to"):
            plan.params_at(outside)


@given(plan=plans)
def test_a_plan_names_its_hyperparameters_and_those_that_change(plan):
    held = [stage.params for stage in plan.path]
    assert sorted(plan.names) == sorted({name for params in held for name in params})
    assert [name for name in plan.names if name in held[0]] == list(held[0])
    first, *rest = (stage.params for stage in plan.stages)
    for name in plan.names:
        same = all(params.get(name) == first.get(name) for params in rest)
        assert (name in plan.changing) is not same


@given(plan=plans, prices=st.lists(st.integers(0, 99), min_size=4, max_size=4), data=st.data())
def test_a_plan_costs_what_its_epochs_do_one_by_one(plan, prices, data):
    priced = zip(plan.stages, prices, strict=False)
    stages = tuple(replace(stage, params={"price": price}) for stage, price in priced)
    plan = replace(plan, stages=stages)
    epochs = data.draw(st.integers(0, plan.epochs))
    costs = [plan.params_at(epoch)["price"] for epoch in range(plan.epochs)]
    assert plan.cost("price", epochs) == sum(costs[:epochs])
    assert (plan.cost("price"), plan.cost(None, epochs)) == (sum(costs), epochs)


STAGE = asdict(Stage("a", {}, 1, 0.5, 0.5, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2; allowed: 1"),
        ({"stages": 3}, "stages"),
        ({"mode": "most"}, "mode"),
        ({"score": "high"}, "score"),
        ({"metric": None}, "metric"),
        ({"scor": 0.5}, "scor: Unexpected"),
        ({"score": math.nan}, "score is nan; allowed: a finite number, or none"),
        ({"confirmed": -math.inf}, "confirmed is -inf"),
        ({"stages": [{**STAGE, "epochs": 0}]}, r"stages\.0\.epochs is 0; allowed: .* at least 1"),
        ({"stages": [{**STAGE, "rate": 1}]}, r"stages\.0\.rate: Unexpected"),
        ({"stages": [{**STAGE, "observed": math.inf}]}, r"stages\.0\.observed is inf"),
        ({"initial": STAGE}, r"initial\.epochs is 1; allowed: 0"),
        ({"final": {**STAGE, "epochs": -4}}, r"final\.epochs is -4; allowed: 0"),
        ({"final": {**STAGE, "epochs": 0, "score": math.nan}}, r"final\.score is nan"),
    ],
)
def test_a_file_that_holds_no_plan_is_refused_with_the_place(tmp_path, change, message):
    file = tmp_path / "plan.yaml"
    facts = Plan("a", "top1", "max", 0.5, (Stage(**STAGE),)).as_dict() | change
    file.write_text(yaml.safe_dump(facts))
    with pytest.raises(PlanError, match=rf"plan\.yaml: .*{message}"):
        Plan.load(file)


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"a: [", b"- a", b"!!python/object:os.system {}"]
)
def test_files_of_another_kind_are_refused(tmp_path, content):
    file = tmp_path / "plan.yaml"
    file.write_bytes(content)
    with pytest.raises(PlanError, match=r"plan\.yaml"):
        Plan.load(file)


def solved(tmp_path) -> tuple[Problem, Plan]:
    problem = kinetics(partial(SimulatedTrainer, noise=0.01), estimator=Patience(4))
    return problem, solve(problem, tmp_path / "run")


def test_a_replay_needs_nothing_of_the_search_and_reaches_its_score(tmp_path):
    problem, plan = solved(tmp_path)
    plan.save(tmp_path / "plan.yaml")
    loaded = Plan.load(tmp_path / "plan.yaml")
    outcomes = replay(loaded, problem.trainer, tmp_path / "replay")
    assert [outcome.epoch for outcome in outcomes] == [stage.epochs for stage in plan.stages]
    assert outcomes[-1].score == pytest.approx(plan.score)
    assert (tmp_path / "replay" / "model" / "simulated.json").exists()
    trained = [training.key for training in RunFolder(tmp_path / "replay").trainings()]
    assert trained == list(stages_by_key(loaded))
    assert replay(loaded, problem.trainer, tmp_path / "replay") == outcomes, "nothing is trained"


def test_stages_are_numbered_from_the_initial_one():
    stage, none = (Stage("a", {}, epochs, score=None, observed=None, seed=0) for epochs in (1, 0))
    plan = Plan("a", "top1", "max", 0.5, stages=(stage,) * 100, final=none)
    whole = replace(plan, initial=none)
    assert list(stages_by_key(whole)) == ["stage-00", *stages_by_key(plan)]
    assert list(stages_by_key(plan))[8:10] == ["stage-09", "stage-10"]
    assert list(stages_by_key(plan))[-1] == "stage-101"
    assert tuple(stages_by_key(whole).values()) == whole.path


def test_a_replay_does_not_mix_with_another_run(tmp_path):
    problem, plan = solved(tmp_path)
    with pytest.raises(RunFolderError, match="another configuration"):
        replay(plan, problem.trainer, tmp_path / "run")


def test_a_plan_is_confirmed_by_training_along_it_with_other_seeds(tmp_path):
    problem, plan = solved(tmp_path)
    confirmed = confirm(plan, problem.trainer, tmp_path / "confirm")
    assert replace(confirmed, confirmed=None) == plan
    assert confirmed.confirmed != plan.stages[-1].observed, "the noise is another one"
    assert confirmed.confirmed == pytest.approx(plan.score, abs=0.1)
    assert confirm(plan, problem.trainer, tmp_path / "again") == confirmed
    assert confirm(confirmed, BreaksLater, tmp_path / "absent") == confirmed
    assert not (tmp_path / "absent").exists()


def test_a_confirmation_that_was_cut_off_goes_on(tmp_path):
    problem, plan = solved(tmp_path)
    with pytest.raises(RunFailedError, match="stage-02"):
        confirm(plan, BreaksLater, tmp_path / "confirm")
    events = []
    confirmed = confirm(plan, problem.trainer, tmp_path / "confirm", on_event=events.append)
    assert next(event.known for event in events if isinstance(event, TransitionEvent))
    assert confirmed == confirm(plan, problem.trainer, tmp_path / "whole")


class Seen(SimulatedTrainer):
    """Measures 100 more under the settings of the last state."""

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        self.more = 100 * (params["learning_rate"] == 0.0001)

    def evaluate(self):
        return {name: value + self.more for name, value in super().evaluate().items()}


def test_where_the_last_state_keeps_no_epoch_its_settings_still_measure_the_plan(tmp_path):
    _, plan = solved(tmp_path)
    last = {**plan.stages[-1].params, "learning_rate": 0.0001}
    plan = replace(plan, final=Stage("last", last, 0, score=100.9, observed=100.9, seed=7))
    outcomes = replay(plan, Seen, tmp_path / "replay")
    assert [outcome.epoch for outcome in outcomes] == [*(s.epochs for s in plan.stages), 0]
    assert outcomes[-1].scores[0] - outcomes[-2].scores[-1] == pytest.approx(100)
    assert outcomes[-1].snapshot == outcomes[-2].snapshot, "nothing was trained there"
    assert confirm(plan, Seen, tmp_path / "confirm").confirmed > 100


def test_a_plan_without_stages_cannot_be_confirmed(tmp_path):
    plan = Plan("a", "top1", "max", 0.5, ())
    with pytest.raises(PlanError, match="no stages"):
        confirm(plan, SimulatedTrainer, tmp_path / "confirm")


def test_a_replay_with_another_seed_needs_a_folder_of_its_own(tmp_path):
    problem, plan = solved(tmp_path)
    replay(plan, problem.trainer, tmp_path / "replay", seed=1)
    with pytest.raises(RunFolderError, match="seed was 1 and is now 2"):
        replay(plan, problem.trainer, tmp_path / "replay", seed=2)


class BreaksLater(SimulatedTrainer):
    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        if start is not None:
            raise RuntimeError("no luck")


def test_a_stage_that_fails_is_named(tmp_path):
    _, plan = solved(tmp_path)
    with pytest.raises(RunFailedError, match=r"stage-02 \(.*\) failed: RuntimeError: no luck"):
        replay(plan, BreaksLater, tmp_path / "replay")


class Begun(SimulatedTrainer):
    """Notes what seed a model is made with."""

    seeds: ClassVar[list[int]] = []

    def begin(self, params, start, seed):
        if start is None:
            self.seeds.append(seed)
        super().begin(params, start, seed)


def test_with_one_seed_all_plans_begin_with_the_same_weights(tmp_path):
    _, plan = solved(tmp_path)
    first = replace(plan.stages[0], epochs=0)
    for name, each in {"plain": plan, "initial": replace(plan, initial=first)}.items():
        replay(each, Begun, tmp_path / name, seed=3)
    assert len(Begun.seeds) == 2
    assert len(set(Begun.seeds)) == 1


def test_a_stage_without_epochs_is_refused_where_a_plan_is_made():
    stage = Stage("a", {}, 0, score=None, observed=None, seed=0)
    with pytest.raises(PlanError, match=r"stages\.0\.epochs is 0; allowed: .* at least 1"):
        Plan("demo", "top1", "max", score=None, stages=(stage,))
