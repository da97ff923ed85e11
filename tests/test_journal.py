from __future__ import annotations

import json
import math
import os
import pickle
import socket
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from disks import full_disk
from hypothesis import given
from hypothesis import strategies as st

from schedplan import (
    INITIAL,
    Axis,
    FixedEpochs,
    Problem,
    SimulatedTrainer,
    Space,
    build_graph,
    solve,
)
from schedplan.errors import RunFolderError
from schedplan.graph import basic
from schedplan.journal import (
    EpochRecord,
    Outcome,
    RunFolder,
    fingerprint,
    hash_folder,
    is_sound,
    publish_folder,
    transition_key,
    write_text,
)
from schedplan.journal.files import append_text
from schedplan.journal.lease import STALE
from schedplan.testing.strategies import graphs

OUTCOME = Outcome(
    "done", "enough", 1, 0.5, (0.1, 0.5), "snapshots/key.0001", origin=None, seed=3, seconds=1.5
)


def record(epoch: int, score: float = 0.5) -> EpochRecord:
    return EpochRecord(epoch, score, {"top1": score}, {"loss": 1.0}, 0.25)


def test_an_outcome_is_published_whole(tmp_path):
    transition = RunFolder(tmp_path).transition("key")
    assert transition.outcome() is None
    transition.publish(OUTCOME)
    assert transition.outcome() == OUTCOME
    assert OUTCOME.epochs_trained == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": "done"}', '{"scores": 3}'])
def test_a_damaged_result_is_named(tmp_path, text):
    transition = RunFolder(tmp_path).transition("key")
    transition.publish(OUTCOME)
    file = tmp_path / "transitions" / "key" / "result.json"
    file.write_text(text)
    with pytest.raises(RunFolderError, match=r"key/result\.json: .*delete the file"):
        transition.outcome()


def opened(transition):
    return transition.attempt(transition.begin_attempt(origin=None))


def begin(run: Path, epochs: int):
    """Record `epochs` epochs with snapshots, as an interrupted process leaves them."""
    transition = RunFolder(run).transition("key")
    attempt = opened(transition)
    for epoch in range(epochs):
        attempt.save(epoch, lambda to: (to / "model").write_text("m"))
        attempt.append(record(epoch))
    return attempt


def test_the_next_attempt_takes_over_all_epochs(tmp_path):
    begin(tmp_path, 4)
    transition = RunFolder(tmp_path).transition("key")
    attempt = opened(transition)
    assert attempt.records == [record(epoch) for epoch in range(4)]
    attempt.append(record(4))
    assert [each.epoch for each in transition.records()] == [0, 1, 2, 3, 4]


def test_how_far_a_training_is_counts_every_epoch_that_was_spent_once(tmp_path):
    transition = RunFolder(tmp_path).transition("key")
    assert transition.progress().status == "waiting"
    begin(tmp_path, 4)
    begun = transition.progress()
    assert (begun.status, begun.epochs, begun.seconds) == ("begun", 3, 1.0)
    seen = {"score": 0.5, "scores": (0.5, 0.5), "snapshot": None, "seconds": 0.5}
    transition.publish(replace(OUTCOME, status="pruned", reason="race: below 0.6: late", **seen))
    pruned = transition.progress()
    assert (pruned.status, pruned.epochs, pruned.seconds) == ("pruned", 3, 1.0)
    assert pruned.outcome.rule == "race"
    transition.publish(OUTCOME)
    done = transition.progress()
    assert (done.status, done.epochs, done.seconds) == ("done", 1, 1.5)
    assert done.outcome.rule is None


@given(st.data())
def test_a_journal_torn_at_any_byte_is_read_up_to_the_tear(tmp_path_factory, data):
    run = tmp_path_factory.mktemp("run")
    begin(run, 4)
    transition = RunFolder(run).transition("key")
    file = run / "transitions" / "key" / "1" / "epochs.jsonl"
    whole = file.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    file.write_bytes(whole[:cut])
    complete = sum(cut >= end for end in _line_ends(whole))
    assert [each.epoch for each in transition.records()] == list(range(complete))
    assert len(opened(transition).records) in (0, complete)


