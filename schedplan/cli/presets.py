"""The command `schedplan presets`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from schedplan.cli.tables import Format, make_table, print_data
from schedplan.config import load_preset
from schedplan.config.presets import preset_plan, preset_text
from schedplan.plugins import offered


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this one, as a file to edit.")
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
        graph = load_preset(name).graph
        holds = f"{graph.states} states, {graph.transitions} transitions"
        yield {"preset": name, "plugin": entry.plugin, "use": "run", "holds": holds}
    for name, entry in offered("plans").items():
        plan = preset_plan(name)
        holds = f"{len(plan.stages)} stages, {plan.epochs} epochs"
        yield {"preset": name, "plugin": entry.plugin, "use": "replay", "holds": holds}
