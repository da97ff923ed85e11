"""What a person sees while a search runs, and what its log keeps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.filesize import decimal
from rich.logging import RichHandler

from schedplan.cli.live import Live
from schedplan.config import Setup
from schedplan.errors import SchedplanError
from schedplan.journal import RunFolder
from schedplan.knees import KneeEstimator, Mode, Verdict
from schedplan.report.text import counted, duration
from schedplan.solver import DiskEvent, Event, PlanEvent, RunEvent
from schedplan.solver.search import SUPERSEDED
from schedplan.transition import EpochEvent, PauseEvent, RetryEvent, TransitionEvent

log = logging.getLogger("schedplan")


CONSOLE = Console(stderr=True)

_WORTH_TELLING = 1e9  # bytes of disk
_LONG = 60.0  # seconds left that are worth telling


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
def session(setup: Setup, folder: RunFolder) -> Iterator[None]:
    """Log what happens while a run trains, tell errors with their place in the configuration, and
    come back to the present folder, wherever a trainer goes.

    Args:
        setup: the configuration.
        folder: of the run; `log.txt` in it has every session.
    """
    with _log_to_file(folder.path / "log.txt"), chdir("."):
        try:
            yield
        except SchedplanError as error:
            log.debug("ended by an error", exc_info=True)
            raise setup.locate(error) from None


@contextmanager
def _log_to_file(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


Judge: TypeAlias = Callable[[str], Verdict | None]
"""Says what an estimator makes of the training of that name."""


def judge_of(folder: RunFolder, estimator: KneeEstimator, mode: Mode) -> Judge:
    """Return what judges a training by what is written down of it."""

    def judge(key: str) -> Verdict | None:
        scores = [record.score for record in folder.transition(key).records()]
        return estimator(scores, mode) if scores else None

    return judge


class Display:
    """Turns events into log lines and, on a terminal, a live table of what is being trained.

    Args:
        metric: the name of the metric.
        total: the number of trainings.
        judge: finds the knee of what is trained in another process; None: it is not shown.
        lengths: the epochs planned of every training, by its name; nothing in a search.
    """

    def __init__(
        self,
        metric: str,
        total: int,
        judge: Judge | None = None,
        lengths: Mapping[str, int] = {},
    ) -> None:
        self._metric = metric
        self._live = Live(metric, total, CONSOLE, lengths)
        self._judge = judge
        self._total = total
        self._ended: set[str] = set()  # a transition may be trained from several models
        self._reasons: set[str] = set()  # a cut has one for hundreds of transitions

    def __enter__(self) -> Display:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochEvent):
            self._epoch(event)
        elif isinstance(event, TransitionEvent):
            self._transition(event)
        elif isinstance(event, PauseEvent):
            self._live.pause(event.key, event.over)
        elif isinstance(event, RetryEvent):
            log.warning("%s: %s; it goes on from its last snapshot", event.key, event.reason)
        elif isinstance(event, DiskEvent):
            _tell_disk(event)
        elif isinstance(event, RunEvent):
            transitions = counted(event.graph.transitions, "transition")
            log.info("run folder %s: %s", event.folder, transitions)
        elif isinstance(event, PlanEvent):
            log.info("plan found: %s %.4g", self._metric, event.plan.score)

    def _epoch(self, event: EpochEvent) -> None:
        record = event.record
        text = f"epoch {record.epoch} {self._metric} {record.score:.4g}"
        reason = f" ({event.verdict.reason})" if event.verdict else ""
        log.debug("%s: %s%s", event.key, text, reason)
        verdict = event.verdict
        if CONSOLE.is_terminal and self._judge:
            verdict = verdict or self._judge(event.key)
        knee = verdict.epoch if verdict else None
        self._live.epoch(event.key, record.epoch, record.score, record.seconds, knee)

    def _transition(self, event: TransitionEvent) -> None:
        if event.outcome is None:
            self._live.begin(event.key)
            log.debug("%s: starts with %s", event.key, _short(event.params))
            return
        outcome = event.outcome
        if outcome.rule == SUPERSEDED:
            self._live.drop(event.key)
            log.debug("%s: %s", event.key, outcome.reason)
            return  # the transition itself goes on, from a better model
        self._ended.add(event.key.partition("@")[0])
        self._live.end(event.key, len(self._ended), outcome)
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
                "%s: %s %.4g; %s trained, epoch %d kept, %s%s",
                place,
                self._metric,
                outcome.score,
                counted(outcome.epochs_trained, "epoch"),
                outcome.epoch,
                f"{outcome.seconds:.1f} s",
                self._left_in_words(),
            )

    def _left_in_words(self) -> str:
        """Return about how long the rest takes, if it is long."""
        left = self._live.seconds_left() or 0.0
        return f"; about {duration(left)} left" if left > _LONG else ""


def _short(params: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items())


def _tell_disk(event: DiskEvent) -> None:
    snapshot, needed, free = map(decimal, (event.snapshot, event.needed, event.free))
    text = f"a snapshot takes {snapshot}, the search up to {needed}, and {free} of disk are free"
    if event.needed > event.free:
        log.warning("%s; a full disk stops the search, which goes on once there is room", text)
    else:
        log.log(logging.INFO if event.needed > _WORTH_TELLING else logging.DEBUG, text)
