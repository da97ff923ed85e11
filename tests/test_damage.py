"""What people, disks and trainers do to a run: nothing of it is lost, and nobody's files are."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from struck import NOISY, cut_off, files, search, small

from schedplan import NONE, Plan, SearchOptions, SimulatedTrainer, replay, solve
from schedplan.errors import PlanError, RunFailedError, RunFolderError, TrainerError
from schedplan.executors import ProcessExecutor
from schedplan.journal import Outcome, RunFolder, hash_folder
from schedplan.solver import Event
from schedplan.transition import EpochEvent, TransitionEvent


@pytest.mark.parametrize("config", [None, "name: mine\n"])
def test_a_folder_of_somebody_else_is_left_as_it_is(tmp_path, config):
    for name in (".bashrc.old2024", ".notes.new1", "sub/.git.old3/index"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    if config:
        (tmp_path / "config.yaml").write_text(config)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunFolderError, match="no run folder"):
        search(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_trainer_calls_its_files_is_its_own_business(tmp_path):
    class Odd(SimulatedTrainer):
        def save(self, folder):
            super().save(folder)
            (folder / ".best.old1").write_text("a model")

    solve(small(Odd), tmp_path, options=SearchOptions(pruning=NONE), config={"any": 1})
    solve(small(Odd), tmp_path, options=SearchOptions(pruning=NONE), config={"any": 1})
    assert (tmp_path / "model" / ".best.old1").exists()
    assert list(tmp_path.glob("snapshots/*/.best.old1"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("holder.txt", b"\xff\xfe"),
        ("transitions/.DS_Store", b"any"),
        ("transitions/S0__16_0.1/1/claim-x", b""),
    ],
)
def test_files_that_mean_nothing_are_no_hindrance(tmp_path, file, content):
    expected = search(tmp_path / "whole")
    cut_off(tmp_path / "run")
    (tmp_path / "run" / file).write_bytes(content)
    assert search(tmp_path / "run").stages == expected.stages


@pytest.mark.parametrize(
    ("file", "facts"),
    [
        ("result.json", {"score": 10**400}),
        ("result.json", {"seconds": 10**400}),
        ("result.json", {"epoch": True}),
        ("result.json", {"snapshot": "snapshots/a\0b"}),
        ("result.json", {"snapshot": f"snapshots/{'a' * 300}"}),
        ("origin.json", "[" * 200_000),
    ],
)
def test_damaged_files_are_named(tmp_path, file, facts):
    search(tmp_path)
    (tmp_path / "plan.yaml").unlink()
    damaged = tmp_path / "transitions" / "S0__16_0.1" / file
    whole = json.loads(damaged.read_text())
    damaged.write_text(facts if isinstance(facts, str) else json.dumps(whole | facts))
    with pytest.raises(RunFolderError, match=file):
        search(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "stages: !!int ''",
        "stages: !!bool x",
        "stages: !!timestamp foo",
        "\n".join([f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]).replace(
            "*a0", "x"
        )
        + "\nversion: *a8\nstages: []",
    ],
    ids=["int", "bool", "timestamp", "aliases"],
)
def test_plans_from_elsewhere_do_no_harm(tmp_path, content):
    (tmp_path / "plan.yaml").write_text(content)
    with pytest.raises(PlanError, match=r"plan\.yaml"):
        Plan.load(tmp_path / "plan.yaml")


def test_texts_that_look_like_numbers_stay_texts(tmp_path):
    facts = {"fingerprint": "6e48123456789012", "name": "1e4"}
    plan = replace(search(tmp_path / "run"), provenance=facts)
    plan.save(tmp_path / "plan.yaml")
    assert Plan.load(tmp_path / "plan.yaml").provenance == facts


def test_who_was_taken_over_publishes_no_result(tmp_path):
    """Not even if that happens just after he has made sure that it has not."""
    search(tmp_path / "run")
    run = RunFolder(tmp_path / "other")
    mine = run.transition("key")
    number = mine.begin_attempt(origin=None)
    run.transition("key").begin_attempt(origin=None)
    failed = Outcome("failed", "late", 0, None, (), None, None, 0, 0.0)
    with pytest.raises(FileNotFoundError):
        mine.publish(failed, number)
    assert mine.outcome() is None


def test_a_disk_that_cannot_be_read_stops_the_search_and_fails_nothing(tmp_path):
    expected = search(tmp_path / "whole")
    cut_off(tmp_path / "run")
    (seal,) = tmp_path.glob("run/snapshots/*/.schedplan.sha256")
    content = seal.read_text()
    seal.unlink()
    seal.mkdir()  # reading it is an error of the system
    with pytest.raises(OSError, match="directory"):
        search(tmp_path / "run")
    seal.rmdir()
    seal.write_text(content)
    assert search(tmp_path / "run").stages == expected.stages
    assert files(tmp_path / "run") == files(tmp_path / "whole")


def test_a_driver_that_was_taken_over_says_so_and_not_that_files_are_missing(tmp_path):
    def take_over(event: Event) -> None:
        if isinstance(event, EpochEvent) and event.record.epoch == 1:
            (tmp_path / "holder.txt").write_text("process 1 on elsewhere\ntoken\n")
            shutil.rmtree(tmp_path / "transitions" / event.key)

    with pytest.raises(RunFolderError, match="taken over by process 1 on elsewhere"):
        search(tmp_path, on_event=take_over)


def test_what_a_transition_began_from_is_kept_as_long_as_it_may_be_tried_again(tmp_path):
    class Late(SimulatedTrainer):
        def begin(self, params, start, seed):
            self.broken = params["clip"] == 32 and params["rate"] == 0.1 and start is not None
            super().begin(params, start, seed)

        def train_epoch(self):
            if self.broken and not (tmp_path / "mended").exists():
                raise RuntimeError("out of luck")
            return super().train_epoch()

    options, told = SearchOptions(pruning=NONE), []
    run = partial(solve, small(Late), tmp_path / "run", options=options, config={"any": 1})
    run()
    (tmp_path / "mended").touch()
    whole = solve(small(Late), tmp_path / "whole", options=options, config={"any": 1})
    assert run(retry_failed=True, on_event=told.append).stages == whole.stages
    trained = {event.key for event in told if isinstance(event, TransitionEvent) and event.outcome}
    assert not [key for key in trained if "again" in key], "nothing is trained to have it back"


@pytest.mark.parametrize("error", [asyncio.CancelledError("stop"), GeneratorExit("stop")])
def test_whatever_a_trainer_raises_fails_its_transition_alone(tmp_path, error):
    class Raising(SimulatedTrainer):
        def train_epoch(self):
            raise error

    with pytest.raises(RunFailedError, match=f"{type(error).__name__}: stop"):
        solve(small(Raising), tmp_path, config={"any": 1})


def test_reasons_can_be_written_whatever_they_hold(tmp_path):
    class Raising(SimulatedTrainer):
        def train_epoch(self):
            raise FileNotFoundError(os.fsdecode(b"\xff.mp4"))

    with pytest.raises(RunFailedError, match=r"udcff\.mp4") as raised:
        solve(small(Raising), tmp_path, config={"any": 1})
    str(raised.value).encode()


@pytest.mark.parametrize(("to", "allowed"), [("{folder}/a", False), ("../a", False), ("a", True)])
def test_links_may_not_lead_out_of_a_snapshot(tmp_path, to, allowed):
    class Linking(SimulatedTrainer):
        def save(self, folder):
            super().save(folder)
            (folder / "a").write_text("a")
            (folder / "last").symlink_to(to.format(folder=folder))

    plan = partial(solve, small(Linking), tmp_path / "run", config={"any": 1})
    if allowed:
        plan()
        assert (tmp_path / "run" / "model" / "last").read_text() == "a"
    else:
        with pytest.raises(TrainerError, match=r"made last a link to .*allowed: relative links"):
            plan()


def test_a_replay_tells_its_epochs_wherever_it_trains_and_keeps_one_model(tmp_path):
    plan = solve(small(), options=SearchOptions(pruning=NONE))
    told: dict[str, list[tuple[str, int]]] = {"here": [], "there": []}

    def note(where: str, event: Event) -> None:
        if isinstance(event, EpochEvent):
            told[where].append((event.key, event.record.epoch))

    here = replay(plan, NOISY, tmp_path / "here", on_event=partial(note, "here"))
    with ProcessExecutor(1) as pool:
        there = replay(
            plan, NOISY, tmp_path / "there", executor=pool, on_event=partial(note, "there")
        )
    assert [each.identity for each in here] == [each.identity for each in there]
    assert told["here"] == told["there"]
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert len(list((tmp_path / "here" / "snapshots").iterdir())) == 1


def test_a_replay_whose_model_is_damaged_or_gone_trains_its_last_stage_again(tmp_path):
    plan = solve(small(), options=SearchOptions(pruning=NONE))
    run = RunFolder(tmp_path / "run")
    replay(plan, NOISY, run.path)
    whole = hash_folder(run.model)
    (model,) = (run.path / "snapshots").iterdir()
    next(model.glob("*.json")).write_text("damaged")
    replay(plan, NOISY, run.path)
    assert hash_folder(run.model) == whole
    shutil.rmtree(run.path / "snapshots")
    replay(plan, NOISY, run.path)
    assert hash_folder(run.model) == whole


def test_a_replay_that_is_interrupted_leaves_nobody_at_work(tmp_path):
    plan = solve(small(), options=SearchOptions(pruning=NONE))

    def stop(event: Event) -> None:
        if isinstance(event, EpochEvent):
            raise KeyboardInterrupt

    slow = partial(Endless, noise=0.05)
    with ProcessExecutor(1) as pool, suppress(KeyboardInterrupt):
        replay(plan, slow, tmp_path, executor=pool, on_event=stop)
    assert not (tmp_path / "holder.txt").exists()


class Endless(SimulatedTrainer):
    """Never comes to the end of its second epoch."""

    def train_epoch(self):
        if self._epoch == 1:
            while True:
                pass
        return super().train_epoch()
