"""The durable record of one transition: its epochs, its snapshots and its outcome."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from schedplan.errors import RunFolderError, TrainerError
from schedplan.graph import Transition
from schedplan.journal.files import fingerprint, publish_folder, write_text
from schedplan.trainer import Metrics

Status: TypeAlias = Literal["done", "paused", "pruned", "failed"]
"""`done` and `failed` are for good; `paused` and `pruned` training can be taken up again."""

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
    """How a transition ended, or how far it is.

    Attributes:
        status: `done`, `failed`, `paused`, or `pruned` by a rule of the search.
        reason: why it stopped, in words.
        epoch: the epoch whose model is handed on; 0 hands the predecessor's model on.
        score: the transition's score, by which rivals into one state are compared; None where it
            failed, or was given up before any epoch.
        scores: the metric after every epoch, epoch 0 first.
        snapshot: where that model is, relative to the run folder; None unless it is done.
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
    """The durable record of one training of a transition.

    Args:
        run: the run folder.
        key: the training's name in it.

    Attributes:
        transition: the name of the transition, which further trainings of it share.
    """

    def __init__(self, run: Path, key: str) -> None:
        self.key = key
        self.transition = key.partition("@")[0]
        self._folder = run / "transitions" / key
        self._result = self._folder / "result.json"
        self._origin = self._folder / "origin.json"
        self._snapshots = run / "snapshots"

    def belongs_to(self, origin: str | None) -> bool:
        """Return whether training here began, or can begin, from the model with that identity."""
        try:
            stated = json.loads(self._origin.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return True
        except ValueError as error:
            raise RunFolderError(
                f"the origin of a transition cannot be read ({error})", where=str(self._origin)
            ) from error
        return bool(stated == {"origin": origin})

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
        """Make the end of the transition known: for good, unless it was pruned."""
        write_text(self._result, json.dumps(vars(outcome), indent=1) + "\n")

    def write_error(self, text: str) -> None:
        """Keep the traceback of what made the transition fail, for whoever wrote the trainer."""
        write_text(self._folder / "error.txt", text)

    def records(self) -> list[EpochRecord]:
        """Return the epochs of the latest attempt that are recorded whole, epoch 0 first."""
        written = (self._journal(attempt) for attempt in sorted(self._attempts(), reverse=True))
        path = next((path for path in written if path.exists()), None)
        return _read_records(path) if path else []

    def begin_attempt(self, origin: str | None) -> int:
        """Open a new attempt, which takes over what can be continued from the last one.

        That is all up to the last epoch with both a record and a snapshot. That the transition
        was pruned no longer holds.

        Args:
            origin: the identity of the model that training begins from.

        Returns:
            The attempt's number, to be opened with `attempt`.
        """
        attempts = self._attempts()
        records: list[EpochRecord] = []
        if attempts:
            records = self.records()
            snapshots = self._take_over_snapshots(below=len(records))
            last = max(snapshots, default=0)
            records = records[: last + 1] if last > 0 else []
        else:
            write_text(self._origin, json.dumps({"origin": origin}) + "\n")
        number = max(attempts, default=0) + 1
        self._result.unlink(missing_ok=True)
        write_text(self._journal(number), "".join(map(_as_line, records)))
        return number

    def attempt(self, number: int) -> Attempt:
        """Return an attempt begun before, to go on with it."""
        records = _read_records(self._journal(number))
        snapshots = self._take_over_snapshots(below=len(records)) if records else set()
        return Attempt(self._snapshots / self.key, records, snapshots, self._journal(number))

    def trim(self, keep: set[int]) -> None:
        """Remove the snapshots of all epochs but those of `keep`."""
        for path, epoch in self._own_snapshots():
            if epoch not in keep:
                shutil.rmtree(path, ignore_errors=True)

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
        for path, epoch in self._own_snapshots():
            if epoch is not None and epoch < below:
                epochs.add(epoch)
            else:
                shutil.rmtree(path)
        return epochs

    def _own_snapshots(self) -> Iterator[tuple[Path, int | None]]:
        """Yield each snapshot and its epoch; None for one cut off while it was written."""
        for path in list(self._snapshots.iterdir()) if self._snapshots.exists() else ():
            key, _, epoch = path.name.rpartition(".")
            if path.name.startswith(f".{self.key}."):
                yield path, None
            elif key == self.key and epoch.isdecimal():
                yield path, int(epoch)


class Attempt:
    """One process' turn at a transition: the only writer of its journal and its snapshots.

    Args:
        stem: the path of its snapshots, to which the epoch is added.
        records: the epochs taken over from earlier attempts.
        snapshots: the epochs that have a snapshot.
        journal: the file that epochs are written down in.
    """

    def __init__(
        self, stem: Path, records: list[EpochRecord], snapshots: set[int], journal: Path
    ) -> None:
        self._stem, self._journal = stem, journal
        self.records = records
        self.snapshots = snapshots

    def append(self, record: EpochRecord) -> None:
        """Write down an epoch."""
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
        "status": outcome.status in ("done", "pruned", "failed"),
        "reason": isinstance(outcome.reason, str),
        "scores": all(map(_is_number, outcome.scores)),
        "epoch": isinstance(outcome.epoch, int)
        and 0 <= outcome.epoch < max(len(outcome.scores), 1),
        "score": _is_number(outcome.score) if done else _is_score(outcome),
        "snapshot": _is_snapshot(outcome.snapshot) if done else outcome.snapshot is None,
        "origin": outcome.origin is None or isinstance(outcome.origin, str),
        "seed": isinstance(outcome.seed, int),
        "seconds": _is_number(outcome.seconds),
    }
    for name, sound in checks.items():
        if not sound:
            raise ValueError(f"{name} is {getattr(outcome, name)!r:.60}")


def _is_score(outcome: Outcome) -> bool:
    pruned = outcome.status == "pruned" and _is_number(outcome.score)
    return outcome.score is None or pruned


def _is_number(value: object) -> bool:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return plain and abs(value) < math.inf  # type: ignore[arg-type]


def _is_snapshot(value: object) -> bool:
    """Return whether `value` names a snapshot of this run; nothing else may be read or removed."""
    if not isinstance(value, str) or "\\" in value:
        return False
    folder, _, name = value.partition("/")
    return folder == "snapshots" and "/" not in name and name.strip(".") != ""