def _line_ends(content: bytes) -> list[int]:
    """Where the last character of each line is, whose newline may be missing."""
    return [position for position, byte in enumerate(content) if byte == ord("\n")]


def test_epochs_without_a_snapshot_are_trained_again(tmp_path):
    transition = RunFolder(tmp_path).transition("key")
    begin(tmp_path, 4).drop_snapshots(keep=lambda epoch: epoch <= 2)
    attempt = opened(transition)
    assert [each.epoch for each in attempt.records] == [0, 1, 2]
    attempt.drop_snapshots(keep=lambda epoch: False)
    assert opened(transition).records == []


@pytest.mark.parametrize(
    "facts", [{"score": math.nan}, {"score": "x"}, {"score": None}, {"metrics": 3}, {"epoch": 7}]
)
def test_a_damaged_record_counts_as_torn(tmp_path, facts):
    begin(tmp_path, 3)
    file = tmp_path / "transitions" / "key" / "1" / "epochs.jsonl"
    *whole, last = file.read_text().splitlines()
    file.write_text("\n".join([*whole, json.dumps(json.loads(last) | facts)]))
    assert len(RunFolder(tmp_path).transition("key").records()) == 2


def test_a_torn_journal_whose_earlier_snapshots_are_gone_starts_anew(tmp_path):
    begin(tmp_path, 4).drop_snapshots(keep=lambda epoch: epoch == 3)
    file = tmp_path / "transitions" / "key" / "1" / "epochs.jsonl"
    file.write_text(file.read_text()[:-9])
    assert opened(RunFolder(tmp_path).transition("key")).records == []
    snapshots = tmp_path / "transitions" / "key" / "2" / "snapshots"
    assert list(snapshots.iterdir()) == [], "the snapshot without a record is gone"


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    begin(tmp_path, 3)
    folder = tmp_path / "transitions" / "key"
    (folder / "1" / "snapshots" / ".0003.4711").mkdir()
    attempt = opened(RunFolder(tmp_path).transition("key"))
    assert len(attempt.records) == 3
    assert not list(folder.rglob(".0003*"))


def test_whoever_was_given_up_for_lost_can_do_no_harm(tmp_path):
    orphan = begin(tmp_path, 3)
    attempt = opened(RunFolder(tmp_path).transition("key"))
    with pytest.raises(FileNotFoundError):
        orphan.save(3, lambda to: (to / "model").write_text("late"))
    with pytest.raises(FileNotFoundError):
        orphan.append(record(3))
    orphan.drop_snapshots(keep=lambda epoch: False)
    attempt.append(record(3, score=0.7))
    assert [each.score for each in RunFolder(tmp_path).transition("key").records()][-1] == 0.7
    assert all(is_sound(attempt.snapshot(epoch)) for epoch in range(3))


def test_not_even_a_name_or_a_folder_that_is_still_known_leads_to_the_next_attempt(
    tmp_path, monkeypatch
):
    """Machines that share a disk may find a folder for a while under a name that it had."""
    orphan = begin(tmp_path, 3)
    monkeypatch.chdir(tmp_path / "transitions" / "key" / "1")
    attempts = []

    def late(to: Path) -> None:
        attempts.append(opened(RunFolder(tmp_path).transition("key")))
        to.mkdir(parents=True)  # as some trainers do
        (to / "model").write_text("late")

    with pytest.raises(FileNotFoundError):
        orphan.save(3, late)
    with pytest.raises(FileNotFoundError):
        orphan.append(record(3))
    with pytest.raises(FileNotFoundError):
        append_text(Path("epochs.jsonl"), "late")
    with pytest.raises(FileNotFoundError):
        Path("snapshots").mkdir()
    (attempt,) = attempts
    assert attempt.snapshots == {0, 1, 2}
    assert all(is_sound(attempt.snapshot(epoch)) for epoch in range(3))
    assert len(RunFolder(tmp_path).transition("key").records()) == 3
    assert len(opened(RunFolder(tmp_path).transition("key")).records) == 3


