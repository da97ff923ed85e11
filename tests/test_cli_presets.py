"""Presets of a stranger's plug-in: listed, printed, checked, run and trained along by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from processes import schedplan
from strangers import install
from typer.testing import CliRunner

from schedplan import Plan
from schedplan.cli.app import app
from schedplan.config.presets import preset_text
from schedplan.errors import PluginError

STRANGER = """\
from schedplan import Plan, SimulatedTrainer, Stage
from schedplan.hookspecs import hookimpl

CONFIG = '''\\
# Set trainer.data to where your data lies.
name: small
metric: top1
plugins: [stranger]
axes: {rate: [0.1, 0.01, 0.001]}
knee: {estimator: fixed, epochs: 2}
trainer: {use: picky, noise: 0.1}
'''

class Picky(SimulatedTrainer):
    def __init__(self, data: str, noise: float = 0.0) -> None:
        super().__init__(noise=noise)

def stage(rate, epochs):
    return Stage(str(rate), {"rate": rate}, epochs, score=None, observed=None, seed=epochs)

def schedule():
    config = {"name": "small", "metric": "top1", "plugins": ["stranger"],
              "axes": {"rate": [0.1]}, "trainer": {"use": "picky", "replay": {"noise": 0.2}}}
    stages = stage(0.1, 3), stage(0.01, 1)
    return Plan("known", "top1", "max", None, stages, provenance={"config": config})

@hookimpl
def schedplan_trainers():
    return {"picky": Picky}

@hookimpl
def schedplan_configs():
    return {"small": lambda: CONFIG}

