"""What trackers have in common: every epoch once, however often a run was cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from schedplan.journal import EpochRecord, RunFolder
from schedplan.solver import Event
from schedplan.transition import EpochEvent

Track: TypeAlias = Callable[[Event], object]
"""Is told every event of a run."""

Epoch: TypeAlias = tuple[str, EpochRecord]
"""The name of a training, and what was written down after one of its epochs."""


def recorded_epochs(folder: Path) -> list[Epoch]:
    """Return every epoch that is written down in a run folder."""
    trainings = RunFolder(folder).trainings()
    return [(training.key, record) for training in trainings for record in training.records()]


def each_epoch(
    folder: Path,
    begin: Callable[[list[Epoch]], object],
    write: Callable[[str, EpochRecord], object],
) -> Track:
    """Return what passes on every epoch of a run once, those of its past included.

    A run that goes on tells its last epoch again, and one that has lost epochs trains them again;
    `write` is not called for these. Nothing is done before the first event: until then, another
    process may be at work in the folder.

    Args:
        folder: the run folder.
        begin: called once, with all epochs that are known.
        write: called for every other one, with the name of its training.
    """
    last: dict[str, int] | None = None

    def track(event: Event) -> None:
        nonlocal last
        if last is None:
            known = recorded_epochs(folder)
            last = {key: record.epoch for key, record in known}
            begin(known)
        if isinstance(event, EpochEvent) and event.record.epoch > last.get(event.key, -1):
            last[event.key] = event.record.epoch
            write(event.key, event.record)

    return track
