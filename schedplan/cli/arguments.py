"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schedplan.cli.tables import Format

ConfigPath = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="A YAML configuration.", show_default=False)
]
PlanPath = Annotated[
    Path | None,
    typer.Argument(metavar="RUN|PLAN", help="A run folder or a plan.", show_default=False),
]
Preset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Take one of `schedplan presets` in place of a file."),
]
PluginNames = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="NAME", help="Load a plug-in; may be repeated."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Replace a value: knee.delay=5 'search.keep={beam: 2}'."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Train so many transitions at a time, in processes of their own; by default one on "
        "each of --devices, or one in this process.",
        show_default=False,
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        metavar="0,1,...",
        help="What to train on; search.devices says how many of them a transition takes.",
        show_default=False,
    ),
]
Engine = Annotated[
    str, typer.Option(metavar="NAME", help="Where to train: local, dask, or a plug-in's.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Of the Dask cluster: tcp://HOST:8786."),
]
Trackers = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="NAME",
        help="Pass on every epoch, those of the past too: tensorboard, or a plug-in's tracker; may "
        "be repeated. RUN/epochs.csv is always kept.",
    ),
]
Form = Annotated[Format, typer.Option("-f", "--format", help="How to print data on stdout.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="The run folder.", show_default="runs/NAME, by the `name` key"
    ),
]
ReplayOut = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="The run folder.",
        show_default="RUN-replay, or runs/NAME-replay",
    ),
]
