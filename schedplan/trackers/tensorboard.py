"""Every epoch of a run for TensorBoard: `tensorboard --logdir RUN/tensorboard`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from schedplan.errors import missing
from schedplan.journal import EpochRecord
from schedplan.solver import Event
from schedplan.trackers.base import Epoch, Track, each_epoch
from schedplan.transition import TransitionEvent

FOLDER: Final = "tensorboard"


@contextmanager
def tensorboard_tracker(folder: Path) -> Iterator[Track]:
    """Keep `tensorboard/` in a run folder: a run of TensorBoard's for every training.

    What `evaluate` returned is under `evaluate/NAME`, what `train_epoch` returned under
    `train/NAME`. All is written anew when a run goes on.

    Args:
        folder: the run folder.

    Raises:
        MissingDependencyError: the package `tensorboard` is not installed.
    """
    try:
        make_writer = import_module("tensorboard.summary").Writer
    except ImportError as error:
        raise missing("tensorboard", "tensorboard") from error
    writers: dict[str, Any] = {}

    def begin(known: list[Epoch]) -> None:
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        for key, epochs in groupby(known, key=itemgetter(0)):
            for _, record in epochs:
                write(key, record)
            close(key)

    def write(key: str, record: EpochRecord) -> None:
        if key not in writers:
            writers[key] = make_writer(str(folder / FOLDER / key))
        for group, metrics in (("evaluate", record.metrics), ("train", record.training)):
            for name, value in metrics.items():
                writers[key].add_scalar(f"{group}/{name}", value, record.epoch)
        writers[key].flush()

    def close(*keys: str) -> None:  # every writer has a file and a thread
        for key in keys:
            if key in writers:
                writers.pop(key).close()

    write_epoch = each_epoch(folder, begin, write)

    def track(event: Event) -> None:
        write_epoch(event)
        if isinstance(event, TransitionEvent) and event.outcome:
            close(event.key)

    try:
        yield track
    finally:
        close(*writers)
