"""What a person sees while a run goes on: on a terminal, in a log, and from another terminal."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from processes import schedplan
from rich.console import Console

from schedplan import solve
from schedplan.cli.live import Live
from schedplan.cli.status import status_facts
from schedplan.config import load_config
from schedplan.journal import EpochRecord, Outcome, RunFolder
from schedplan.transition import EpochEvent, PauseEvent, TransitionEvent

CONFIG = """\
name: demo
metric: quality
axes: {rate: [0.1, 0.01]}
knee: {delay: 2}
trainer: {use: simulated}
"""


def done(epochs: int, seconds: float) -> Outcome:
    """Return how a training has ended that took so much."""
    scores = (0.5,) * (epochs + 1)
    return Outcome("done", "enough", 1, 0.5, scores, "snapshots/a.0001", None, 0, seconds)


def shown(live: Live) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(live.table())
    return console.file.getvalue()


def begin(run: RunFolder, key: str, epochs: int, seconds: float) -> Path:
    """Write down a training that goes on; return the file."""
    attempt = run.transition(key).attempt(run.transition(key).begin_attempt(origin=None))
    for epoch in range(epochs + 1):
        took = seconds / epochs if epoch else 0.0
        attempt.append(EpochRecord(epoch, 0.5, {"quality": 0.5}, {}, took))
    return run.path / "transitions" / key / "1" / "epochs.jsonl"


def terminal(total: int = 4, lengths: Mapping[str, int] = {}) -> Live:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    return Live("quality", total, console, lengths)


def test_the_table_shows_what_is_trained_its_knee_and_the_time_left():
    live = terminal()
    live.begin("S0__a")
    assert "S0__a" in shown(live)
    live.end("S0__b", 1, done(epochs=20, seconds=40.0))
    for epoch in range(1, 6):
        live.epoch("S0__a", epoch, 0.25, seconds=10.0, knee=3)
    cells = shown(live).splitlines()[1].split()
    assert cells == ["S0__a", "5", "0.25", "3", "2", "min", "30", "s"]


def test_what_waits_for_its_rivals_and_what_there_is_no_room_for_is_counted():
    live = terminal()
    for number in range(12):
        live.epoch(f"S0__{number}", 1, 0.5, seconds=0.1, knee=None)
    assert "4 more" in shown(live)
    for number in range(11):
        live.pause(f"S0__{number}", over=False)
    assert "11 paused" in shown(live)
    assert "S0__11" in shown(live)
    live.pause("S0__3", over=True)
    assert "S0__3" in shown(live)
    live.end("S0__0", 1, done(epochs=1, seconds=0.1))
    assert "9 paused" in shown(live)


def test_the_share_counts_what_is_begun():
    live = terminal()
    live.end("S0__a", 1, done(epochs=10, seconds=1.0))
    live.epoch("S0__b", 5, 0.5, seconds=0.1, knee=None)
    assert live.tasks[0].completed == 1.5
    live.epoch("S0__b", 500, 0.5, seconds=0.1, knee=None)
    assert live.tasks[0].completed < 2


def test_the_time_left_is_that_of_all_workers_together():
    live = terminal()
    live.begin("S0__a")
    live.begin("S0__b")
    live.end("S0__a", 1, done(epochs=20, seconds=40.0))
    # Half of b is left, and c and d, two at a time.
    live.epoch("S0__b", 10, 0.5, seconds=20.0, knee=None)
    live.begin("S0__c")
    assert live.seconds_left() == (20 + 2 * 40) / 2


def test_a_search_tells_who_waits_for_its_rivals(tmp_path):
    """Of trainings that are told to be at work, one worker has at most one."""
    (tmp_path / "config.yaml").write_text(CONFIG.replace("0.01]", "0.03, 0.01], size: [8, 16]"))
    setup = load_config(tmp_path / "config.yaml")
    at_work: set[str] = set()
    pauses = []

    def note(event):
        if isinstance(event, PauseEvent):
            pauses.append(event)
            (at_work.add if event.over else at_work.discard)(event.key)
        elif isinstance(event, TransitionEvent):
            (at_work.discard if event.outcome else at_work.add)(event.key)
        elif isinstance(event, EpochEvent):
            assert at_work == {event.key}

    solve(setup.problem, options=setup.options, on_event=note)
    assert any(event.over for event in pauses)
    assert not at_work


@pytest.mark.parametrize(("heard", "at_work"), [(5.0, 2), (50.0, 1)])
def test_status_divides_what_is_left_among_those_at_work(tmp_path, heard, at_work):
    """One that was not heard of for longer than an epoch takes waits for its rivals."""
    config = CONFIG.replace("[0.1, 0.01]", "[0.1, 0.01], size: [8, 16]")
    (tmp_path / "config.yaml").write_text(f"{config}transitions: {{preset: basic}}\n")
    setup = load_config(tmp_path / "config.yaml")
    run = RunFolder(tmp_path / "run")
    (start,) = setup.graph.starts
    targets = list(setup.graph.dag.successors(start))
    assert (setup.graph.transitions, len(targets)) == (5, 2)
    run.transition(f"S0__{start.label}").publish(done(epochs=4, seconds=40.0))
    for target, ended in zip(targets, (1000.0, 1000.0 - heard), strict=True):
        journal = begin(run, f"{start.label}__{target.label}", epochs=2, seconds=20.0)
        os.utime(journal, (ended, ended))
    # Half of each that is begun is left, and two others.
    assert status_facts(run, setup)["seconds_left"] == (2 * 20 + 2 * 40) / at_work


def test_status_tells_what_would_be_kept_and_the_time_left_of_what_is_begun(tmp_path: Path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    budget = ("--set", "search.budget={epochs: 25}")
    schedplan("run", "config.yaml", "-q", *budget, cwd=tmp_path, code=3)
    facts = json.loads(schedplan("status", "runs/demo", "-f", "json", cwd=tmp_path).stdout)
    (begun,) = [row for row in facts["details"] if row["status"] == "begun"]
    assert 0 <= begun["knee"] <= begun["epochs"]
    assert begun["seconds_left"] > 0
    table = schedplan("status", "runs/demo", cwd=tmp_path).stdout
    progress = RunFolder(tmp_path / "runs" / "demo").transition(begun["transition"]).progress()
    verdict = load_config(tmp_path / "config.yaml").estimator(progress.scores, "max")
    assert (begun["knee"], begun["score"]) == (verdict.epoch, verdict.score)
    assert re.search(rf"\({verdict.epoch}\) +│ +\({verdict.score:.4g}\)", table)
    assert "in brackets" in table
