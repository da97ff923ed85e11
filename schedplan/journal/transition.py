"""The durable record of one transition: its epochs, its snapshots and its outcome."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from schedplan.errors import RunFolderError
from schedplan.graph import Transition
from schedplan.journal.attempt import (
    JOURNAL,
    SNAPSHOTS,
    Attempt,
    EpochRecord,
    as_line,
    claims,
    epochs_in,
    is_number,
    name_of,
    read_records,
    tidy,
)
from schedplan.journal.files import fingerprint, move_folder, remove_folder, write_text

Status: TypeAlias = Literal["done", "paused", "pruned", "failed"]
"""`done` and `failed` are for good; `paused` and `pruned` training can be taken up again."""

_KEY_LENGTH = 120
"""File systems allow names of 255 bytes; attempts, epochs and temporary names need room too."""


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
        self._run = run
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

    def publish(self, outcome: Outcome) -> Outcome:
        """Make the end of the transition known: for good, unless it was pruned.

        To be called by the run's holder alone, with what an attempt has returned.

        Returns:
            The outcome, its snapshot where later steps find it.
        """
        snapshot = self._run / outcome.snapshot if outcome.snapshot else None
        if snapshot and self._folder in snapshot.parents:
            public = self._snapshots / f"{self.key}.{snapshot.name}"
            move_folder(snapshot, public)
            outcome = replace(outcome, snapshot=public.relative_to(self._run).as_posix())
        write_text(self._result, json.dumps(vars(outcome), indent=1) + "\n")
        if outcome.status != "pruned":
            self.trim(keep=set())
        return outcome

    def records(self) -> list[EpochRecord]:
        """Return the epochs of the latest attempt that are recorded whole, epoch 0 first."""
        latest = self._latest()
        return read_records(self._folder / str(latest) / JOURNAL) if latest else []

    def begin_attempt(self, origin: str | None) -> int:
        """Open a new attempt, which takes over what can be continued from the last one.

        That is all up to the last epoch with both a record and a snapshot. Whoever still works at
        the last attempt finds its folder gone, and can do no harm. That the transition was pruned
        no longer holds.

        Args:
            origin: the identity of the model that training begins from.

        Returns:
            The attempt's number, to be opened with `attempt`.
        """
        latest = self._latest()
        folder = self._folder / str(latest + 1)
        if latest:
            self._result.unlink(missing_ok=True)
            move_folder(self._folder / str(latest), folder)
            self._take_back(folder)
        else:
            write_text(self._origin, json.dumps({"origin": origin}) + "\n")
            (folder / SNAPSHOTS).mkdir(parents=True)
        records = read_records(folder / JOURNAL)
        epochs = tidy(folder, below=len(records))
        last = max(epochs, default=0)
        kept = records[: last + 1] if last > 0 else []
        write_text(folder / JOURNAL, "".join(map(as_line, kept)))
        return latest + 1

    def attempt(self, number: int) -> Attempt:
        """Return an attempt begun before, to go on with it."""
        return Attempt(self._folder / str(number))

    def trim(self, keep: set[int]) -> None:
        """Remove the snapshots under way of all epochs but those of `keep`, and what is said of
        slices."""
        folder = self._folder / str(self._latest())
        for epoch in epochs_in(folder / SNAPSHOTS) - keep:
            remove_folder(folder / SNAPSHOTS / name_of(epoch))
        for claim in claims(folder):
            claim.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget the transition: how it ended, its epochs and its snapshots."""
        self._result.unlink(missing_ok=True)
        for path in self._published():
            remove_folder(path)
        remove_folder(self._folder)

    def _latest(self) -> int:
        """Return the number of the latest attempt; 0 if there is none."""
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return 0
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def _published(self) -> Iterator[Path]:
        for path in list(self._snapshots.iterdir()) if self._snapshots.exists() else ():
            key, _, epoch = path.name.rpartition(".")
            if key == self.key and epoch.isdecimal():
                yield path

    def _take_back(self, folder: Path) -> None:
        """Give an attempt back what was published of it without a result, and remove leftovers."""
        (folder / SNAPSHOTS).mkdir(exist_ok=True)
        for path in self._published():
            target = folder / SNAPSHOTS / path.name.rpartition(".")[2]
            remove_folder(target)
            move_folder(path, target)


def _check_outcome(outcome: Outcome) -> None:
    """Raise ValueError unless `outcome`, read from a file, is one that can have been published."""
    done = outcome.status == "done"
    checks = {
        "status": outcome.status in ("done", "pruned", "failed"),
        "reason": isinstance(outcome.reason, str),
        "scores": all(map(is_number, outcome.scores)),
        "epoch": isinstance(outcome.epoch, int)
        and 0 <= outcome.epoch < max(len(outcome.scores), 1),
        "score": is_number(outcome.score) if done else _is_score(outcome),
        "snapshot": _is_snapshot(outcome.snapshot) if done else outcome.snapshot is None,
        "origin": outcome.origin is None or isinstance(outcome.origin, str),
        "seed": isinstance(outcome.seed, int),
        "seconds": is_number(outcome.seconds),
    }
    for name, sound in checks.items():
        if not sound:
            raise ValueError(f"{name} is {getattr(outcome, name)!r:.60}")


def _is_score(outcome: Outcome) -> bool:
    pruned = outcome.status == "pruned" and is_number(outcome.score)
    return outcome.score is None or pruned


def _is_snapshot(value: object) -> bool:
    """Return whether `value` names a snapshot of this run; nothing else may be read or removed."""
    if not isinstance(value, str) or "\\" in value:
        return False
    folder, _, name = value.partition("/")
    return folder == "snapshots" and "/" not in name and name.strip(".") != ""