def test_a_model_published_without_a_result_goes_back_to_the_next_attempt(tmp_path):
    begin(tmp_path, 3)
    transition = RunFolder(tmp_path).transition("key")
    own = "transitions/key/1/snapshots/0001"
    outcome = transition.publish(replace(OUTCOME, snapshot=own))
    assert outcome == OUTCOME
    assert is_sound(tmp_path / OUTCOME.snapshot)
    (tmp_path / "transitions" / "key" / "result.json").unlink()
    attempt = opened(transition)
    assert attempt.snapshots == {1}
    assert len(attempt.records) == 2


def test_a_snapshot_that_has_changed_is_not_sound(tmp_path):
    attempt = begin(tmp_path, 2)
    (attempt.snapshot(1) / "model").write_text("n")
    assert [is_sound(attempt.snapshot(epoch)) for epoch in range(3)] == [True, False, False]


def test_a_folder_is_published_whole_or_not_at_all(tmp_path):
    def fail(to: Path) -> None:
        (to / "half").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish_folder(tmp_path / "a", fail)
    assert list(tmp_path.iterdir()) == []
    publish_folder(tmp_path / "a", lambda to: (to / "one").write_text("1"))
    publish_folder(tmp_path / "a", lambda to: (to / "two").write_text("2"))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["two"]


def test_a_full_disk_is_said_of_the_file_and_leaves_the_old_one(tmp_path):
    file = tmp_path / "file"
    write_text(file, "one")
    with full_disk(), pytest.raises(OSError, match=str(file)):
        write_text(file, "two")
    assert file.read_text() == "one"
    assert [*tmp_path.iterdir()] == [file]


def test_write_text_leaves_nothing_else_behind(tmp_path):
    write_text(tmp_path / "sub" / "file", "one")
    write_text(tmp_path / "sub" / "file", "two")
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["file"]
    assert (tmp_path / "sub" / "file").read_text() == "two"


def test_a_run_folder_is_bound_to_its_configuration(tmp_path):
    folder = RunFolder(tmp_path / "run")
    config = {"name": "a", "knee": {"delay": 3}, "axes": {"rate": [1, 2]}}
    folder.configure(config)
    folder.configure(dict(reversed(config.items())))
    assert folder.config() == config
    folder.configure({**config, "name": "b"})
    folder.configure(config)
    begin(tmp_path / "run", 1)
    with pytest.raises(RunFolderError) as caught:
        folder.configure({"name": "a", "knee": {"delay": 4}, "axes": {"rate": [1, 2]}, "seed": 1})
    assert "knee.delay was 3 and is now 4" in str(caught.value)
    assert "seed was unset and is now 1" in str(caught.value)


def test_a_run_folder_is_bound_to_the_data(tmp_path):
    folder = RunFolder(tmp_path / "run")
    old, new = ({"name": "a", "data": {"train.npz": digest}} for digest in ("1c", "2d"))
    folder.configure(old)
    folder.configure(new)
    folder.configure({"name": "a"})
    begin(tmp_path / "run", 1)
    folder.configure(old)  # what was not known before is written down
    with pytest.raises(RunFolderError, match=r"data have changed .*train.npz was '1c' and is now"):
        folder.configure(new)
    assert folder.config() == old


def test_a_run_folder_takes_other_options_that_do_not_matter(tmp_path):
    folder = RunFolder(tmp_path / "run")
    old, new = ({"trainer": {"use": "x", "workers": n, "width": n}} for n in (1, 2))
    folder.configure(old)
    begin(tmp_path / "run", 1)
    with pytest.raises(RunFolderError, match=r"configuration: trainer.width was 1 and is now 2;"):
        folder.configure(new, incidental=("workers",))
    faster = {"trainer": {**old["trainer"], "workers": 4}}
    folder.configure(faster, incidental=("workers",))
    assert folder.config() == faster


