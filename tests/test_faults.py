"""A search survives whatever happens to its process and its disk, at whatever moment."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from schedplan import (
    NONE,
    Axis,
    FixedEpochs,
    Plan,
    Problem,
    Pruning,
    Race,
    SearchOptions,
    SimulatedTrainer,
    Space,
    build_graph,
    solve,
)
from schedplan.errors import RunFailedError, RunFolderError
from schedplan.graph import basic
from schedplan.journal import RunFolder
from schedplan.solver import Event
from schedplan.testing.faults import changes, strike
from schedplan.transition import TransitionEvent

NOISY = partial(SimulatedTrainer, noise=0.05)


def small(trainer=NOISY) -> Problem:
    """Return a search of five transitions, of two epochs each."""
    space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
    starts, finals = space.select({"rate": 0.1}), space.select({"rate": 0.01, "clip": 32})
    return Problem(
        build_graph(space, basic(), starts, finals), trainer, "top1", estimator=FixedEpochs(2)
    )


def search(
    folder: Path, pruning: Pruning = NONE, diary: Path | None = None, retry: bool = False
) -> Plan:
    """Search; note in `diary` what was trained to its end."""

    def note(event: Event) -> None:
        if isinstance(event, TransitionEvent) and event.outcome and not event.known:
            with diary.open("a") as stream:
                stream.write(f"{event.key}\n")

    return solve(
        small(),
        folder,
        options=SearchOptions(pruning=pruning),
        config={"any": 1},
        retry_failed=retry,
        on_event=note if diary else lambda event: None,
    )


def search_on(folder: Path, **options) -> None:
    """Search; that transitions have failed before, and none is left, is no fault."""
    with suppress(RunFailedError):
        search(folder, **options)


def files(folder: Path) -> set[str]:
    """Return what is in a run folder, however many attempts it took."""
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {
        "/".join("ATTEMPT" if part.isdecimal() and len(part) < 4 else part for part in path.parts)
        for path in found
    }


@pytest.mark.parametrize(("fault", "every"), [("kill", 7), ("full disk", 23)])
def test_a_fault_at_any_change_of_a_file_changes_neither_the_plan_nor_what_is_left(
    tmp_path, fault, every
):
    whole = tmp_path / "whole"
    number = changes(partial(search, whole), whole)
    assert number > 100
    plan, left = (whole / "plan.yaml").read_bytes(), files(whole)
    keys = {path.name for path in (whole / "transitions").iterdir()}
    for at in range(1, number + 1, every):
        folder, diary = tmp_path / f"{at}", tmp_path / f"{at}.txt"
        assert strike(partial(search, folder, diary=diary), folder, at, fault)
        search(folder, diary=diary)
        assert (folder / "plan.yaml").read_bytes() == plan, at
        assert files(folder) == left, at
        trained = diary.read_text().splitlines()
        assert len(trained) == len(set(trained)), at
        assert len(keys - set(trained)) <= 1, "published, and killed before that was told"
        shutil.rmtree(folder)
    assert not strike(partial(search, tmp_path / "end"), tmp_path / "end", number + 1)


def test_a_journal_torn_anywhere_changes_nothing(tmp_path):
    """A killed process may leave any part of what it wrote last."""
    expected = search(tmp_path / "whole")

    def stop(event: Event) -> None:
        if getattr(getattr(event, "record", None), "epoch", 0) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve(small(), tmp_path / "cut", config={"any": 1}, on_event=stop)
    (journal,) = (tmp_path / "cut").glob("transitions/*/1/epochs.jsonl")
    content = journal.read_bytes()
    assert content.count(b"\n") == 3
    for length in range(0, len(content), 31):
        torn = tmp_path / "torn"
        shutil.copytree(tmp_path / "cut", torn)
        (torn / journal.relative_to(tmp_path / "cut")).write_bytes(content[:length])
        assert search(torn).stages == expected.stages, length
        assert files(torn) == files(tmp_path / "whole"), length
        shutil.rmtree(torn)


class Broken(SimulatedTrainer):
    def train_epoch(self):
        raise RuntimeError("out of luck")


class Sessions(RuleBasedStateMachine):
    """Any history of sessions in one run folder: each ends as it may, and the last one well."""

    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folder = self.place / "run"

    @rule(at=st.integers(1, 200), fault=st.sampled_from(["kill", "full disk"]), retry=st.booleans())
    def a_session_with_a_fault(self, at: int, fault: str, retry: bool) -> None:
        strike(partial(search_on, self.folder, retry=retry), self.folder, at, fault)

    @rule(at=st.integers(1, 100))
    def a_session_that_prunes(self, at: int) -> None:
        pruning = Pruning(Race(z=0, first=1, first_from_scratch=1, window=3))
        strike(partial(search_on, self.folder, pruning=pruning), self.folder, at)

    @rule()
    def a_session_whose_trainer_fails(self) -> None:
        with suppress(RunFailedError, RunFolderError):  # the latter where it is to train again
            solve(small(Broken), self.folder, config={"any": 1})

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
        expected = search(self.place / "whole")
        assert search(self.folder, retry=True).stages == expected.stages
        assert not list(self.folder.rglob(".*.new*")) + list(self.folder.rglob(".*.old*"))
        shutil.rmtree(self.place)


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=8, stateful_step_count=5, deadline=None)
