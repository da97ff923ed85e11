"""How far a replay is, told by `schedplan status` stage by stage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from plans import PLAN
from typer.testing import CliRunner

from schedplan import SimulatedTrainer, replay
from schedplan.cli.app import app
from schedplan.errors import RunFailedError


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
    assert facts["seconds_left"] > 0
    table = status(tmp_path, "table")
    assert "5 of 7 epochs in" in table
    replay(plan, SimulatedTrainer, tmp_path)
    assert json.loads(status(tmp_path, "json"))["finished"]
    assert "7 of 7 epochs in 0 s; finished" in status(tmp_path, "table")


def test_a_stage_that_failed_says_why(tmp_path):
    plan = replace(PLAN, metric="quality")
    with pytest.raises(RunFailedError):
        replay(plan, Overflowing, tmp_path)
    assert "stage-02 failed: MemoryError: the batch is too large" in status(tmp_path, "table")
