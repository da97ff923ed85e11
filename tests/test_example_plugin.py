"""The worked plug-in of examples/plugin: built, installed, and used as a stranger's would be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import schedplan

import schedplan as package
from schedplan import Plan
from schedplan.cli.plugins import plugin_facts
from schedplan.config import load_config
from schedplan.errors import UsageError

EXAMPLE = Path(package.__file__).parents[1] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Return a folder that pip has installed the plug-in into, without a network."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source")  # building writes beside the source
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    apart = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([*pip, *apart, str(folder / "source")], check=True, timeout=120)
    return folder / "site"


@pytest.fixture(autouse=True)
def importable(installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setenv("PYTHONPATH", str(installed), prepend=":")


def test_it_adds_what_it_says():
    added = {each["plugin"]: each for each in plugin_facts()}["letters"]
    del added["plugin"]
    assert {kind: list(names) for kind, names in added.items()} == {
        "trainers": ["letters"],
        "axis_kinds": ["doubling"],
        "rules": ["product_at_most"],
        "estimators": ["plateau"],
    }
    assert added["estimators"]["plateau"] == ["window: int = 5"]


def test_it_runs_as_printed_in_the_first_line_of_its_configuration(tmp_path):
    lines = (EXAMPLE / "letters.yaml").read_text().splitlines()
    program, *arguments = lines[0].removeprefix("# ").split()
    assert program == "schedplan"
    root = EXAMPLE.parents[1]
    printed = schedplan(*arguments, "--out", str(tmp_path / "run"), cwd=root).stdout.splitlines()
    assert f"# {printed[2]}" in lines, "the columns of the plan"
    plan = Plan.load(tmp_path / "run")
    lengths = [stage.params["text_length"] for stage in plan.path]
    assert (lengths[0], lengths[-1]) == (8, 32)
    assert {stage.params["learning_rate"] for stage in plan.path} <= {10.0, 1.0, 0.1}
    for stage in plan.path:
        assert stage.params["text_length"] * stage.params["batch_size"] <= 1024
    assert plan.score > 0.9
    config = plan.provenance["config"]
    assert config["axes"]["text_length"] == [8, 16, 32], "no plug-in is needed to read it"


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        (
            "axes.text_length={doubling: {first: 8, last: 60}}",
            ["last is 60, which doubling 8 does not meet"],
        ),
        (
            "transitions.rules=[{product_at_most: {axes: [text_lenght], limit: 1}}]",
            ["there is no axis 'text_lenght'", "did you mean 'text_length'"],
        ),
        ("knee={estimator: plateau, window: 0}", ["window is 0; allowed: 1 or more"]),
        ("trainer={use: letters, languages: 1}", ["languages is 1; allowed: 2 or more"]),
    ],
)
def test_what_it_refuses_is_told_with_its_place(change, phrases):
    """In this process, where the configuration is made real part by part."""
    setup = load_config(EXAMPLE / "letters.yaml", ["letters"], [change])
    with pytest.raises(UsageError) as refused:
        _ = setup.graph, setup.estimator, setup.make_trainer()
    for phrase in ["--set", *phrases]:
        assert phrase in str(refused.value)


def test_it_keeps_the_contracts():
    tests = str(EXAMPLE / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout
