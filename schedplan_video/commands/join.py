"""The command `schedplan video join`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from .common import load


def join(
    endpoint: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="The endpoint of the run's trainer.")
    ],
    processes: Annotated[
        int | None,
        typer.Option(min=1, show_default="one per GPU", help="Processes that train here."),
    ] = None,
) -> None:
    """Train for a run on another machine, as one of its nodes, until it is done."""
    # Or torch would report, with a stack, that the run has ended first.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    load("launch:join")(endpoint, processes)
