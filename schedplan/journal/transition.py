"""The durable record of one transition: its epochs, its snapshots and its outcome."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
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
)
from schedplan.journal.files import (
    fingerprint,
    make_folder,
    move_folder,
    remove_folder,
    write_text,
)

Status: TypeAlias = Literal["done", "paused", "pruned", "failed"]
"""`done` and `failed` are for good; `paused` and `pruned` training can be taken up again."""

TrainingStatus: TypeAlias = Status | Literal["begun", "waiting"]
"""How a training ended; `begun` or `waiting` if it has not."""

_LONGEST_NAME = 255  # bytes, on most file systems
_KEY_LENGTH = 120
"""File systems allow names of 255 bytes; attempts, epochs and temporary names need room too."""


@dataclass(frozen=True)
class Outcome:
    """How a transition ended, or how far it is.

    Attributes:
        status: `done`, `failed`, `paused`, or `pruned` by a rule of the search.
        reason: why it stopped, in words; of what was pruned, the rule's name comes first.
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

    @property
    def rule(self) -> str | None:
        """The name of the rule that has pruned it; None unless it is pruned."""
        return self.reason.partition(":")[0] if self.status == "pruned" else None


@dataclass(frozen=True)
class Progress:
    """How far a training is, by all that is written down of it.

    Attributes:
        outcome: how it ended; None if it has not.
        scores: the metric after every epoch trained, epoch 0 first. Of what was pruned, these may
            be more than the outcome has: it was given up for what was seen by then.
        seconds: wall-clock time spent on them.
    """

    outcome: Outcome | None
    scores: tuple[float, ...]
    seconds: float

    @property
    def status(self) -> TrainingStatus:
        """How it ended; `begun` if it has not, `waiting` if not even the model that it begins from
        was measured."""
        if self.outcome:
            return self.outcome.status
        return "begun" if self.scores else "waiting"

    @property
    def epochs(self) -> int:
        """The epochs trained."""
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
        check: called before anything is changed; raises an error if the run is no longer ours.

    Attributes:
        transition: the name of the transition, which further trainings of it share.
    """

    def __init__(self, run: Path, key: str, check: Callable[[], None]) -> None:
        self.key = key
        self._check = check
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
        except (ValueError, RecursionError) as error:
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

    def publish(self, outcome: Outcome, attempt: int | None = None) -> Outcome:
        """Make the end of the transition known: for good, unless it was pruned.

        To be called by the run's holder alone.

        Args:
            outcome: what an attempt has returned.
            attempt: its number; None if none was begun.

        Returns:
            The outcome, its snapshot where later steps find it.

        Raises:
            RunFolderError: somebody else has taken over; nothing has changed then.
        """
        self._check()
        try:
            outcome = self._make_known(outcome, attempt)
        except FileNotFoundError:  # a successor has emptied the attempt's folder
            self._check()
            raise
        self.tidy(outcome)
        return outcome

    def _make_known(self, outcome: Outcome, attempt: int | None) -> Outcome:
        snapshot = self._run / outcome.snapshot if outcome.snapshot else None
        if snapshot and self._folder in snapshot.parents:
            public = self._snapshots / f"{self.key}.{snapshot.name}"
            move_folder(snapshot, public)
            outcome = replace(outcome, snapshot=public.relative_to(self._run).as_posix())
        text = json.dumps(vars(outcome), indent=1) + "\n"
        # Whoever takes over removes the attempt's folder, so that nothing gets out of it any more.
        write_text(self._result, text, via=self._folder / str(attempt) if attempt else None)
        return outcome

    def progress(self) -> Progress:
        """Return how far the training is.

        Raises:
            RunFolderError: see `outcome`.
        """
        outcome = self.outcome()
        if outcome and outcome.status != "pruned":
            return Progress(outcome, outcome.scores, outcome.seconds)
        records = self.records()
        scores, seconds = tuple(r.score for r in records), sum(r.seconds for r in records)
        if outcome:
            scores, seconds = max(scores, outcome.scores, key=len), max(seconds, outcome.seconds)
        return Progress(outcome, scores, seconds)

    def records(self) -> list[EpochRecord]:
        """Return the epochs of the latest attempt that are recorded whole, epoch 0 first."""
        journal = self._journal()
        return read_records(journal) if journal else []

    def latest(self) -> tuple[float, float] | None:
        """Return when the last epoch was begun and written down, in seconds since 1970; None if
        there is none."""
        journal = self._journal()
        records = read_records(journal) if journal else []
        with suppress(FileNotFoundError):  # a successor has just taken over
            if journal and records:
                written = journal.stat().st_mtime
                return written - records[-1].seconds, written
        return None

    def begin_attempt(self, origin: str | None) -> int:
        """Open a new attempt, which takes over what can be continued from those before it.

        That is all up to the last epoch with both a record and a snapshot. Whoever still works at
        an earlier attempt finds its folder gone, and can do no harm. That the transition was pruned
        or has failed no longer holds.

        Args:
            origin: the identity of the model that training begins from.

        Returns:
            The attempt's number, to be opened with `attempt`.
        """
        self._check()
        earlier = self._attempts()
        if not earlier:
            write_text(self._origin, json.dumps({"origin": origin}) + "\n")
        self._result.unlink(missing_ok=True)
        records, snapshots = self.records(), self._snapshots_left(earlier)
        last = max((epoch for epoch in snapshots if epoch < len(records)), default=0)
        number = int(earlier[0].name) + 1 if earlier else 1
        folder = self._folder / str(number)
        make_folder(folder / SNAPSHOTS)
        # From here on the journal to believe is this one, though the snapshots follow one by one.
        write_text(folder / JOURNAL, "".join(map(as_line, records[: last + 1] if last else [])))
        for epoch, snapshot in snapshots.items():
            if last and epoch <= last:
                move_folder(snapshot, folder / SNAPSHOTS / name_of(epoch))
            else:
                remove_folder(snapshot)
        for path in earlier:
            remove_folder(path)
        return number

    def attempt(self, number: int) -> Attempt:
        """Return an attempt begun before, to go on with it."""
        return Attempt(self._folder / str(number))

    def tidy(self, outcome: Outcome) -> None:
        """Remove what `outcome`, which is published, leaves no use for.

        What has failed may be gone on with, once the cause is mended: nothing is removed then. Of
        what was pruned, the snapshots of the best and of the last epoch stay.
        """
        self._check()
        if outcome.status == "failed":
            return
        keep = {outcome.epoch, outcome.epochs_trained} if outcome.status == "pruned" else set()
        attempts = self._attempts()
        for folder in attempts[1:]:  # which somebody given up for lost has brought back
            remove_folder(folder)
        for folder in attempts[:1]:
            for epoch in epochs_in(folder / SNAPSHOTS) - keep:
                remove_folder(folder / SNAPSHOTS / name_of(epoch))
            for claim in claims(folder):
                claim.unlink(missing_ok=True)

    def _journal(self) -> Path | None:
        journals = (folder / JOURNAL for folder in self._attempts())
        return next((journal for journal in journals if journal.exists()), None)

    def _attempts(self) -> list[Path]:
        """Return the folders of all attempts, the latest first; only one that was cut short while
        it took over leaves others."""
        paths = self._folder.iterdir() if self._folder.exists() else ()
        return sorted((path for path in paths if path.name.isdecimal()), key=_number, reverse=True)

    def _snapshots_left(self, attempts: list[Path]) -> dict[int, Path]:
        """Return, by epoch, the snapshots of attempts, and those published without a result."""
        left = {int(path.name.rpartition(".")[2]): path for path in self._published()}
        for folder in (folder for folder in attempts if (folder / JOURNAL).exists()):
            for epoch in epochs_in(folder / SNAPSHOTS):
                left.setdefault(epoch, folder / SNAPSHOTS / name_of(epoch))
        return left

    def _published(self) -> Iterator[Path]:
        for path in list(self._snapshots.iterdir()) if self._snapshots.exists() else ():
            key, _, epoch = path.name.rpartition(".")
            if key == self.key and epoch.isdecimal():
                yield path


def _number(folder: Path) -> int:
    return int(folder.name)


def _check_outcome(outcome: Outcome) -> None:
    """Raise ValueError unless `outcome`, read from a file, is one that can have been published."""
    done = outcome.status == "done"
    checks = {
        "status": outcome.status in ("done", "pruned", "failed"),
        "reason": isinstance(outcome.reason, str),
        "scores": all(map(is_number, outcome.scores)),
        "epoch": type(outcome.epoch) is int and 0 <= outcome.epoch < max(len(outcome.scores), 1),
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
    short = len(name.encode(errors="replace")) <= _LONGEST_NAME and "\0" not in name
    return folder == "snapshots" and "/" not in name and name.strip(".") != "" and short
