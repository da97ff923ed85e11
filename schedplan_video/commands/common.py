"""What the commands share: lazy imports, options, progress."""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from schedplan.cli.progress import CONSOLE
from schedplan.cli.status import duration
from schedplan.cli.tables import Format
from schedplan.plugins import import_attribute

log = logging.getLogger("schedplan")

_T = TypeVar("_T")

_SHOWN_REASONS = 10  # why videos cannot be used
_SHOWN_VIDEOS = 3  # for each reason

_NUMBER = re.compile(r"\d[\d.]*")  # what tells one damaged file from the next

_SILENCE = 30.0  # seconds between lines that tell how far a command is

Form = Annotated[Format, typer.Option("-f", "--format", help="How to print data on stdout.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides everything random.")]
Videos = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where they are, if not by the manifest.")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, show_default="one per core", help="Processes that decode."),
]
LoaderWorkers = Annotated[
    int | None,
    typer.Option(
        min=0, show_default="one per core, 4 at most", help="Processes that decode; 0 for none."
    ),
]


def load(reference: str) -> Any:
    """Import `module:attribute` of this package; a missing dependency names the extra."""
    return import_attribute(f"schedplan_video.{reference}", extra="video")


def count_workers(workers: int | None) -> int:
    """Return the number asked for, or that of the cores."""
    return workers or load("data.processes:count_cores")()


def count_loader_workers(workers: int | None) -> int:
    """Return the number asked for, or the usual one of a loader."""
    return load("data.processes:usual_workers")() if workers is None else workers


def track(results: Iterable[_T], total: int, what: str) -> Iterator[_T]:
    """Pass the results on and show on stderr how far they are: a bar on a terminal, or else lines.

    Args:
        results: what is passed on.
        total: how many they are.
        what: they are, as in "flow: %s videos".
    """
    if not CONSOLE.is_terminal:
        yield from tell(results, total, what)
        return
    with Progress(
        *(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()), console=CONSOLE, transient=True
    ) as bar:
        yield from bar.track(results, total=total)


def tell(
    results: Iterable[_T], total: int, what: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[_T]:
    """Pass the results on and log how far they are, every half minute and at the end."""
    began = said = clock()
    for done, result in enumerate(results, start=1):
        yield result
        now = clock()
        if done == total:
            log.info(what, f"{total:,}")
        elif now - said >= _SILENCE:
            said, left = now, (now - began) / done * (total - done)
            log.info(f"{what}, %s left", f"{done:,} of {total:,}", duration(left))


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
            reasons[_NUMBER.sub("N", video.status)].append(video)
    by_count = sorted(reasons.values(), key=lambda videos: -len(videos))
    for videos in by_count[:_SHOWN_REASONS]:
        paths = [video.path for video in videos]
        reason = videos[0].status if len(videos) == 1 else _NUMBER.sub("N", videos[0].status)
        log.warning("%s: %d, such as %s", reason, len(paths), ", ".join(paths[:_SHOWN_VIDEOS]))
    if len(by_count) > _SHOWN_REASONS:
        log.warning("and more, for other reasons: see the manifest's column status")
