"""A replay may train with other options than the search: those under `trainer.replay`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from processes import schedplan
from typer.testing import CliRunner

from schedplan import SimulatedTrainer
from schedplan.cli.app import app
from schedplan.errors import TrainerError

CONFIG = """\
name: demo
metric: top1
axes: {learning_rate: [0.04, 0.004]}
knee: {estimator: fixed, epochs: 2}
trainer: {use: simulated, noise: 0.02, replay: {noise: 0.5, problem: 4}}
"""


def trainer_of(run: Path) -> dict:
    return yaml.safe_load((run / "config.yaml").read_text())["trainer"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    schedplan("run", "config.yaml", cwd=tmp_path)
    return tmp_path


def test_a_replay_takes_its_own_options_and_says_so(folder):
    searched = trainer_of(folder / "runs" / "demo")
    assert searched == {
        "use": "simulated",
        "noise": 0.02,
        "replay": {"noise": 0.5, "problem": 4},
    }
    done = schedplan("replay", "runs/demo", cwd=folder)
    replayed = {"use": "simulated", "noise": 0.5, "problem": 4, "replay": {}}
    assert trainer_of(folder / "runs" / "demo-replay") == replayed
    assert "trainer.noise is 0.5" in done.stderr
    assert "trainer.problem is 4" in done.stderr


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["trainer.noise=0.1"], {"noise": 0.1, "problem": 4}),
        (["trainer.replay={}"], {"noise": 0.02}),
        (["trainer.replay=null"], {"noise": 0.02}),
        (["trainer.replay.noise=0.3"], {"noise": 0.3, "problem": 4}),
        (["trainer={use: simulated}"], {}),
    ],
)
def test_what_is_set_on_the_command_line_wins(folder, overrides, expected):
    options = [part for text in overrides for part in ("--set", text)]
    schedplan("replay", "runs/demo", *options, cwd=folder)
    found = trainer_of(folder / "runs" / "demo-replay")
    assert found == {"use": "simulated", "replay": {}, **expected}


def test_confirming_trains_as_the_search_did(folder):
    schedplan("run", "config.yaml", "--confirm", cwd=folder)
    assert trainer_of(folder / "runs" / "demo" / "confirm")["noise"] == 0.02


def test_what_a_replay_changes_does_not_make_it_another_run(folder):
    journals = list(folder.glob("runs/demo/transitions/*/*/epochs.jsonl"))
    before = [journal.read_text() for journal in journals]
    schedplan("run", "config.yaml", "--set", "trainer.replay={problem: 9}", cwd=folder)
    assert [journal.read_text() for journal in journals] == before != []
    schedplan("replay", "runs/demo", cwd=folder)
    assert trainer_of(folder / "runs" / "demo-replay")["problem"] == 9
    other = schedplan("run", "config.yaml", "--set", "trainer.noise=0.3", cwd=folder, code=2)
    assert "trainer.noise was 0.02 and is now 0.3" in other.stderr


@pytest.mark.parametrize(
    ("override", "phrases"),
    [
        ("trainer.replay.nois=1", ["unknown key 'nois'", "did you mean 'noise'"]),
        ("trainer.replay={noise: loud}", ["trainer.replay.noise is 'loud'", "a number"]),
        ("trainer.replay=3", ["trainer.replay is 3", "a mapping"]),
    ],
)
def test_what_is_wrong_with_it_is_said_before_the_search(folder, override, phrases):
    refused = schedplan("check", "config.yaml", "--set", override, cwd=folder, code=2)
    for phrase in phrases:
        assert phrase in refused.stderr


class Picky(SimulatedTrainer):
    """Finds out only while it trains that it cannot be noisy."""

    def begin(self, params, start, seed):
        if self._noise > 0.1:
            raise TrainerError("too loud", path=("trainer", "noise"))
        super().begin(params, start, seed)


def test_an_error_has_its_place_whatever_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = CONFIG.replace("simulated", '"test_cli_replay:Picky"').replace("top1", "quality")
    Path("config.yaml").write_text(config)
    assert CliRunner().invoke(app, ["run", "config.yaml"]).exception is None
    for command in (["run", "config.yaml", "--out", "loud"], ["replay", "runs/demo"]):
        error = CliRunner().invoke(app, [*command, "--set", "trainer.noise=1"]).exception
        assert str(error) == "--set trainer.noise=1: too loud"
