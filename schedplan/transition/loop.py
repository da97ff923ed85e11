"""The epoch loop that every search, replay and retry runs through: train, evaluate, save, ask."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from schedplan.errors import (
    DamagedSnapshotError,
    EstimatorError,
    MetricError,
    NotFiniteError,
    SchedplanError,
    TrainerError,
    UsageError,
    did_you_mean,
)
from schedplan.journal import EpochRecord, Outcome, Status, is_sound
from schedplan.knees import Scale, Verdict
from schedplan.trainer import Metrics, Seat, Trainer, scale_of
from schedplan.transition.assignment import Assignment, EpochEvent, Observer


def advance(assignment: Assignment, observe: Observer | None = None) -> Outcome:
    """Train a slice of a transition; return how it ended, for the run's holder to publish.

    A trainer that raises, or reports a metric that is not finite, ends the transition as `failed`.

    Raises:
        DamagedSnapshotError: a model to go on with is not what was saved.
        WorkerLostError: the slice was handed out twice.
        UsageError: what the user has to mend before anything can be trained, such as a metric
            that the trainer does not report, a value that is no number, or a knee estimator that
            chooses an epoch that is none.
        OSError: the run folder cannot be written, or the disk is full; nothing is lost.
    """
    seat = assignment.trainer if isinstance(assignment.trainer, Seat) else None
    loop = seat.held if seat else None
    if not (isinstance(loop, _EpochLoop) and loop.goes_on_with(assignment)):
        loop = _EpochLoop(assignment)
    if seat:
        seat.held = None  # what an exception leaves behind is not gone on with
    loop.attempt.claim(assignment.slice)
    try:
        outcome = loop.run(assignment, observe or _ignore)
    except (UsageError, DamagedSnapshotError, KeyboardInterrupt):
        raise  # the first is of the trainer, or of the estimator
    except _NotTheTrainers as wrapped:
        raise wrapped.error from wrapped.error.__cause__
    except BaseException as error:  # whatever a trainer raises, on any executor
        loop.attempt.write_error("".join(traceback.format_exception(error)))
        outcome = loop.failed(_describe(error))
    if seat and outcome.status == "paused":
        seat.held = loop
    return outcome


def _describe(error: BaseException) -> str:
    """Return the last line of a traceback, which copes with exceptions that cannot be printed."""
    if isinstance(error, SchedplanError):
        text = str(error)
    else:
        text = traceback.format_exception_only(error)[-1].strip()
    return text.encode(errors="backslashreplace").decode()  # names of files may be no text


class _NotTheTrainers(Exception):  # noqa: N818 - it carries an error through the epoch loop
    """Carries a fault of an observer or of the disk, for which no transition is to blame."""

    def __init__(self, error: Exception) -> None:
        self.error = error


@contextmanager
def _not_the_trainers(*kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        raise _NotTheTrainers(error) from error


class _EpochLoop:
    """An attempt under way, which the next slice may go on with where it stands."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        folder = assignment.run.transition(assignment.key)
        self.attempt = folder.attempt(assignment.attempt)
        self._trainer: Trainer | None = None
        self._verdict: Verdict | None = None
        self._observe: Observer = _ignore

    def goes_on_with(self, assignment: Assignment) -> bool:
        """Return whether `assignment` is the next slice of this attempt.

        Another worker may have trained the slices between, and only the driver knows.
        """
        here = self.assignment
        same = here == replace(
            assignment,
            slice=here.slice,
            trained=here.trained,
            until=here.until,
            seconds=here.seconds,
        )
        return same and len(self.attempt.records) - 1 == assignment.trained

    def run(self, limits: Assignment, observe: Observer) -> Outcome:
        """Train until the estimator says stop, or as far as `limits` allow."""
        self._observe = observe
        until = math.inf if limits.until is None else limits.until
        before = self._seconds()
        if self.attempt.records:
            verdict = self._verdict or self._judge()
        else:
            self._trainer = self._begin()
            verdict = self._tell(self._judge())
        while (
            not verdict.stop
            and len(self.attempt.records) <= until
            and self._seconds() - before < limits.seconds
        ):
            self._trainer = self._trainer or self._begin()
            since = time.monotonic()
            self._record(self._trainer, self._trainer.train_epoch(), since)
            verdict = self._tell(self._judge())
        self._verdict = verdict
        return self._done(verdict) if verdict.stop else self._paused(verdict)

    def failed(self, reason: str) -> Outcome:
        """Return how the transition ended, the trainer having raised."""
        return self._outcome("failed", reason, epoch=0, score=None)

    def _begin(self) -> Trainer:
        """Return the trainer, ready to train the epoch after the last one recorded."""
        a, records = self.assignment, self.attempt.records
        trainer = a.trainer()
        start = None
        if a.before and a.before.snapshot:
            start = self._sound(a.run.path / a.before.snapshot)
        trainer.begin(a.params, start, a.seed)
        if not records:
            self._record(trainer, training={}, since=time.monotonic())
        elif (last := records[-1].epoch) > 0 or a.before is None:
            trainer.restore(self._sound(self.attempt.snapshot(last)))
        return trainer

    def _sound(self, snapshot: Path) -> Path:
        """Return `snapshot` if it is what was saved.

        Raises:
            DamagedSnapshotError: it is not.
        """
        with _not_the_trainers(OSError):
            sound = is_sound(snapshot)
        if not sound:
            raise DamagedSnapshotError(snapshot.relative_to(self.assignment.run.path).as_posix())
        return snapshot

    def _record(self, trainer: Trainer, training: Metrics, since: float) -> None:
        """Evaluate, save and write down one epoch; the snapshot comes first, so that every epoch
        that is written down can be continued from."""
        epoch = len(self.attempt.records)
        metrics = _numbers(trainer.evaluate(), "evaluate")
        metric = self.assignment.metric
        if metric not in metrics:
            raise unknown_metric(metric, metrics)
        if not math.isfinite(metrics[metric]):
            raise NotFiniteError(
                f"the trainer reported {metric} = {metrics[metric]} at epoch {epoch}"
            )
        if epoch > 0 or self.assignment.before is None:
            with _not_the_trainers(OSError):
                self.attempt.save(epoch, trainer.save)
        trained = _numbers(training or {}, "train_epoch")
        for name, value in trained.items():
            if not math.isfinite(value):
                raise NotFiniteError(f"training reported {name} = {value} at epoch {epoch}")
        record = EpochRecord(
            epoch=epoch,
            score=metrics[metric],
            metrics=metrics,
            training=trained,
            seconds=time.monotonic() - since,
        )
        with _not_the_trainers(OSError):
            self.attempt.append(record)

    def _judge(self) -> Verdict:
        """Ask the estimator; keep the snapshots that it may still choose, and the last one."""
        scores = self._scores()
        verdict = self.assignment.estimator(scores, self.assignment.mode, self._scale)
        _check_verdict(verdict, len(scores))
        oldest = verdict.epoch - self.assignment.estimator.lookback
        last = self.attempt.records[-1]
        with _not_the_trainers(OSError):
            self.attempt.drop_snapshots(keep=lambda epoch: epoch >= oldest or epoch == last.epoch)
        return verdict

    def _tell(self, verdict: Verdict) -> Verdict:
        """Let the observer know of the last epoch."""
        with _not_the_trainers(Exception):
            self._observe(EpochEvent(self.assignment.key, self.attempt.records[-1], verdict))
        return verdict

    @cached_property
    def _scale(self) -> Scale | None:
        return scale_of(self._trainer or self.assignment.trainer(), self.assignment.metric)

    def _scores(self) -> tuple[float, ...]:
        return tuple(record.score for record in self.attempt.records)

    def _done(self, verdict: Verdict) -> Outcome:
        """Hand on the model of the epoch chosen, or of the nearest one whose snapshot is left."""
        before = self.assignment.before
        available = self.attempt.snapshots | ({0} if before else set())
        epoch = min(available, key=lambda each: (abs(each - verdict.epoch), each))
        score, reason = verdict.score, verdict.reason
        if epoch != verdict.epoch:
            score = self.attempt.records[epoch].score
            reason += f"; epoch {epoch} stands in for epoch {verdict.epoch}, dropped before"
        own = self.attempt.snapshot(epoch).relative_to(self.assignment.run.path).as_posix()
        snapshot = before.snapshot if before and epoch == 0 else own
        return self._outcome("done", reason, epoch, score, snapshot)

    def _paused(self, verdict: Verdict) -> Outcome:
        return self._outcome("paused", verdict.reason, verdict.epoch, verdict.score)

    def _outcome(
        self,
        status: Status,
        reason: str,
        epoch: int,
        score: float | None,
        snapshot: str | None = None,
    ) -> Outcome:
        before = self.assignment.before
        return Outcome(
            status=status,
            reason=reason,
            epoch=epoch,
            score=score,
            scores=self._scores(),
            snapshot=snapshot,
            origin=before.identity if before else None,
            seed=self.assignment.seed,
            seconds=self._seconds(),
        )

    def _seconds(self) -> float:
        return sum(record.seconds for record in self.attempt.records)