def test_a_configuration_changed_by_hand_is_noticed(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.configure({"name": "a"})
    folder.config_file.write_text(folder.config_file.read_text().replace("name: a", "name: b"))
    with pytest.raises(RunFolderError, match="changed by hand"):
        folder.configure({"name": "b"})


@pytest.mark.parametrize("content", ["", "a: [", "- a", "name: a"])
def test_what_is_no_run_folder_is_said_to_be_none(tmp_path, content):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(RunFolderError, match="no run folder"):
        RunFolder(tmp_path).config()


@given(graphs())
def test_every_transition_has_a_key_of_its_own(drawn):
    keys = {transition_key(edge).casefold() for edge in drawn.graph.dag.edges}
    assert len(keys) == drawn.graph.transitions


def test_keys_are_short_and_distinct():
    space = Space(tuple(Axis(f"a{i}", ("x" * 24, "y" * 24)) for i in range(8)))
    keys = {transition_key((INITIAL, state)) for state in space.states()}
    assert len(keys) == 256
    assert max(len(key) for key in keys) <= 120


def test_hashes_tell_contents_and_names_apart(tmp_path):
    hashes = set()
    for name, text in [("a", "1"), ("a", "2"), ("b", "1"), ("a/b", "1")]:
        folder = tmp_path / str(len(hashes))
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
        hashes.add(hash_folder(folder))
    assert len(hashes) == 4
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1})


def test_files_are_json_and_yaml_a_person_can_read(tmp_path):
    begin(tmp_path, 1)
    RunFolder(tmp_path).transition("key").publish(OUTCOME)
    folder = tmp_path / "transitions" / "key"
    assert json.loads((folder / "1" / "epochs.jsonl").read_text())["metrics"] == {"top1": 0.5}
    assert json.loads((folder / "result.json").read_text())["reason"] == "enough"


def test_a_holder_on_another_machine_is_believed_as_long_as_he_renews_his_lease(tmp_path):
    holder = tmp_path / "holder.txt"
    holder.write_text("process 1 on elsewhere\ntoken\n")
    with (
        pytest.raises(RunFolderError, match="worked on by process 1 on elsewhere"),
        RunFolder(tmp_path).hold(),
    ):
        raise AssertionError
    longer = f"process 1 on {socket.gethostname()}0"
    holder.write_text(f"{longer}\ntoken\n")
    with pytest.raises(RunFolderError, match=longer), RunFolder(tmp_path).hold():
        raise AssertionError
    os.utime(holder, (0, time.time() - 2 * STALE))
    with RunFolder(tmp_path).hold():
        assert f"process {os.getpid()}" in holder.read_text()
    assert not holder.exists()


def test_a_holder_of_whom_nothing_is_known_is_gone(tmp_path):
    """The lock of the machine is free, so he was killed before he wrote who he is."""
    (tmp_path / "holder.txt").touch()
    with RunFolder(tmp_path).hold():
        assert str(os.getpid()) in (tmp_path / "holder.txt").read_text()


def test_who_has_lost_his_lease_changes_nothing(tmp_path):
    RunFolder(tmp_path).configure({"any": 1})
    begin(tmp_path, 3)
    with RunFolder(tmp_path).hold() as run:
        transition = run.transition("key")
        transition.begin_attempt(origin=None)
        (tmp_path / "holder.txt").write_text("process 1 on elsewhere\ntoken\n")
        before = sorted(tmp_path.rglob("*"))
        snapshot = "transitions/key/2/snapshots/0001"
        for change in (
            partial(transition.begin_attempt, None),
            partial(transition.publish, OUTCOME),
            partial(transition.tidy, OUTCOME),
            partial(run.remove, snapshot),
            partial(run.move, snapshot, to="snapshots/key.0001"),
        ):
            with pytest.raises(RunFolderError, match="taken over by process 1 on elsewhere"):
                change()
        assert sorted(tmp_path.rglob("*")) == before
    assert pickle.loads(pickle.dumps(run)) == run, "of which other processes have no lease"


def test_a_search_that_has_lost_its_lease_publishes_nothing(tmp_path):
    def take_over(event: object) -> None:
        (tmp_path / "run" / "holder.txt").write_text("process 1 on elsewhere\ntoken\n")

    space = Space((Axis("rate", (1, 2)),))
    graph = build_graph(space, basic(), [space.state(rate=1)], [space.state(rate=2)])
    problem = Problem(graph, SimulatedTrainer, "quality", estimator=FixedEpochs(1))
    with pytest.raises(RunFolderError, match="taken over by process 1 on elsewhere"):
        solve(problem, tmp_path / "run", on_event=take_over)
    assert not list(tmp_path.glob("run/transitions/*/result.json"))
    assert (tmp_path / "run" / "holder.txt").exists(), "it is the other's"
