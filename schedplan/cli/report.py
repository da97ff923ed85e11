"""`schedplan report`: what a run has tried and found, as a page to read and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schedplan.cli.outputs import check_output
from schedplan.cli.plans import replayed_plan
from schedplan.cli.progress import log
from schedplan.cli.status import best_so_far
from schedplan.config import Setup, load_run
from schedplan.journal import RunFolder
from schedplan.report import Content, of_replay, of_search, write_figures, write_report
from schedplan.report.text import counted


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write the page.",
            show_default="RUN/report.html",
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write every picture singly, too, as SVG and PNG.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a page that shows what a run has tried, why its path won, and what that cost.

    The page is one file of HTML and needs no other, nor the network. A run may be reported on at
    any time; what is not finished says so.
    """
    check_output(output, (".html", ".htm"))
    folder = RunFolder(run)
    content = read_content(folder)
    file = output or folder.report
    write_report(file, content)
    log.info("%s", file)
    if figures:
        written = write_figures(figures, content)
        log.info("%s in %s", counted(len(written), "picture"), figures)


def read_content(folder: RunFolder) -> Content:
    """Return what is to be told of a run: of a search, or of a replay."""
    if plan := replayed_plan(folder):
        return of_replay(folder, plan)
    return search_content(folder, load_run(folder))


def search_content(folder: RunFolder, setup: Setup) -> Content:
    """Return what is to be told of a search."""
    return of_search(folder, setup.graph, setup.estimator, setup.options, best_so_far(folder))
