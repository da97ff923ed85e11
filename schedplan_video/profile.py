"""How fast a stage trains, what it waits for, and how much memory it takes: a few steps tell."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch

from schedplan_video.config import StageSettings
from schedplan_video.data.loader import Batch, ClipLoader
from schedplan_video.replica import Replica, Task

_IRRELEVANT = {
    "learning_rate": 1e-9,  # so low that any number of steps does no harm
    "rate_scale": 1.0,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "dropout": 0.0,
}
"""What changes neither speed nor memory, and what it is set to here."""

_LIMIT = 2**12  # no batch is larger


@dataclass(frozen=True)
class Profile:
    """What one process needs to train under some settings.

    Attributes:
        settings: of the stage, those that matter here.
        clips_per_second: trained.
        waiting: the share of the time that is spent waiting for videos, in [0, 1].
        memory: bytes; of a GPU, the most that torch has allocated there; on a CPU, the most that
            the process has had in memory, its workers not counted; None where neither is known.
        largest_batch: clips of the largest micro-batch that fits into the GPU; None on a CPU.
    """

    settings: dict[str, Any]
    clips_per_second: float
    waiting: float
    memory: int | None
    largest_batch: int | None


def distinct(settings: Iterable[StageSettings]) -> list[StageSettings]:
    """Return those that may differ in speed or memory, without what has no part in these.

    Example:
        >>> stage = {"sampling": "uniform", "clip_length": 16, "batch_size": 8}
        >>> rates = [StageSettings(**stage, learning_rate=rate) for rate in (0.1, 0.01)]
        >>> len(distinct(rates))
        1
    """
    return list(dict.fromkeys(each.model_copy(update=_IRRELEVANT) for each in settings))


def profile(task: Task, settings: StageSettings, steps: int) -> Profile:
    """Train for some optimiser steps in this process, after one that is not measured.

    Args:
        task: what is trained.
        settings: of the stage, from `distinct`.
        steps: how many.

    Raises:
        UsageError: clips too short for the network.
        DecodeError: a video cannot be decoded.
    """
    replica = Replica(task)
    replica.begin(settings, None, seed=0)
    batches, sizes = _endless(replica.training), []

    def noted(number: int) -> Iterator[Batch]:
        for batch in islice(batches, number * settings.accumulation):
            sizes.append(len(batch[1]))
            yield batch

    _reset_peak(replica.device)
    replica.train_on(noted(1))
    sizes.clear()
    report = replica.train_on(noted(steps))
    batches.close()
    seconds = report["data_seconds"] + report["compute_seconds"]
    memory = _peak(replica.device)
    return Profile(
        settings=settings.model_dump(exclude=set(_IRRELEVANT)),
        clips_per_second=sum(sizes) / seconds,
        waiting=report["data_seconds"] / seconds,
        memory=memory,
        largest_batch=_largest_batch(replica, task, settings),
    )


def largest(fits: Callable[[int], bool], limit: int) -> int:
    """Return the largest number from 1 to `limit` that fits, 0 if none does.

    Whatever is smaller than a number that fits must fit, too.

    Example:
        >>> largest(lambda number: number <= 100, 4096)
        100
    """
    low, high = 0, 1
    while high <= limit and fits(high):
        low, high = high, 2 * high
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _largest_batch(replica: Replica, task: Task, settings: StageSettings) -> int | None:
    """Return how many clips at a time can be trained on a GPU."""
    if replica.device.type != "cuda":
        return None
    side = task.training_view.crop
    clip = (settings.clip_length, task.manifest.channels, side, side)

    def fits(number: int) -> bool:
        gc.collect()
        torch.cuda.empty_cache()
        rows = torch.zeros(number, dtype=torch.int64)
        try:
            replica.train_on([(torch.zeros(number, *clip, dtype=torch.uint8), rows, rows)])
            return True
        except torch.OutOfMemoryError:
            return False

    return largest(fits, _LIMIT)


def _endless(loader: ClipLoader) -> Generator[Batch]:
    """Yield the batches of one epoch after the other."""
    for number in count():
        with loader.epoch(number) as batches:
            yield from batches


def _reset_peak(device: torch.device) -> None:
    """Forget how much memory was in use until now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):  # there is such a thing on Linux only, where `_peak` needs it
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: torch.device) -> int | None:
    """Return how much memory was in use at most since it was reset, in bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    (kibibytes,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kibibytes) * 1024
