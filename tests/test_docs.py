"""What docstrings say is true, and CI runs what is printed."""

from __future__ import annotations

import doctest
import importlib

import pytest
from documents import README, ROOT

from schedplan.errors import SchedplanError

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("schedplan", "schedplan_video")
    for path in (ROOT / package).rglob("*.py")
    if path.name not in ("__main__.py", "__init__.py")
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_ci_runs_the_readmes_test_command():
    (command,) = [line for line in README.splitlines() if line.endswith("pytest")]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_every_public_error_says_something():
    errors = vars(importlib.import_module("schedplan.errors")).values()
    for error in errors:
        if isinstance(error, type) and issubclass(error, SchedplanError):
            assert error.__doc__
