"""Plug-ins of strangers: found by their entry point, loaded when asked for, clashes refused."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest
from processes import schedplan, schedplan_here
from strangers import install
from typer.testing import CliRunner

from schedplan.cli.app import app
from schedplan.cli.plugins import option_facts, plugin_facts
from schedplan.config.presets import preset_text
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
        install(tmp_path, name, text)
    (tmp_path / "needy_trainer.py").write_text("import some_framework\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
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
        (["--plugin", "broken"], ["'broken' cannot be loaded", "no_such_module"]),
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


BROKEN = {
    "syntax": ("def f(:", "SyntaxError: invalid syntax"),
    "raising": ("raise RuntimeError('no driver')", "RuntimeError: no driver"),
    "leaving": ("raise SystemExit('no driver')", "SystemExit: no driver"),
    "misspelt": (
        "@hookimpl\ndef schedplan_rule(): return {}",
        "no hook 'schedplan_rule', which the plug-in 'misspelt' implements",
    ),
    "expecting": ("@hookimpl\ndef schedplan_rules(axes): return {}", "definition"),
    "listing": ("@hookimpl\ndef schedplan_configs(): return ['mine']", "returns ['mine']"),
    "numbering": ("@hookimpl\ndef schedplan_configs(): return {'mine': 1}", "returns {'mine': 1}"),
    "failing": ("@hookimpl\ndef schedplan_configs(): 1 / 0", "has raised ZeroDivisionError"),
}


@pytest.mark.parametrize(
    ("name", "text", "phrase"), [(name, *facts) for name, facts in BROKEN.items()], ids=BROKEN
)
def test_a_broken_plug_in_is_told_and_harms_no_other(name, text, phrase, tmp_path, monkeypatch):
    """In this process: every one of them is imported anew."""
    install(tmp_path, name, f"from schedplan.hookspecs import hookimpl\n{text}\n")
    install(tmp_path, f"sound_{name}", SOUND)
    monkeypatch.syspath_prepend(tmp_path)
    facts = {each["plugin"]: each for each in plugin_facts()}
    assert phrase in facts[name]["error"]
    assert repr(name) in facts[name]["error"]
    assert list(facts[f"sound_{name}"]["configs"]) == ["small"]
    assert preset_text("small") == "name: small"


SOUND = """\
from schedplan.hookspecs import hookimpl

@hookimpl
def schedplan_configs():
    return {"small": lambda: "name: small"}

@hookimpl(optionalhook=True)
def schedplan_of_a_later_version():
    return {}
"""


def test_a_misspelt_hook_is_refused_with_the_nearest(tmp_path, monkeypatch):
    install(tmp_path, "wrong", f"from schedplan.hookspecs import hookimpl\n{BROKEN['misspelt'][0]}")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match="did you mean 'schedplan_rules'"):
        Plugins(["wrong"])


def test_two_packages_with_one_plug_in_are_both_named(tmp_path, monkeypatch):
    for package in ("package_one", "package_two"):
        install(tmp_path, package, SOUND, plugin="twin")
    monkeypatch.syspath_prepend(tmp_path)
    both = "'package_one' and 'package_two' both have a plug-in 'twin'"
    with pytest.raises(PluginError, match=both):
        Plugins(["twin"])
    facts = {each["plugin"]: each for each in plugin_facts()}
    assert both in facts["twin"]["error"]


def test_a_plug_in_with_the_name_of_a_command_does_not_stand_in_its_way(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "broken", "raise ImportError('half of it is missing')", plugin="plugins")
    assert "half of it is missing" in schedplan_here("plugins")


def test_a_plug_in_that_only_listens_is_seen(tmp_path, monkeypatch):
    text = "from schedplan.hookspecs import hookimpl\n@hookimpl\ndef schedplan_event(event): ...\n"
    install(tmp_path, "ear", text)
    monkeypatch.syspath_prepend(tmp_path)
    (facts,) = [each for each in plugin_facts() if each["plugin"] == "ear"]
    assert facts == {"plugin": "ear", "event_listeners": {"schedplan_event": []}}


TYPED = """\
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from schedplan.hookspecs import hookimpl

if TYPE_CHECKING:
    from elsewhere import Thing

@dataclass
class Careful:
    source: Mapping[str, Any] = field(default_factory=dict)
    way: Literal["a.b", "c"] = "c"

def thing(given: 'Thing', more=1, **others): ...

def wordy(epochs: "at least one"): ...

@hookimpl
def schedplan_rules():
    return {"careful": Careful, "thing": thing, "wordy": wordy}

@hookimpl
def schedplan_trainers():
    return {"late": "typed_late:Late"}

@hookimpl
def schedplan_trackers():
    return {"follow": lambda folder: None}
"""


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plug-in with a trainer that is imported when it is used."""
    install(tmp_path, "typed", TYPED)
    (tmp_path / "typed_late.py").write_text("class Late:\n    def __init__(self, data: str): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_options_are_shown_as_users_write_them(typed):
    (facts,) = [each for each in plugin_facts() if each["plugin"] == "typed"]
    assert facts["rules"] == {
        "careful": ["source: Mapping[str, Any] = {}", "way: Literal['a.b', 'c'] = 'c'"],
        "thing": ["given: Thing", "more: anything = 1", "**others: anything"],
        "wordy": ["epochs: at least one"],
    }
    assert facts["trackers"] == {"follow": []}, "what it is given is not for users to say"
    assert facts["trainers"] == {"late": None}
    assert "typed_late" not in sys.modules


def test_options_that_cannot_be_shown_are_told_with_whose_they_are(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    install(
        tmp_path, "lazy", TYPED.replace("default_factory=dict", "default_factory=lambda: 1 / 0")
    )
    (facts,) = [each for each in plugin_facts() if each["plugin"] == "lazy"]
    message = "the options of 'careful', which the plug-in 'lazy' adds, cannot be shown: ZeroDiv"
    assert facts["error"].startswith(message)


def test_a_plug_in_by_name_is_shown_with_all_its_options(typed):
    assert option_facts("typed")[0] == {
        "adds": "trainers",
        "name": "late",
        "option": "data",
        "type": "str",
        "default": None,
    }
    show = partial(CliRunner().invoke, app, env={"COLUMNS": "200"})
    assert "schedplan plugins typed" in show(["plugins"]).stdout
    rows = [line.split("│")[1:-1] for line in show(["plugins", "typed"]).stdout.splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows if row]
    assert ["trainers", "late", "data", "str", "required"] in cells
    assert ["rules", "careful", "way", "Literal['a.b', 'c']", "'c'"] in cells
    assert ["trackers", "follow", "-", "-", "-"] in cells
    assert {row["name"] for row in option_facts("schedplan")} >= {"staged", "patience", "csv"}
    with pytest.raises(PluginError, match="did you mean 'typed'"):
        option_facts("typd")
    (typed / "typed_late.py").write_text("import some_framework")
    sys.modules.pop("typed_late")
    with pytest.raises(MissingDependencyError, match="pip install some_framework"):
        option_facts("typed")


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
