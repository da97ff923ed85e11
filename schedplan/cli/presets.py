"""The command `schedplan presets`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from schedplan.cli.tables import Format, make_table, print_data
from schedplan.config import load_preset
from schedplan.config.presets import preset_plan, preset_text
from schedplan.plugins import offered
from schedplan.report.text import counted


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Print this one, as a file to edit.")
    ] = None,
    form: Annotated[Format, typer.Option("-f", "--format", help="How to print the list.")] = (
        Format.TABLE
    ),
) -> None:
    """List the configurations and plans that come with plug-ins, or print one of them."""
    if name is not None:
        sys.stdout.write(preset_text(name))
        return
    facts = list(_facts())
    columns = ["preset", "plug-in", "use", "holds"]
    table = make_table("presets", columns, [tuple(each.values()) for each in facts])
    print_data({"presets": facts}, table, form)


def _facts() -> Iterator[dict[str, Any]]:
    for name, entry in offered("configs").items():
        yield {"preset": name, "plugin": entry.plugin, "use": "run", "holds": _config(name)}
    for name, entry in offered("plans").items():
        yield {"preset": name, "plugin": entry.plugin, "use": "replay", "holds": _plan(name)}


def _told_if_broken(describe: Callable[[str], str]) -> Callable[[str], str]:
    """Let a preset that cannot be used say why, and the others be listed."""

    def described(name: str) -> str:
        try:
            return describe(name)
        except (Exception, SystemExit) as error:  # the preset is somebody else's
            return f"cannot be used: {error}"

    return described


@_told_if_broken
def _config(name: str) -> str:
    graph = load_preset(name).graph
    return f"{counted(graph.states, 'state')}, {counted(graph.transitions, 'transition')}"


@_told_if_broken
def _plan(name: str) -> str:
    plan = preset_plan(name)
    return f"{counted(len(plan.stages), 'stage')}, {counted(plan.epochs, 'epoch')}"
