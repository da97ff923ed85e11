"""The durable record of one transition: its epochs, its snapshots and its outcome."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from schedplan.errors import RunFolderError, TrainerError
from schedplan.graph import Transition
from schedplan.journal.files import fingerprint, publish_folder, write_text
from schedplan.trainer import Metrics

Status: TypeAlias = Literal["done", "failed"]

_KEY_LENGTH = 120
"""File systems allow names of 255 bytes; attempts, epochs and temporary names need room too."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a transition.

    Attributes:
        epoch: 0 for the model as handed over, then 1, 2, ...
        score: the metric that is planned for.
        metrics: everything that `evaluate` returned.
        training: everything that `train_epoch` returned.
        seconds: wall-clock time of training, evaluation and snapshot.
    """

    epoch: int
    score: float
    metrics: Metrics
    training: Metrics
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a transition ended.

    Attributes:
        status: `done` or `failed`.
        reason: why it stopped, in words.
        epoch: the epoch whose model is handed on; 0 hands the predecessor's model on.
        score: the transition's score, by which rivals into one state are compared; None where it
            failed.
        scores: the metric after every epoch, epoch 0 first.
        snapshot: where that model is, relative to the run folder; None where it failed.
        origin: the `identity` of the outcome whose model training began from; None for a new
            model.
        seed: what the trainer was begun with.
        seconds: wall-clock time spent.
    """

    status: Status
    reason: str
    epoch: int
    score: float | None
    scores: tuple[float, ...]
    snapshot: str | None
    origin: str | None
    seed: int
    seconds: float

    @property
    def identity(self) -> str:
        """A hash that tells this outcome, and all that led to it, from any other."""
        return fingerprint({**vars(self), "seconds": None})

    @property
    def observed(self) -> float | None:
        """What was measured at `epoch`; `score` may be a fitted value."""
        return self.scores[self.epoch] if self.status == "done" else None

    @property
    def epochs_trained(self) -> int:
        """The epochs paid for; at least `epoch`."""
        return max(len(self.scores) - 1, 0)


def transition_key(transition: Transition) -> str:
    """Return the name of a transition, usable as a file name and the same in every run.

    Example:
        >>> from schedplan.space import INITIAL, Axis, Space
        >>> space = Space((Axis("clip", (16, 32)),))
        >>> transition_key((INITIAL, space.state(clip=16)))
        'S0__16'
    """
    key = "__".join(state.label for state in transition)
    if len(key.encode()) <= _KEY_LENGTH:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    return f"{key.encode()[: _KEY_LENGTH - 13].decode(errors='ignore')}-{digest}"


