"""What the commands share: lazy imports, options, progress."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from schedplan.cli.progress import CONSOLE
from schedplan.cli.tables import Format
from schedplan.plugins import import_attribute

log = logging.getLogger("schedplan")

_T = TypeVar("_T")

_SHOWN_REASONS = 10  # why videos cannot be used
_SHOWN_VIDEOS = 3  # for each reason

Form = Annotated[Format, typer.Option("-f", "--format", help="How to print data on stdout.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides everything random.")]
Videos = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where they are, if not by the manifest.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, show_default="one per core", help="Processes that decode."),
]


def load(reference: str) -> Any:
    """Import `module:attribute` of this package; a missing dependency names the extra."""
    return import_attribute(f"schedplan_video.{reference}", extra="video")


def count_workers(workers: int | None) -> int:
    """Return the number asked for, or that of the cores."""
    return workers or os.cpu_count() or 1


def track(results: Iterable[_T], total: int) -> Iterator[_T]:
    """Pass the results on, with a bar on stderr if that is a terminal."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=CONSOLE, transient=True, disable=not CONSOLE.is_terminal)
    with bar:
        yield from bar.track(results, total=total)


def report(manifest: Any) -> None:
    """Say on stderr how many videos there are, and why some cannot be used."""
    log.info("%d videos of %d classes", len(manifest.videos), len(manifest.classes))
    for split in manifest.splits:
        lost = manifest.unusable(split)
        total = sum(video.split == split for video in manifest.videos)
        said = f", not usable: {load('data.manifest:count_problems')(lost)}" if lost else ""
        log.info("%s: %d videos%s", split, total, said)
    reasons = defaultdict(list)
    for split in manifest.splits:
        for video in manifest.unusable(split):
            reasons[video.status].append(video.path)
    by_count = sorted(reasons.items(), key=lambda item: -len(item[1]))
    for reason, paths in by_count[:_SHOWN_REASONS]:
        log.warning("%s: %d, such as %s", reason, len(paths), ", ".join(paths[:_SHOWN_VIDEOS]))
    if len(by_count) > _SHOWN_REASONS:
        log.warning("and more, for other reasons: see the manifest's column status")
