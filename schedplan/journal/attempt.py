"""One attempt at a transition: its epochs and its snapshots, in a folder of its own."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from schedplan.errors import TrainerError, WorkerLostError
from schedplan.journal.files import append_text, publish_folder, remove_folder
from schedplan.journal.snapshots import seal
from schedplan.trainer import Metrics

JOURNAL = "epochs.jsonl"
SNAPSHOTS = "snapshots"
_CLAIM = "claim-"


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


class Attempt:
    """One process' turn at a transition: the only writer of its journal and its snapshots.

    All is in a folder of its own, which is emptied and removed when another attempt takes over. So
    a process that was given up for lost, and is not, fails here, whatever name or handle of the
    folder it still has.

    Args:
        folder: made by `TransitionFolder.begin_attempt`.

    Attributes:
        records: the epochs, those taken over from earlier attempts included.
        snapshots: the epochs that have a snapshot.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.records = read_records(folder / JOURNAL)
        self.snapshots = epochs_in(folder / SNAPSHOTS)

    def claim(self, number: int) -> None:
        """Note that the slice of that number is begun.

        Raises:
            WorkerLostError: it, or a later one, is begun already: a scheduler that thinks its
                worker is lost has handed it out again.
        """
        begun = claims(self._folder)
        if all(earlier < number for earlier in begun.values()):
            with suppress(FileExistsError):
                (self._folder / f"{_CLAIM}{number}").touch(exist_ok=False)
                for path in begun:
                    path.unlink(missing_ok=True)
                return
        raise WorkerLostError("another process has begun with the same training")

    def append(self, record: EpochRecord) -> None:
        """Write down an epoch."""
        append_text(self._folder / JOURNAL, as_line(record))
        self.records.append(record)

    def snapshot(self, epoch: int) -> Path:
        """Return the folder of the model after `epoch`."""
        return self._folder / SNAPSHOTS / name_of(epoch)

    def save(self, epoch: int, fill: Callable[[Path], object]) -> None:
        """Let `fill` write the model after `epoch` into its folder.

        Raises:
            TrainerError: if it writes nothing, so that no training could go on from it.
        """

        def checked(folder: Path) -> None:
            fill(folder)
            if not any(folder.iterdir()):
                raise TrainerError("the trainer's save wrote no file", allowed="one or more files")
            _check_links(folder)
            seal(folder)
            if not (self._folder / JOURNAL).exists():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._folder))

        publish_folder(self.snapshot(epoch), checked)
        self.snapshots.add(epoch)

    def drop_snapshots(self, keep: Callable[[int], bool]) -> None:
        """Remove the snapshots of all epochs but those that `keep` is true for."""
        for epoch in [epoch for epoch in self.snapshots if not keep(epoch)]:
            remove_folder(self.snapshot(epoch))
            self.snapshots.remove(epoch)

    def write_error(self, text: str) -> None:
        """Keep the traceback of what made the transition fail, for whoever wrote the trainer."""
        (self._folder / "error.txt").write_text(text, encoding="utf-8", errors="backslashreplace")


def _check_links(folder: Path) -> None:
    """Raise TrainerError if a link leads out of a snapshot, which is moved and copied."""
    for link in (path for path in folder.rglob("*") if path.is_symlink()):
        target = link.readlink()
        if target.is_absolute() or not (link.parent / target).resolve().is_relative_to(
            folder.resolve()
        ):
            raise TrainerError(
                f"the trainer's save made {link.name} a link to {target}",
                allowed="relative links to files of the same folder",
            )


def claims(folder: Path) -> dict[Path, int]:
    """Return the slices that were begun in an attempt's folder."""
    numbers = {path: path.name.removeprefix(_CLAIM) for path in folder.glob(f"{_CLAIM}*")}
    return {path: int(number) for path, number in numbers.items() if number.isdecimal()}


def name_of(epoch: int) -> str:
    return f"{epoch:04d}"


def epochs_in(folder: Path) -> set[int]:
    """Return the epochs whose snapshots are in a folder."""
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return {int(name) for name in names if name.isdecimal()}


def as_line(record: EpochRecord) -> str:
    """Return an epoch as it is written down."""
    return json.dumps(vars(record)) + "\n"


def read_records(path: Path) -> list[EpochRecord]:
    """Return the records up to the first line that is torn, damaged or out of order."""
    records: list[EpochRecord] = []
    if not path.exists():
        return records
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = EpochRecord(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            break
        measured = isinstance(record.metrics, dict) and isinstance(record.training, dict)
        numbers = is_number(record.score) and is_number(record.seconds)
        if not (measured and numbers and record.epoch == len(records)):
            break
        records.append(record)
    return records


def is_number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that is none of floating point
        return False
