"""The durable record of one transition: its epochs, its snapshots and its outcome."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias

from schedplan.errors import RunFolderError
from schedplan.graph import Transition
from schedplan.journal.files import publish_folder, write_text
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
        seed: what the trainer was begun with.
        seconds: wall-clock time spent.
    """

    status: Status
    reason: str
    epoch: int
    score: float | None
    scores: tuple[float, ...]
    snapshot: str | None
    seed: int
    seconds: float

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
            return Outcome(**{**facts, "scores": tuple(facts["scores"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise RunFolderError(
                f"the result of a transition cannot be read ({error})",
                where=str(self._result),
                hint="delete the file to train this transition again",
            ) from error

    def publish(self, outcome: Outcome) -> None:
        """Make the end of the transition known, once and for all."""
        write_text(self._result, json.dumps(vars(outcome), indent=1) + "\n")

    def write_error(self, text: str) -> None:
        """Keep the traceback of what made the transition fail, for whoever wrote the trainer."""
        write_text(self._folder / "error.txt", text)

    def records(self) -> list[EpochRecord]:
        """Return the epochs of the latest attempt that are recorded whole, epoch 0 first."""
        path = self._folder / str(self._latest_attempt()) / "epochs.jsonl"
        return _read_records(path) if path.exists() else []

    def begin_attempt(self) -> Attempt:
        """Open a new attempt, which takes over what can be continued from the last one."""
        latest = self._latest_attempt()
        snapshots = self._find_snapshots() if latest else set()
        last = max(snapshots, default=0)
        records = self.records()[: last + 1] if last > 0 else []
        path = self._folder / str(latest + 1) / "epochs.jsonl"
        write_text(path, "".join(map(_as_line, records)))
        return Attempt(self._snapshots / self._key, records, snapshots, path)

    def _latest_attempt(self) -> int:
        try:
            return max((int(p.name) for p in self._folder.iterdir() if p.name.isdigit()), default=0)
        except FileNotFoundError:
            return 0

    def _find_snapshots(self) -> set[int]:
        found = (path.name.rpartition(".") for path in self._snapshots.glob("[!.]*"))
        return {int(epoch) for key, _, epoch in found if key == self._key and epoch.isdigit()}


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
        """Let `fill` write the model after `epoch` into its folder."""
        publish_folder(self.snapshot(epoch), fill)
        self.snapshots.add(epoch)

    def drop_snapshots(self, keep: Callable[[int], bool]) -> None:
        """Remove the snapshots of all epochs but those that `keep` is true for."""
        for epoch in [epoch for epoch in self.snapshots if not keep(epoch)]:
            shutil.rmtree(self.snapshot(epoch), ignore_errors=True)
            self.snapshots.remove(epoch)


def _as_line(record: EpochRecord) -> str:
    return json.dumps(vars(record)) + "\n"


def _read_records(path: Path) -> list[EpochRecord]:
    """Return the records up to the first line that is torn or out of order."""
    names = {field.name for field in fields(EpochRecord)}
    records: list[EpochRecord] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            facts = json.loads(line)
        except ValueError:
            break
        if not isinstance(facts, dict) or set(facts) != names or facts["epoch"] != len(records):
            break
        records.append(EpochRecord(**facts))
    return records
