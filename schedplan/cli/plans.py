"""The plan that a command is given: a file, a run, a replay, or one that comes with a plug-in."""

from __future__ import annotations

from pathlib import Path

from schedplan.cli.status import best_so_far
from schedplan.config.presets import preset_place, preset_plan
from schedplan.errors import UsageError
from schedplan.journal import RunFolder
from schedplan.plan import Plan


def read_plan(path: Path | None, preset: str | None) -> tuple[Plan, str]:
    """Return a plan and where it comes from, for messages.

    Args:
        path: a plan's file, or the folder of a run or a replay.
        preset: the name of a published plan, in place of `path`.

    Raises:
        UsageError: if there is none, or not exactly one is asked for.
    """
    if path is not None and preset is None:
        return (_plan_in(path) if path.is_dir() else Plan.load(path)), str(path)
    if preset is not None and path is None:
        return preset_plan(preset), preset_place(preset)
    raise either("RUN|PLAN")


def either(name: str) -> UsageError:
    """Return the error for a command that is given both what is called `name` and a preset, or
    neither."""
    return UsageError(f"either {name} or --preset has to be given, and not both")


def replay_beside(run: Path) -> Path:
    """Return the folder of a replay of what lies in the folder `run`."""
    if run.name in ("", ".."):  # of the present folder, and of those above it
        run = run.resolve()
    return run.with_name(f"{run.name}-replay")


def _plan_in(path: Path) -> Plan:
    folder = RunFolder(path)
    if plan := best_so_far(folder):
        return plan
    if plan := replayed_plan(folder):
        return plan
    raise UsageError(
        "the run has no plan yet",
        where=str(path),
        hint="`schedplan status` shows how far it is",
    )


def replayed_plan(folder: RunFolder) -> Plan | None:
    """Return the plan that a replay trains along; None if the folder is that of a search.

    Raises:
        RunFolderError: it is no run folder.
    """
    config = folder.config()
    if "replay" not in config:
        return None
    return Plan.from_dict(config["replay"], where=str(folder.config_file))
