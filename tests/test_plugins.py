"""Plug-ins of strangers: found by their entry point, loaded when asked for, clashes refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import schedplan

from schedplan.errors import MissingDependencyError, PluginError
from schedplan.plugins import Plugins, import_attribute, installed

STRANGER = """\
from schedplan import FixedEpochs, SimulatedTrainer, Where
from schedplan.graph import basic
from schedplan.hookspecs import hookimpl
from schedplan.solver import PlanEvent
import typer

commands = typer.Typer()

@commands.command()
def greet(name: str):
    print(f"hello {name}")

@commands.command()
def leave():
    print("bye")

def doubling(axis: str):
    return Where(lambda a, b: b.value(axis) in (a.value(axis), 2 * a.value(axis)))

@hookimpl
def schedplan_trainers():
    return {"better": SimulatedTrainer, "needy": "needy_trainer:Needy"}

@hookimpl
def schedplan_rules():
    return {"doubling": doubling}

@hookimpl
def schedplan_estimators():
    return {"three": lambda: FixedEpochs(3)}

@hookimpl
def schedplan_presets():
    return {"mine": basic}

@hookimpl
def schedplan_commands():
    return {"stranger": commands}

@hookimpl
def schedplan_event(event):
    if isinstance(event, PlanEvent):
        open("told.txt", "w").write(event.plan.name)
"""

CLASH = """\
from schedplan import SimulatedTrainer
from schedplan.hookspecs import hookimpl

@hookimpl
def schedplan_trainers():
    return {"simulated": SimulatedTrainer}
"""

CONFIG = """\
name: strange
metric: top1
axes: {size: [16, 32, 64], rate: [0.1, 0.01]}
transitions: {preset: mine, rules: [{doubling: {axis: size}}]}
knee: {estimator: three}
trainer: {use: better}
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which three distributions with plug-ins are installed, as pip would."""
    modules = {"stranger": STRANGER, "clash": CLASH, "broken": "import no_such_module"}
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[schedplan]\n{name} = {name}\n")
    (tmp_path / "needy_trainer.py").write_text("import some_framework\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_strangers_plug_in_adds_everything(stranger):
    assert {"stranger", "video"} <= set(installed())
    result = schedplan("run", "config.yaml", "--plugin", "stranger", "-f", "json", cwd=stranger)
    assert [stage["epochs"] for stage in json.loads(result.stdout)["stages"]] == [3] * 4
    assert (stranger / "told.txt").read_text() == "strange"
    status = json.loads(schedplan("status", "runs/strange", "-f", "json", cwd=stranger).stdout)
    assert status["done"] == 8, "the run folder remembers its plug-ins"
    assert schedplan("stranger", "greet", "you", cwd=stranger).stdout == "hello you\n"
    listed = schedplan("plugins", "-f", "json", cwd=stranger).stdout
    added = {each["plugin"]: each for each in json.loads(listed)["plugins"]}
    assert list(added["stranger"]["presets"]) == ["mine"]
    assert "no_such_module" in added["broken"]["error"]


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        ([], ["no preset 'mine'", "config.yaml:4"]),
        (["--plugin", "clash"], ["'schedplan' and 'clash' both add 'simulated'"]),
        (["--plugin", "broken"], ["'broken' cannot be imported", "no_such_module"]),
        (
            ["--plugin", "stranger", "--set", "trainer.use=needy"],
            ["'some_framework' is not installed", "pip install some_framework"],
        ),
    ],
)
def test_what_is_wrong_with_a_plug_in_is_told(stranger, arguments, phrases):
    plain = ["transitions={}", "knee={}", "trainer={use: simulated}"]
    if "clash" in arguments:
        arguments = [*arguments, *(part for each in plain for part in ("--set", each))]
    result = schedplan("check", "config.yaml", *arguments, cwd=stranger, code=2)
    for phrase in phrases:
        assert phrase in result.stderr


def test_names_are_refused_with_the_nearest():
    with pytest.raises(PluginError, match="did you mean 'video'"):
        Plugins(["vido"])
    with pytest.raises(PluginError, match="did you mean 'extended'"):
        Plugins().get("presets", "extendd")


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "wants.py").write_text("import frame_work.deep\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"pip install 'schedplan\[video\]'"):
        import_attribute("wants:Anything", extra="video")
