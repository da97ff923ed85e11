"""The command `schedplan video profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from schedplan.cli.tables import Format, make_table, print_data
from schedplan.config import load_config
from schedplan.errors import UsageError

from .common import Form, load, track

_ALWAYS = ("clip_length", "batch_size")


def profile(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML configuration.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a value.")
    ] = None,
    steps: Annotated[
        int, typer.Option(min=1, help="Optimiser steps that are measured, for each setting.")
    ] = 5,
    form: Form = Format.TABLE,
) -> None:
    """Measure speed and memory of every setting of a space, in one process, in a few steps."""
    setup = load_config(config, ["video"], set_ or ())
    trainer = setup.make_trainer()
    if not isinstance(trainer, load("trainer:VideoTrainer")):
        raise UsageError(
            f"{setup.config.trainer.use!r} is not the trainer of videos",
            where=str(config),
            allowed="trainer: {use: video, ...}",
        )
    stage_settings, measure = load("config:stage_settings"), load("profile:profile")
    states = (setup.space.params(state) for state in setup.graph.order[1:])
    stages = load("profile:distinct")(stage_settings(each, trainer.defaults) for each in states)
    profiles = (measure(trainer.task, stage, steps) for stage in stages)
    found = [vars(each) for each in track(profiles, len(stages), "%s settings")]
    names = [
        name
        for name in found[0]["settings"]
        if name in _ALWAYS or len({str(each["settings"][name]) for each in found}) > 1
    ]
    columns = (*names, "clips/s#", "waiting for data#", "memory in GiB#", "largest batch#")
    device = load("engine:find_device")(trainer.task.device)
    precision = load("engine:find_precision")(trainer.task.precision, device)
    facts = {"device": str(device), "precision": str(precision).removeprefix("torch.")}
    table = make_table(", ".join(facts.values()), columns, [_row(each, names) for each in found])
    print_data({**facts, "profiles": found}, table, form)


def _row(facts: dict[str, Any], names: list[str]) -> tuple[object, ...]:
    memory = facts["memory"]
    return (
        *(facts["settings"][name] for name in names),
        facts["clips_per_second"],
        f"{facts['waiting']:.0%}",
        None if memory is None else memory / 2**30,
        facts["largest_batch"],
    )
