"""What the documentation says is true: examples run, commands exist, CI runs what is printed."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from plans import make_plan

import schedplan
from schedplan.config.model import Config, SearchSection
from schedplan.errors import SchedplanError

ROOT = Path(schedplan.__file__).parents[1]
README = (ROOT / "README.md").read_text()

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("schedplan", "schedplan_video")
    for path in (ROOT / package).rglob("*.py")
    if path.name not in ("__main__.py", "__init__.py")
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    make_plan(
        ({"learning_rate": 0.1, "batch_size": 16}, 2),
        ({"learning_rate": 0.01, "batch_size": 16}, 1),
    ).save(tmp_path / "runs" / "mine" / "plan.yaml")
    monkeypatch.chdir(tmp_path)
    ran = [block for block in blocks("python") if "import" in block]
    assert ran
    for block in ran:
        exec(compile(block, "README.md", "exec"), {})
    for block in blocks("python"):
        compile(block, "README.md", "exec")


def test_the_readmes_configurations_are_valid():
    mine, links, search = map(yaml.safe_load, blocks("yaml"))
    assert Config.model_validate(mine).metric == "accuracy"
    assert Config.model_validate({**mine, **links}).links
    assert Config.model_validate({**mine, **search}).search.order == "dive"


def test_the_readme_names_every_key_of_the_configuration():
    keys = [*Config.model_fields, *(f"search.{key}" for key in SearchSection.model_fields)]
    missing = [key for key in keys if f"`{key}" not in README]
    assert missing == []


def test_every_command_in_the_readme_exists():
    commands = set(re.findall(r"`schedplan (\w+)", README))
    assert {
        "check",
        "run",
        "status",
        "show",
        "graph",
        "replay",
        "compare",
        "plugins",
        "video",
    } <= commands
    for command in sorted(commands):
        arguments = [sys.executable, "-m", "schedplan", command, "--help"]
        result = subprocess.run(arguments, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


def test_ci_runs_the_readmes_test_command():
    (command,) = [line for line in README.splitlines() if line.endswith("pytest")]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_every_public_error_says_something():
    errors = vars(importlib.import_module("schedplan.errors")).values()
    for error in errors:
        if isinstance(error, type) and issubclass(error, SchedplanError):
            assert error.__doc__