@hookimpl
def schedplan_plans():
    return {"known": schedule}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which two distributions with plug-ins are installed, as pip would."""
    for name, text in {"stranger": STRANGER, "broken": "import no_such_module"}.items():
        install(tmp_path, name, text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    return tmp_path


def test_presets_are_listed_with_what_they_hold(folder):
    listed = json.loads(schedplan("presets", "-f", "json", cwd=folder).stdout)["presets"]
    ours = [preset for preset in listed if preset["plugin"] == "stranger"]
    assert ours == [
        {
            "preset": "small",
            "plugin": "stranger",
            "use": "run",
            "holds": "3 states, 3 transitions",
        },
        {"preset": "known", "plugin": "stranger", "use": "replay", "holds": "2 stages, 4 epochs"},
    ]
    assert "small" in schedplan("presets", cwd=folder).stdout


def test_a_broken_preset_is_listed_with_what_is_wrong(folder, monkeypatch):
    """In this process."""
    broken = """{
        "small": lambda: CONFIG.replace("rate", ""), "dear": lambda: 1 / 0, "none": lambda: None
    }"""
    install(folder, "worse", STRANGER.replace('{"small": lambda: CONFIG}', broken))
    shutil.rmtree(folder / "stranger-1.0.dist-info")
    monkeypatch.syspath_prepend(folder)
    listed = CliRunner().invoke(app, ["presets", "-f", "json"]).stdout
    holds = {each["preset"]: each["holds"] for each in json.loads(listed)["presets"]}
    assert holds["dear"] == (
        "cannot be used: --preset dear: the plug-in 'worse' cannot make it: "
        "ZeroDivisionError: division by zero"
    )
    assert holds["none"] == (
        "cannot be used: --preset none: the plug-in 'worse' has made None; "
        "allowed: the text of a configuration"
    )
    assert holds["small"].startswith("cannot be used: --preset small:")
    assert holds["known"] == "2 stages, 4 epochs"
    with pytest.raises(PluginError, match="--preset dear: the plug-in 'worse' cannot make it"):
        preset_text("dear")


def test_a_preset_is_printed_as_a_file_that_does_the_same(folder):
    text = schedplan("presets", "small", cwd=folder).stdout
    assert text.startswith("# Set trainer.data")
    (folder / "mine.yaml").write_text(text)
    data = ["--set", "trainer.data=here", "-f", "json"]
    of_file = json.loads(schedplan("check", "mine.yaml", *data, cwd=folder).stdout)
    assert json.loads(schedplan("check", "--preset", "small", *data, cwd=folder).stdout) == of_file
    (folder / "plan.yaml").write_text(schedplan("presets", "known", cwd=folder).stdout)
    assert Plan.load(folder / "plan.yaml").epochs == 4


def test_what_has_to_be_set_is_said_and_checking_can_do_without(folder):
    checked = schedplan("check", "--preset", "small", "-f", "json", cwd=folder)
    assert json.loads(checked.stdout)["states"] == 3
    assert "trainer is not checked yet" in checked.stderr
    assert "--set trainer.data=..." in checked.stderr
    for command in ("run", "replay"):
        name = {"run": "small", "replay": "known"}[command]
        refused = schedplan(command, "--preset", name, cwd=folder, code=2)
        assert f"--preset {name}" in refused.stderr
        assert "'trainer.data' is missing; add it, or --set trainer.data=..." in refused.stderr
    assert not (folder / "runs").exists()
    (folder / "mine.yaml").write_text(schedplan("presets", "small", cwd=folder).stdout)
    assert "missing" in schedplan("check", "mine.yaml", cwd=folder, code=2).stderr
    wrong = schedplan("check", "--preset", "small", "--set", "knee.epoch=1", cwd=folder, code=2)
    assert "did you mean 'epochs'" in wrong.stderr


def test_a_preset_is_run_resumed_and_trained_along(folder):
    data = ["--set", "trainer.data=here", "-f", "json"]
    plan = json.loads(schedplan("run", "--preset", "small", *data, cwd=folder).stdout)
    assert [stage["epochs"] for stage in plan["stages"]] == [2, 2, 2]
    assert plan["provenance"]["source"] == "--preset small"
    again = schedplan("run", "--preset", "small", "--plugin", "stranger", *data, cwd=folder)
    assert "finished" in again.stderr
    assert schedplan("replay", "runs/small", cwd=folder).stdout


def test_a_known_plan_is_shown_and_trained_along(folder):
    shown = schedplan("show", "--preset", "known", cwd=folder).stdout
    assert "known: top1 unknown; 4 epochs" in shown
    place = ["--preset", "known", "--set", "trainer.data=here"]
    done = schedplan("replay", *place, "-f", "json", cwd=folder)
    report = json.loads(done.stdout)
    assert (report["planned"], len(report["stages"])) == (None, 2)
    assert 0 < report["reached"] < 1
    assert "trainer.noise is 0.2" in done.stderr
    config = yaml.safe_load((folder / "runs" / "known-replay" / "config.yaml").read_text())
    assert config["trainer"] == {"use": "picky", "data": "here", "noise": 0.2, "replay": {}}
    table = schedplan("replay", *place, "--out", "other", cwd=folder).stdout
    assert "0.01" in table


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["run", "--preset", "smal"], ["--preset smal: ", "did you mean 'small'"]),
        (["run", "--preset", "known"], ["`schedplan replay --preset known`"]),
        (["replay", "--preset", "small"], ["`schedplan run --preset small`"]),
        (["presets", "nothing"], ["allowed: ", "known", "small"]),
        (["check"], ["either CONFIG or --preset"]),
        (["check", "mine.yaml", "--preset", "small"], ["either CONFIG or --preset", "not both"]),
        (["show"], ["either RUN|PLAN or --preset"]),
        (["replay", "runs/x", "--preset", "known"], ["either RUN|PLAN or --preset"]),
    ],
)
def test_wrong_names_are_one_message(folder, arguments, phrases):
    result = schedplan(*arguments, cwd=folder, code=2)
    for phrase in phrases:
        assert phrase in result.stderr
    assert result.stdout == ""


def test_two_plug_ins_with_one_preset_are_both_named(folder):
    (folder / "broken.py").write_text(STRANGER.replace('"picky": Picky', ""))
    refused = schedplan("check", "--preset", "small", cwd=folder, code=2)
    assert "both add 'small' to the configs" in refused.stderr