class TransitionFolder:
    """The durable record of one transition."""

    def __init__(self, run: Path, key: str) -> None:
        self._key = key
        self._folder = run / "transitions" / key
        self._result = self._folder / "result.json"
        self._snapshots = run / "snapshots"

    def outcome(self) -> Outcome | None:
        """Return how the transition ended, or None if it has not.

        Raises:
            RunFolderError: if the file is damaged; it names the file.
        """
        try:
            facts = json.loads(self._result.read_text(encoding="utf-8"))
            outcome = Outcome(**{**facts, "scores": tuple(facts["scores"])})
            _check_outcome(outcome)
            return outcome
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise RunFolderError(
                f"the result of a transition cannot be read ({error})",
                where=str(self._result),
                hint="delete the file to train the transition again, if the run is not finished",
            ) from error

    def publish(self, outcome: Outcome) -> None:
        """Make the end of the transition known, once and for all."""
        write_text(self._result, json.dumps(vars(outcome), indent=1) + "\n")

    def write_error(self, text: str) -> None:
        """Keep the traceback of what made the transition fail, for whoever wrote the trainer."""
        write_text(self._folder / "error.txt", text)

    def records(self) -> list[EpochRecord]:
        """Return the epochs of the latest attempt that are recorded whole, epoch 0 first."""
        written = (self._journal(attempt) for attempt in sorted(self._attempts(), reverse=True))
        path = next((path for path in written if path.exists()), None)
        return _read_records(path) if path else []

    def begin_attempt(self) -> Attempt:
        """Open a new attempt, which takes over what can be continued from the last one.

        That is all up to the last epoch with both a record and a snapshot.
        """
        attempts = self._attempts()
        records: list[EpochRecord] = []
        snapshots: set[int] = set()
        if attempts:
            records = self.records()
            snapshots = self._take_over_snapshots(below=len(records))
            last = max(snapshots, default=0)
            records = records[: last + 1] if last > 0 else []
        journal = self._journal(max(attempts, default=0) + 1)
        write_text(journal, "".join(map(_as_line, records)))
        return Attempt(self._snapshots / self._key, records, snapshots, journal)

    def discard(self) -> None:
        """Forget the transition: how it ended, its epochs and its snapshots."""
        self._take_over_snapshots(below=0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _attempts(self) -> list[int]:
        try:
            return [int(path.name) for path in self._folder.iterdir() if path.name.isdecimal()]
        except FileNotFoundError:
            return []

    def _journal(self, attempt: int) -> Path:
        return self._folder / str(attempt) / "epochs.jsonl"

    def _take_over_snapshots(self, below: int) -> set[int]:
        """Return the epochs below `below` that have a snapshot, and remove all other leftovers."""
        epochs: set[int] = set()
        for path in self._snapshots.iterdir() if self._snapshots.exists() else ():
            if path.name.startswith(f".{self._key}."):  # cut off while it was written
                shutil.rmtree(path)
                continue
            key, _, epoch = path.name.rpartition(".")
            if key == self._key and epoch.isdecimal() and int(epoch) < below:
                epochs.add(int(epoch))
            elif key == self._key:
                shutil.rmtree(path)
        return epochs


class Attempt:
    """One process' turn at a transition: the only writer of its journal and its snapshots.

    Args:
        stem: the path of its snapshots, to which the epoch is added.
        records: the epochs taken over from earlier attempts.
        snapshots: the epochs that have a snapshot.
        journal: the file that epochs are written down in; None for a search that keeps nothing.
    """

    def __init__(
        self, stem: Path, records: list[EpochRecord], snapshots: set[int], journal: Path | None
    ) -> None:
        self._stem, self._journal = stem, journal
        self.records = records
        self.snapshots = snapshots

    def append(self, record: EpochRecord) -> None:
        """Write down an epoch."""
        if self._journal:
            with self._journal.open("a", encoding="utf-8") as stream:
                stream.write(_as_line(record))
        self.records.append(record)

    def snapshot(self, epoch: int) -> Path:
        """Return the folder of the model after `epoch`."""
        return self._stem.with_name(f"{self._stem.name}.{epoch:04d}")

    def save(self, epoch: int, fill: Callable[[Path], object]) -> None:
        """Let `fill` write the model after `epoch` into its folder.

        Raises:
            TrainerError: if it writes nothing, so that no training could go on from it.
        """

        def checked(folder: Path) -> None:
            fill(folder)
            if not any(folder.iterdir()):
                raise TrainerError("the trainer's save wrote no file", allowed="one or more files")

        publish_folder(self.snapshot(epoch), checked)
        self.snapshots.add(epoch)

    def drop_snapshots(self, keep: Callable[[int], bool]) -> None:
        """Remove the snapshots of all epochs but those that `keep` is true for."""
        for epoch in [epoch for epoch in self.snapshots if not keep(epoch)]:
            shutil.rmtree(self.snapshot(epoch), ignore_errors=True)
            self.snapshots.remove(epoch)


def _as_line(record: EpochRecord) -> str:
    return json.dumps(vars(record)) + "\n"


def _read_records(path: Path) -> list[EpochRecord]:
    """Return the records up to the first line that is torn, damaged or out of order."""
    records: list[EpochRecord] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = EpochRecord(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            break
        measured = isinstance(record.metrics, dict) and isinstance(record.training, dict)
        numbers = _is_number(record.score) and _is_number(record.seconds)
        if not (measured and numbers and record.epoch == len(records)):
            break
        records.append(record)
    return records


def _check_outcome(outcome: Outcome) -> None:
    """Raise ValueError unless `outcome`, read from a file, is one that can have been published."""
    done = outcome.status == "done"
    checks = {
        "status": outcome.status in ("done", "failed"),
        "reason": isinstance(outcome.reason, str),
        "scores": all(map(_is_number, outcome.scores)),
        "epoch": isinstance(outcome.epoch, int)
        and 0 <= outcome.epoch < (len(outcome.scores) if done else 1),
        "score": _is_number(outcome.score) if done else outcome.score is None,
        "snapshot": _is_snapshot(outcome.snapshot) if done else outcome.snapshot is None,
        "origin": outcome.origin is None or isinstance(outcome.origin, str),
        "seed": isinstance(outcome.seed, int),
        "seconds": _is_number(outcome.seconds),
    }
    for name, sound in checks.items():
        if not sound:
            raise ValueError(f"{name} is {getattr(outcome, name)!r:.60}")


def _is_number(value: object) -> bool:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return plain and abs(value) < math.inf  # type: ignore[arg-type]


def _is_snapshot(value: object) -> bool:
    """Return whether `value` names a snapshot of this run; nothing else may be read or removed."""
    if not isinstance(value, str) or "\\" in value:
        return False
    folder, _, name = value.partition("/")
    return folder == "snapshots" and "/" not in name and name.strip(".") != ""