def _check_verdict(verdict: Verdict, epochs: int) -> None:
    """Raise EstimatorError unless a model can be handed on, and compared, by `verdict`."""
    if not 0 <= verdict.epoch < epochs:
        raise EstimatorError(
            f"the knee estimator chose epoch {verdict.epoch}", allowed=f"0 to {epochs - 1}"
        )
    if not math.isfinite(verdict.score):
        raise EstimatorError(
            f"the knee estimator returned the score {verdict.score}", allowed="finite numbers"
        )


def _numbers(metrics: Any, verb: str) -> dict[str, float]:
    """Return what a trainer measured as plain numbers; TrainerError if it is anything else."""
    if not isinstance(metrics, Mapping):
        raise TrainerError(
            f"the trainer's {verb} returned {metrics!r:.60}",
            allowed="a dictionary of numbers by name",
        )
    numbers: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            if isinstance(value, str):
                raise TypeError("a text")
            numbers[str(name)] = float(value)
        except (TypeError, ValueError) as error:
            raise TrainerError(
                f"the trainer's {verb} returned {value!r:.60} for {name!r}", allowed="a number"
            ) from error
    return numbers


def unknown_metric(metric: str, known: Iterable[str]) -> MetricError:
    """Return the error for a metric that is not among those `known` to the trainer."""
    names = sorted(known)
    return MetricError(
        f"the trainer does not report the metric {metric!r}",
        allowed=names,
        hint=did_you_mean(metric, names),
        path=("metric",),
    )


def _ignore(event: EpochEvent) -> None:
    """Observe nothing."""
