"""`schedplan export`: a plan for other training loops."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from io import StringIO
from pathlib import Path
from pprint import pformat
from string import Template
from textwrap import indent
from typing import Annotated, Any, TypeAlias

import typer

from schedplan.adapters.schedule import Schedule
from schedplan.cli import snippets
from schedplan.cli.arguments import PlanPath, Preset
from schedplan.cli.outputs import check_output
from schedplan.cli.plans import read_plan
from schedplan.cli.progress import log
from schedplan.errors import PlanError
from schedplan.journal import RunFolder, write_text
from schedplan.plan import Plan


class Target(StrEnum):
    """What a plan is exported to."""

    JSON = "json"
    CSV = "csv"
    TORCH = "torch"
    LIGHTNING = "lightning"
    TRANSFORMERS = "transformers"


def export(
    to: Annotated[Target, typer.Option(help="Data, or the framework of a script.")],
    plan: PlanPath = None,
    preset: Preset = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write a file in place of stdout."),
    ] = None,
    rate: Annotated[
        str, typer.Option(metavar="NAME", help="The hyperparameter that scripts take for the rate.")
    ] = "learning_rate",
) -> None:
    """Export a plan for other training loops.

    json: the stages, and all hyperparameters of every epoch.

    csv: a line for every epoch, counted from 0, with its stage, counted from 1, and all
    hyperparameters; lists are written as JSON.

    torch, lightning, transformers: a short script that trains a toy model along the plan, by
    `schedplan.adapters`; put your own model and data in its place.
    """
    check_output(output, source=plan)
    found, where = read_plan(plan, preset)
    if not found.stages:
        raise PlanError("the plan has no stages to train along", where=where)
    try:
        text = _WRITERS[to](found, plan, rate)
    except PlanError as error:
        raise error.at(where) from None
    if output is None:
        sys.stdout.write(text)
    else:
        write_text(output, text)
        log.info("%s", output)


def _json(plan: Plan, path: Path | None, rate: str) -> str:
    return json.dumps(_facts(plan), indent=2) + "\n"


def _facts(plan: Plan) -> dict[str, Any]:
    stages = [
        {"stage": number, "first_epoch": start, "epochs": stage.epochs, "params": stage.params}
        for number, (start, stage) in enumerate(zip(plan.starts, plan.stages, strict=True), start=1)
    ]
    return {
        "name": plan.name,
        "metric": plan.metric,
        "mode": plan.mode,
        "score": plan.score,
        "stages": stages,
        "evaluate_under": plan.path[-1].params,
        "epochs": [
            {"epoch": epoch, "stage": _number(plan, epoch), "params": plan.params_at(epoch)}
            for epoch in range(plan.epochs)
        ],
    }


def _number(plan: Plan, epoch: int) -> int:
    """Return the number of the epoch's stage, counted from 1."""
    return sum(start <= epoch for start in plan.starts)


def _csv(plan: Plan, path: Path | None, rate: str) -> str:
    taken = {"epoch", "stage"} & set(plan.names)
    if taken:
        raise PlanError(
            f"the plan has a hyperparameter {taken.pop()!r}, the name of another column",
            hint="export to json",
        )
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["epoch", "stage", *plan.names])
    for epoch in range(plan.epochs):
        params = plan.params_at(epoch)
        cells = (_cell(params.get(name)) for name in plan.names)
        writer.writerow([epoch, _number(plan, epoch), *cells])
    return stream.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _script(template: str) -> _Writer:
    def write(plan: Plan, path: Path | None, rate: str) -> str:
        Schedule(plan, rate)  # which refuses what is no learning rate
        return Template(template).substitute(plan=_code(plan, path), rate=repr(rate))

    return write


def _code(plan: Plan, path: Path | None) -> str:
    """Return Python that gives the plan: from its file, or else by itself."""
    if path is not None and (path.is_file() or RunFolder(path).plan_file.exists()):
        return f"Plan.load({str(path)!r})"
    facts = pformat(plan.bare.as_dict(), width=90, sort_dicts=False)
    return f"Plan.from_dict(\n{indent(facts, '    ')}\n)"


def _transformers(plan: Plan, path: Path | None, rate: str) -> str:
    alone = not Schedule(plan, rate).others
    template = snippets.TRANSFORMERS if alone else snippets.TRANSFORMERS_BY_STAGES
    return _script(template)(plan, path, rate)


_Writer: TypeAlias = Callable[[Plan, Path | None, str], str]

_WRITERS: Mapping[Target, _Writer] = {
    Target.JSON: _json,
    Target.CSV: _csv,
    Target.TORCH: _script(snippets.TORCH),
    Target.LIGHTNING: _script(snippets.LIGHTNING),
    Target.TRANSFORMERS: _transformers,
}
