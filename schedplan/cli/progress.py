"""What a person sees while a search runs, and what its log keeps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.logging import RichHandler
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from schedplan.solver import DiskEvent, Event, PlanEvent, RunEvent
from schedplan.solver.search import SUPERSEDED
from schedplan.transition import EpochEvent, RetryEvent, TransitionEvent

log = logging.getLogger("schedplan")


CONSOLE = Console(stderr=True)

_NUMBERS = 36  # columns that counts and times take, at most
_WORTH_TELLING = 1e9  # bytes of disk
_FOR_EVER = 1e9  # seconds; transitions may be hours apart, and all tell how fast it goes


def log_to_stderr(verbosity: int) -> None:
    """Show warnings (-1: -q), what happens (0), or every epoch too (1: -v)."""
    handler: logging.Handler = logging.StreamHandler()
    if CONSOLE.is_terminal:  # lines must not run into the live display
        handler = RichHandler(
            console=CONSOLE, show_path=False, show_level=False, show_time=False, highlighter=None
        )
    handler.setLevel({-1: logging.WARNING, 0: logging.INFO}.get(verbosity, logging.DEBUG))
    log.handlers = [handler]
    log.setLevel(logging.DEBUG)
    log.propagate = False


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Keep a log of everything in the run folder, appended to by every run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


class Display:
    """Turns events into log lines and, on a terminal, a live line of progress.

    Args:
        metric: the name of the metric.
        total: the number of transitions.
    """

    def __init__(self, metric: str, total: int) -> None:
        self._metric = metric
        self._progress = Progress(
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[epoch]}"),
            console=CONSOLE,
            transient=True,
            disable=not CONSOLE.is_terminal,
            speed_estimate_period=_FOR_EVER,
        )
        self._task = self._progress.add_task("training", total=total, epoch="")
        self._total = total
        self._ended: set[str] = set()  # a transition may be trained from several models
        self._reasons: set[str] = set()  # a cut has one for hundreds of transitions

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEvent):
            self._epoch(event)
        elif isinstance(event, TransitionEvent):
            self._transition(event)
        elif isinstance(event, RetryEvent):
            log.warning("%s: %s; it goes on from its last snapshot", event.key, event.reason)
        elif isinstance(event, DiskEvent):
            _tell_disk(event)
        elif isinstance(event, RunEvent):
            log.info("run folder %s: %d transitions", event.folder, event.graph.transitions)
        elif isinstance(event, PlanEvent):
            log.info("plan found: %s %.4g", self._metric, event.plan.score)

    def _epoch(self, event: EpochEvent) -> None:
        record = event.record
        text = f"epoch {record.epoch} {self._metric} {record.score:.4g}"
        reason = f" ({event.verdict.reason})" if event.verdict else ""
        log.debug("%s: %s%s", event.key, text, reason)
        # Numbers are never cropped for it: a narrow terminal shows less of the transition's name.
        shown = f"{text}, {event.key}"[: max(CONSOLE.width - _NUMBERS, 0)]
        self._progress.update(self._task, epoch=shown)

    def _transition(self, event: TransitionEvent) -> None:
        if event.outcome is None:
            log.debug("%s: starts with %s", event.key, _short(event.params))
            return
        outcome = event.outcome
        if outcome.status == "pruned" and outcome.reason.startswith(SUPERSEDED):
            log.debug("%s: %s", event.key, outcome.reason)
            return  # the transition itself goes on, from a better model
        self._ended.add(event.key.partition("@")[0])
        self._progress.update(self._task, completed=len(self._ended))
        place = f"[{len(self._ended)}/{self._total}] {event.key}"
        if event.known:
            log.debug("%s: known from an earlier run", place)
        elif outcome.status == "pruned":
            level = logging.DEBUG if outcome.reason in self._reasons else logging.INFO
            self._reasons.add(outcome.reason)
            log.log(level, "%s: pruned: %s", place, outcome.reason)
        elif outcome.status == "failed":
            log.warning("%s: failed: %s", place, outcome.reason)
        else:
            log.info(
                "%s: %s %.4g, epoch %d of %d trained, %s",
                place,
                self._metric,
                outcome.score,
                outcome.epoch,
                outcome.epochs_trained,
                f"{outcome.seconds:.1f} s",
            )


def _short(params: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items())


def _tell_disk(event: DiskEvent) -> None:
    snapshot, needed, free = map(decimal, (event.snapshot, event.needed, event.free))
    text = f"a snapshot takes {snapshot}, the search up to {needed}, and {free} of disk are free"
    if event.needed > event.free:
        log.warning("%s; a full disk stops the search, which goes on once there is room", text)
    else:
        log.log(logging.INFO if event.needed > _WORTH_TELLING else logging.DEBUG, text)
