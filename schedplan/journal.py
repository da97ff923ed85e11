"""What happened in a run, durably: one folder, one file per fact, readable by a person.

    RUN/config.yaml                             what was asked for, with its fingerprint
    RUN/transitions/KEY/ATTEMPT/epochs.jsonl    a line per epoch, written by one process alone
    RUN/transitions/KEY/result.json             how the transition ended, published once
    RUN/snapshots/KEY.EPOCH/                    models that a later step may still need
    RUN/plan.yaml, RUN/model/                   the answer

A fact is published by writing a neighbour and renaming it, so no reader ever sees half of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml
from filelock import FileLock, Timeout

from schedplan.errors import RunFolderError
from schedplan.graph import Transition
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
        'S0--16'
    """
    key = "--".join(state.label for state in transition)
    if len(key.encode()) <= _KEY_LENGTH:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    return f"{key.encode()[: _KEY_LENGTH - 13].decode(errors='ignore')}-{digest}"


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return a short hash of plain data, the same whatever the order of its keys."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 of a folder's files, their relative names included."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        digest.update(len(name).to_bytes(4, "big") + name)
        digest.update(path.stat().st_size.to_bytes(8, "big"))
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader finds the old file or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def publish_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write into an empty folder, then let it appear as `folder`, replacing another."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
    except FileExistsError:  # left by a process of the same number that was killed
        shutil.rmtree(temporary)
        temporary.mkdir()
    try:
        fill(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


class RunFolder:
    """The folder of one run: its configuration, its transitions and its answer.

    Args:
        path: the folder; made on demand.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.plan_file = path / "plan.yaml"
        self.model = path / "model"

    def transition(self, key: str) -> TransitionFolder:
        """Return the record of the transition named `key`."""
        return TransitionFolder(self.path, key)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Bind the folder to `config`, or check that it is bound to the same one already.

        Raises:
            RunFolderError: if the folder holds another configuration (the message shows what
                differs), or holds something else altogether.
        """
        if not self.config_file.exists():
            if self.path.exists() and any(self._strangers()):
                raise RunFolderError(
                    "the folder holds other files and is no run folder",
                    where=str(self.path),
                    hint="name a new or an empty folder with --out",
                )
            facts = {"fingerprint": fingerprint(config), **config}
            write_text(self.config_file, yaml.safe_dump(facts, sort_keys=False))
            return
        differences = list(_differences(self.config(), config))
        if differences:
            raise RunFolderError(
                f"the run was made with another configuration: {'; '.join(differences)}",
                where=str(self.path),
                hint="go back to that configuration to resume it, or name a new folder with --out",
            )

    def config(self) -> dict[str, Any]:
        """Return the configuration that the folder is bound to.

        Raises:
            RunFolderError: if there is none, or it is damaged.
        """
        try:
            facts = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
            stated = facts.pop("fingerprint")
        except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
            raise RunFolderError(
                "this is no run folder", where=str(self.path), hint="`schedplan run` makes one"
            ) from error
        if stated != fingerprint(facts):
            raise RunFolderError(
                "the run's configuration was changed by hand",
                where=str(self.config_file),
                hint="its results belong to another configuration; start a new run with --out",
            )
        return dict(facts)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep others from running in this folder.

        Raises:
            RunFolderError: if somebody else holds it; the message says who.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        holder = self.path / "holder.txt"
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = holder.read_text().strip() if holder.exists() else "another process"
            raise RunFolderError(
                f"the run is being worked on by {who}",
                where=str(self.path),
                hint="wait for it to end, or stop it",
            ) from None
        try:
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def _strangers(self) -> Iterator[Path]:
        return (path for path in self.path.iterdir() if path.name not in (".lock", "holder.txt"))


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


class ScratchFolder(RunFolder):
    """A run folder for a search that keeps nothing: models alone are written, no journal."""

    def transition(self, key: str) -> ScratchTransition:
        return ScratchTransition(self.path, key)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Bind nothing: nobody will come back."""


class ScratchTransition(TransitionFolder):
    """A transition that is not written down."""

    def outcome(self) -> None:
        return None

    def publish(self, outcome: Outcome) -> None:
        """Publish nothing: the driver is told directly."""

    def write_error(self, text: str) -> None:
        """Keep nothing: the outcome has the reason."""

    def begin_attempt(self) -> Attempt:
        return Attempt(self._snapshots / self._key, [], set(), journal=None)


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


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield what differs between two nested configurations, a phrase each."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield f"{path} was {old!r} and is now {new!r}"
