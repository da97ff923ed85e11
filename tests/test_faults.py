"""A search survives whatever happens to its process and its disk, at whatever moment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import get_args

import pytest
import struck
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from struck import answer, search, search_on, search_with_processes, small, tear

from schedplan import Pruning, Race, SimulatedTrainer, solve
from schedplan.errors import RunFailedError, RunFolderError
from schedplan.journal import RunFolder
from schedplan.solver import Event
from schedplan.testing.faults import Fault, strike
from schedplan.transition import EpochEvent


@pytest.mark.parametrize(
    ("scene", "fault", "every"),
    [
        ("search", "kill", 13),
        ("search", "full disk", 41),
        ("search", "power cut", 23),
        ("search", "lost content", 31),
        ("resumed", "kill", 17),
        ("resumed", "full disk", 53),
        ("resumed", "power cut", 29),
        ("restoring", "kill", 7),
        ("restoring", "full disk", 37),
        ("restoring", "power cut", 17),
        ("replay", "kill", 13),
        ("replay", "power cut", 19),
        ("processes", "kill", 97),
    ],
)
def test_a_fault_at_any_change_of_a_file_changes_neither_the_answer_nor_what_is_left(
    tmp_path, scene, fault, every
):
    """In a process of its own, as forks of a large one are slow; see `struck.py`."""
    command = [sys.executable, struck.__file__, scene, fault, f"{every}", tmp_path]
    swept = subprocess.run(command, capture_output=True, text=True)
    assert swept.returncode == 0, swept.stderr
    assert int(swept.stdout) > 100


def write(file: Path) -> None:
    """Write a file as whoever wants it to survive does not: nothing is synchronised."""
    file.with_name("new").write_text("new")
    file.with_name("new").rename(file)


def synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("fault", "synchronised", "left"),
    [
        ("kill", [], {"file": "new"}),
        ("power cut", [], {"file": "old"}),
        ("power cut", ["run"], {"file": ""}),
        ("power cut", ["run/file"], {"file": "old"}),
        ("power cut", ["run/file", "run"], {"file": "new"}),
        ("lost content", [], {"file": ""}),
        ("lost content", ["run/file"], {"file": "new"}),
    ],
)
def test_a_machine_that_fails_leaves_what_was_synchronised(tmp_path, fault, synchronised, left):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "file").write_text("old")

    def work() -> None:
        write(folder / "file")
        for name in synchronised:
            synchronise(tmp_path / name)
        (folder / "last").mkdir()

    assert strike(work, folder, 3 + len(synchronised), fault)
    assert {path.name: path.read_text() for path in folder.iterdir()} == left


def test_a_journal_torn_anywhere_changes_nothing(tmp_path):
    """A killed process may leave any part of what it wrote last."""
    assert tear(31, tmp_path) > 500


class Broken(SimulatedTrainer):
    def train_epoch(self):
        raise RuntimeError("out of luck")


class Sessions(RuleBasedStateMachine):
    """Any history of sessions in one run folder: each ends as it may, and the last one well."""

    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folder = self.place / "run"
        self.processes = 0

    @rule(at=st.integers(1, 200), fault=st.sampled_from(get_args(Fault)), retry=st.booleans())
    def a_session_with_a_fault(self, at: int, fault: Fault, retry: bool) -> None:
        strike(partial(search_on, self.folder, retry=retry), self.folder, at, fault)

    @rule(at=st.integers(1, 100))
    def a_session_that_prunes(self, at: int) -> None:
        pruning = Pruning(Race(z=0, first=1, first_from_scratch=1, window=3))
        strike(partial(search_on, self.folder, pruning=pruning), self.folder, at)

    @precondition(lambda self: self.processes < 1)  # which take seconds to start
    @rule(at=st.integers(1, 200))
    def a_session_with_processes(self, at: int) -> None:
        self.processes += 1
        strike(partial(search_with_processes, self.folder), self.folder, at)

    @rule()
    def a_session_whose_trainer_fails(self) -> None:
        with suppress(RunFailedError, RunFolderError):  # the latter where it is to train again
            solve(small(Broken), self.folder, config={"any": 1})

    @rule(epochs=st.integers(1, 12))
    def a_session_that_is_taken_over(self, epochs: int) -> None:
        left: list[dict[str, bytes]] = []
        told = count(1)

        def take_over(event: Event) -> None:
            if isinstance(event, EpochEvent) and next(told) == epochs:
                (self.folder / "holder.txt").write_text("process 1 on nowhere\n")
                left.append(shared(self.folder))

        try:
            search_on(self.folder, on_event=take_over)
        except RunFolderError as error:
            assert "taken over by process 1 on nowhere" in str(error)
            assert left == [shared(self.folder)]
            with pytest.raises(RunFolderError, match="worked on by process 1 on nowhere"):
                search(self.folder)
            os.utime(self.folder / "holder.txt", (0, 0))
        else:
            assert not left, "whoever lost the lease has gone on"

    @rule()
    def a_second_driver(self) -> None:
        if self.folder.exists():
            with RunFolder(self.folder).hold(), pytest.raises(RunFolderError, match="worked on by"):
                search(self.folder)

    @rule()
    def a_holder_that_is_gone(self) -> None:
        if self.folder.exists():
            (self.folder / "holder.txt").write_text("process 1 on nowhere\n")
            os.utime(self.folder / "holder.txt", (0, 0))

    def teardown(self) -> None:
        search(self.place / "whole")
        search(self.folder, retry=True)
        assert answer(self.folder) == answer(self.place / "whole")
        assert not list(self.folder.rglob(".*.new*")) + list(self.folder.rglob(".*.old*"))
        shutil.rmtree(self.place)


def shared(folder: Path) -> dict[str, bytes]:
    """Return all that only the holder of a run folder writes, file by file."""
    own = set(folder.glob("transitions/*/*/**/*"))  # of attempts
    found = (path for path in folder.rglob("*") if path.is_file() and path not in own)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=8, stateful_step_count=5, deadline=None)
