"""How far a replay is, told by `schedplan status` stage by stage."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from plans import PLAN, make_plan
from rich.console import Console
from test_cli_progress import begin, done, terminal
from typer.testing import CliRunner

from schedplan import SimulatedTrainer, replay
from schedplan.cli.app import app
from schedplan.errors import RunFailedError
from schedplan.journal import RunFolder
from schedplan.report import of_replay, write_report


class Interrupted(SimulatedTrainer):
    """Is interrupted in its sixth epoch: the first one of the third stage."""

    trained = 0

    def train_epoch(self):
        type(self).trained += 1
        if self.trained == 6:
            raise KeyboardInterrupt
        return super().train_epoch()


class Overflowing(SimulatedTrainer):
    """Cannot train with a batch of four: the second stage."""

    def begin(self, params, start, seed):
        if params["batch_size"] == 4:
            raise MemoryError("the batch is too large")
        super().begin(params, start, seed)


def status(folder: Path, form: str) -> str:
    result = CliRunner().invoke(app, ["status", str(folder), "-f", form])
    assert result.exception is None, result.exception
    return result.stdout


def test_a_replay_that_goes_on_tells_its_stages(tmp_path):
    plan = replace(PLAN, metric="quality")
    with pytest.raises(KeyboardInterrupt):
        replay(plan, Interrupted, tmp_path)
    facts = json.loads(status(tmp_path, "json"))
    stages = [(row["status"], row["epochs"], row["planned"]) for row in facts["details"]]
    assert stages == [("done", 3, 3), ("done", 2, 2), ("begun", 0, 2)]
    assert (facts["finished"], facts["epochs"], facts["planned"]) == (False, 5, 7)
    table = status(tmp_path, "table")
    assert "5 of 7 epochs in" in table
    replay(plan, SimulatedTrainer, tmp_path)
    assert json.loads(status(tmp_path, "json"))["finished"]
    assert "7 of 7 epochs in 0 s; finished" in status(tmp_path, "table")


def test_the_time_left_is_that_of_the_epochs_planned(tmp_path):
    """A stage of two epochs says how long an epoch takes, not how long the next stage is."""
    plan = replace(make_plan(({"rate": 0.1}, 2), ({"rate": 0.01}, 100)), metric="quality")
    folder, live = RunFolder(tmp_path), terminal(2, {"stage-01": 2, "stage-02": 100})
    folder.configure({"replay": plan.as_dict()})
    assert "time left not known yet" in status(tmp_path, "table")
    assert live.seconds_left() is None

    short = done(epochs=2, seconds=2.0)
    folder.transition("stage-01").publish(short)
    live.end("stage-01", 1, short)
    assert json.loads(status(tmp_path, "json"))["seconds_left"] == live.seconds_left() == 100.0
    assert (live.tasks[0].completed, live.tasks[0].total) == (2, 102)

    begin(folder, "stage-02", epochs=10, seconds=30.0)
    for epoch in range(1, 11):
        live.epoch("stage-02", epoch, 0.5, seconds=3.0, knee=None)
    assert json.loads(status(tmp_path, "json"))["seconds_left"] == live.seconds_left() == 270.0
    assert (live.tasks[0].completed, live.tasks[0].total) == (12, 102)
    console = Console(file=io.StringIO(), width=80)
    console.print(*live.get_renderables())
    assert "12/102 epochs" in console.file.getvalue()


def test_a_stage_that_failed_says_why(tmp_path):
    plan = replace(PLAN, metric="quality")
    with pytest.raises(RunFailedError):
        replay(plan, Overflowing, tmp_path)
    failure = "stage-02 (1): MemoryError: the batch is too large"
    assert f"failed: {failure}" in status(tmp_path, "table")
    assert "3 of 7 epochs in 0 s; failed" in status(tmp_path, "table")
    facts = json.loads(status(tmp_path, "json"))
    assert (facts["failure"], facts["seconds_left"]) == (failure, None)
    folder = RunFolder(tmp_path)
    write_report(folder.report, of_replay(folder, plan))
    assert f">Failed: {failure}.<" in folder.report.read_text()
