"""The folder of one run: what it is bound to, who works in it, and where its parts are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from schedplan.errors import ConfigError, RunFolderError
from schedplan.journal.files import (
    fingerprint,
    make_folder,
    move_folder,
    remove_folder,
    sweep,
    write_text,
)
from schedplan.journal.lease import Lease
from schedplan.journal.transition import TransitionFolder
from schedplan.yaml_file import dump_yaml, read_yaml

_PLACES: Final = (
    "*",
    "snapshots/*",
    "transitions/*",
    "transitions/*/*",
    "transitions/*/*/*",
    "transitions/*/*/snapshots/*",
)
"""Where something is published; what lies deeper is the trainer's."""

_HALF_BEGUN: Final = re.compile(r"\.lock|holder\.txt|\.(config\.yaml|holder\.txt)\.new\d+")
"""What a run has that was ended before its configuration was written."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: its configuration, its transitions and its answer.

    Args:
        path: the folder; made on demand.
        lease: the right to change it, see `hold`; without one, nobody checks.
    """

    path: Path
    lease: Lease | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[RunFolder], tuple[Path]]:
        """Other processes do not hold the folder."""
        return RunFolder, (self.path,)

    def check(self) -> None:
        """Raise `RunFolderError` if the folder was held, and somebody else has taken over."""
        if self.lease:
            self.lease.check()

    @property
    def config_file(self) -> Path:
        """What the run is bound to."""
        return self.path / "config.yaml"

    @property
    def plan_file(self) -> Path:
        """The answer."""
        return self.path / "plan.yaml"

    @property
    def model(self) -> Path:
        """The folder of the model that the plan leads to."""
        return self.path / "model"

    @property
    def report(self) -> Path:
        """The page that shows what was tried and found."""
        return self.path / "report.html"

    @property
    def front(self) -> Path:
        """The folder of plans that trade score for cost."""
        return self.path / "front"

    def front_plans(self) -> list[Path]:
        """Return the files of these plans, the cheapest first."""
        return sorted(self.front.glob("plan-*.yaml"))

    @property
    def confirmation(self) -> Path:
        """The folder in which the plan was trained along once more."""
        return self.path / "confirm"

    def transition(self, key: str) -> TransitionFolder:
        """Return the record of the transition named `key`."""
        return TransitionFolder(self.path, key, self.check)

    def training(self, key: str, origin: str | None) -> TransitionFolder:
        """Return the record of one training of the transition named `key`.

        A transition may be trained from several models of its source: the first training is
        called `key`, further ones `key@2`, `key@3`, .... What is trained once more only to have
        its model back is called `key@again1`, ....

        Args:
            key: the transition's name.
            origin: the identity of the model that training begins from; None for a new one.
        """
        names = (f"{key}@{number}" if number > 1 else key for number in count(1))
        folders = map(self.transition, names)
        return next(folder for folder in folders if folder.belongs_to(origin))

    def trainings(self) -> Iterator[TransitionFolder]:
        """Yield the record of every training written down, in the order of their names."""
        folder = self.path / "transitions"
        for path in sorted(folder.iterdir()) if folder.exists() else ():
            if path.is_dir():
                yield self.transition(path.name)

    def trained(self) -> Iterator[tuple[str, int, float]]:
        """Yield the name, the epochs and the seconds of every training written down."""
        for training in self.trainings():
            progress = training.progress()
            if progress.scores:
                yield training.key, progress.epochs, progress.seconds

    def configure(self, config: Mapping[str, Any], incidental: Collection[str] = ()) -> None:
        """Bind the folder to `config`, or check that it is bound to the same one already.

        What is not part of its `essence` may change: everything trained stays valid.

        Args:
            config: plain data that determines the result; under `data`, what the trainer says of
                its data, see `schedplan.trainer.Trainer`.
            incidental: the trainer's options that may change as well, see `essence`.

        Raises:
            RunFolderError: if the folder holds another configuration or was made with other data
                (the message shows what differs), or holds something else altogether.
        """
        if not self.config_file.exists():
            self._recognise()
            self._bind(config)
            return
        bound = self.config()
        old, new = essence(bound, incidental), essence(config, incidental)
        data = new.pop("data", None) or {}
        changes = list(_differences(old.pop("data", None) or data, data))
        differences = list(_differences(old, new))
        if bound != config and not ((differences or changes) and self._has_results()):
            self._bind(config)
        elif differences:
            raise RunFolderError(
                f"the run was made with another configuration: {'; '.join(differences)}",
                where=str(self.path),
                hint="go back to that configuration to resume it, or name a new folder with --out",
            )
        elif changes:
            raise RunFolderError(
                f"the data have changed since the run was begun: {'; '.join(changes)}",
                where=str(self.path),
                hint="go back to those data to resume it, or name a new folder with --out",
            )

    def _bind(self, config: Mapping[str, Any]) -> None:
        facts = {"fingerprint": fingerprint(config), **config}
        write_text(self.config_file, dump_yaml(facts))

    def _has_results(self) -> bool:
        """Return whether any epoch was trained under the present configuration."""
        journals = self.path.glob("transitions/*/*/epochs.jsonl")
        return any(journal.stat().st_size > 0 for journal in journals)

    def config(self) -> dict[str, Any]:
        """Return the configuration that the folder is bound to.

        Raises:
            RunFolderError: if there is none, or it is damaged.
        """
        try:
            facts = read_yaml(self.config_file).data
            stated = facts.pop("fingerprint")
            found = fingerprint(facts)
        except (ConfigError, ValueError, TypeError, LookupError, RecursionError) as error:
            raise RunFolderError(
                "this is no run folder", where=str(self.path), hint="`schedplan run` makes one"
            ) from error
        if stated != found:
            raise RunFolderError(
                "the run's configuration was changed by hand",
                where=str(self.config_file),
                hint="its results belong to another configuration; start a new run with --out",
            )
        return facts

    def remove(self, snapshot: str) -> None:
        """Remove a snapshot, named relative to the folder."""
        self.check()
        remove_folder(self.path / snapshot)

    def move(self, snapshot: str, to: str) -> None:
        """Give a snapshot another name; both relative to the folder."""
        self.check()
        move_folder(self.path / snapshot, self.path / to)

    @contextmanager
    def hold(self) -> Iterator[RunFolder]:
        """Keep others from running in this folder; yield it as one that checks this from then on.

        Raises:
            RunFolderError: if somebody else holds it; the message says who.
        """
        self._recognise()
        make_folder(self.path)
        lease = Lease(self.path / "holder.txt")
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise lease.taken() from None
        try:
            with lease:
                sweep(self.path, _PLACES)
                yield replace(self, lease=lease)
        finally:
            lock.release()

    def _recognise(self) -> None:
        """Raise RunFolderError if the folder is somebody's who knows nothing of runs."""
        if self.config_file.exists():
            self.config()
            return
        names = [path.name for path in self.path.iterdir()] if self.path.exists() else []
        if not all(map(_HALF_BEGUN.fullmatch, names)):
            raise RunFolderError(
                "the folder holds other files and is no run folder",
                where=str(self.path),
                hint="name a new or an empty folder with --out",
            )


def essence(config: Mapping[str, Any], incidental: Collection[str]) -> dict[str, Any]:
    """Return what of a configuration determines what trainings come to.

    How the graph is searched (`search`) does not: it says what is trained, not how. Nor does what a
    replay changes (`trainer.replay`).

    Args:
        config: plain data.
        incidental: the trainer's options that do not, either.

    Example:
        >>> trainer = {"width": 8, "workers": 4, "replay": {"width": 16}}
        >>> essence({"seed": 0, "search": {"keep": "best"}, "trainer": trainer}, ["workers"])
        {'seed': 0, 'trainer': {'width': 8}}
    """
    found = {key: value for key, value in config.items() if key != "search"}
    if isinstance(trainer := config.get("trainer"), Mapping):
        left_out = {"replay", *incidental}
        found["trainer"] = {key: value for key, value in trainer.items() if key not in left_out}
    return found


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield what differs between two nested configurations, a phrase each."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield f"{path} was {_short(old)} and is now {_short(new)}"


def _short(value: Any, most: int = 60) -> str:
    text = "unset" if value is None else repr(value)
    return text if len(text) <= most else f"{text[:most]}..."
