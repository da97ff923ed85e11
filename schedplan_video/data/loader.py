"""Batches of clips: in an order that can be repeated, shared out to ranks, read by workers.

An epoch's order is a function of (seed, epoch), whatever the number of ranks and workers. torch's
`DataLoader` does the reading ahead, the pinning of memory and the time limit; what is added here
is that every error says which videos were being read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate, get_worker_info

from schedplan.errors import SchedplanError, UsageError

from .dataset import ClipDataset, Item

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Clips (B, T, C, H, W) uint8, labels (B,) and rows (B,); clips of one video stand together."""

TIME_LIMIT = 300.0
"""Seconds for which a batch may keep waiting; the decoder gives up on a single video before."""

_DEATH = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) ([^.]+)")


class LoaderError(UsageError):
    """Videos are not read: a worker process has died, or does not answer.

    It is a usage error, so it ends a search at once instead of failing transition by transition;
    the search can be resumed when disk, memory or network are well again.
    """


class ClipLoader:
    """Batches of clips, epoch by epoch.

    For training, every epoch has an order of its own, whose batches are dealt to the ranks in turn,
    see `EpochSampler`. For evaluation, every row goes to exactly one rank, in order; some ranks may
    get one more than others, or none at all. A row is an item of the dataset, and so a part of a
    video where those are parted.

    Args:
        dataset: the clips; those for training are shuffled.
        batch_size: items of a batch; the last batch of an epoch may have fewer.
        workers: processes that decode; they live as long as the loader, and each reads 2 batches
            ahead. 0 decodes in this process.
        rank: which share of the rows is wanted, from 0.
        world_size: number of shares.
        time_limit: seconds that workers may keep a batch waiting; without workers, only the
            decoder's own limit holds.
        pin_memory: whether batches lie in page-locked memory, from which a GPU can take them while
            it computes.

    Raises:
        UsageError: an argument out of bounds, or fewer rows for training than ranks.

    Example:
        >>> loader = ClipLoader(dataset, 8, workers=2)  # doctest: +SKIP
        >>> with loader.epoch(3) as batches:  # doctest: +SKIP
        ...     for clips, labels, rows in batches: ...
    """

    def __init__(
        self,
        dataset: ClipDataset,
        batch_size: int,
        *,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
        time_limit: float = TIME_LIMIT,
        pin_memory: bool = False,
    ) -> None:
        _check(batch_size >= 1, "batch_size", batch_size, "1 or more")
        _check(workers >= 0, "workers", workers, "0 or more")
        _check(time_limit > 0, "time_limit", time_limit, "seconds above 0")
        self._dataset = dataset
        self._order = EpochSampler(
            len(dataset),
            shuffle=dataset.train,
            seed=dataset.seed,
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
        )
        self._reading = _Reading(dataset, workers)
        self._batches = DataLoader(
            self._reading,
            batch_size=batch_size,
            sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            timeout=time_limit if workers else 0,
            pin_memory=pin_memory,
            collate_fn=_collate,
            generator=torch.Generator(),  # or it would draw from torch's own
        )

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self._batches)

    @contextmanager
    def epoch(self, number: int = 0) -> Iterator[Iterator[Batch]]:
        """Give the batches of an epoch, from 0; the `with` block is to use them up.

        Raises:
            DecodeError: a video cannot be decoded.
            LoaderError: no batch in time, or a worker has died. torch may notice that anywhere in
                the block, which is why there is one.
        """
        self._order.epoch = number
        try:
            yield map(_raise_errors, self._batches)
        except RuntimeError as error:
            if told := self._told(error):
                raise told from error
            raise

    def _told(self, error: RuntimeError) -> LoaderError | None:
        """Return what torch says about its workers in this project's words."""
        where = f"rank {self._order.rank}"
        if str(error).startswith("DataLoader timed out"):
            return LoaderError(
                f"no batch came within {self._batches.timeout:g} seconds"
                f"; being read: {self._files()}",
                where=where,
                hint="see whether the disk or network share answers, or raise time_limit",
            )
        # Which signal it was may be told by the cause only.
        deaths = (_DEATH.match(str(each)) for each in (error.__cause__, error))
        for death in filter(None, deaths):
            processes = {int(number) for number in death[1].split(",")}
            return LoaderError(
                f"a worker process {death[2]}; being read: {self._files(processes)}",
                where=where,
                hint="if memory or shared memory ran short, fewer workers or smaller batches help",
            )
        return None

    def _files(self, processes: set[int] | None = None) -> str:
        """Name the videos that the workers, or some of them, are reading."""
        rows = self._reading.rows(processes)
        return ", ".join(self._dataset.path(row) for row in rows) or "nothing"


class EpochSampler(Sampler[tuple[int, int]]):
    """One rank's share of the rows of a dataset, each with the epoch: `(epoch, row)`.

    Ranks take turns: in evaluation row by row, in training batch by batch. So rank r of N has every
    N-th batch, from the r-th on, of those that a single rank would have. Ranks that average
    gradients must train equally many batches; what is left when not every rank can have a full one
    is shared out evenly as smaller batches. Only if fewer rows than ranks are left, those are left
    out of the epoch, and others each time.

    Args:
        rows: number of rows.
        shuffle: whether this is training; if not, the rows come in order, and all of them.
        seed: of the shuffling.
        batch_size: rows of a batch; has no part in evaluation.
        rank: which share, from 0.
        world_size: number of shares.

    Raises:
        UsageError: a rank that is none, or more ranks than rows to shuffle.

    Example:
        >>> list(EpochSampler(3, shuffle=False, seed=0, rank=0, world_size=2))
        [(0, 0), (0, 2)]
    """

    def __init__(
        self,
        rows: int,
        *,
        shuffle: bool,
        seed: int,
        batch_size: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        _check(world_size >= 1, "world_size", world_size, "1 or more")
        _check(0 <= rank < world_size, "rank", rank, f"0 to {world_size - 1}")
        if shuffle and rows < world_size:
            raise UsageError(
                f"{rows} videos cannot be shared out to {world_size} ranks",
                hint="use fewer ranks",
            )
        self.rows = rows
        self.shuffle = shuffle
        self.seed = seed
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._share(np.arange(self.rows)))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rows = np.arange(self.rows)
        if self.shuffle:
            rows = np.random.default_rng((self.seed, self.epoch)).permutation(rows)
        return iter([(self.epoch, row) for row in self._share(rows).tolist()])

    def _share(self, rows: np.ndarray) -> np.ndarray:
        if not self.shuffle:
            return rows[self.rank :: self.world_size]
        turns = len(rows) // (self.world_size * self.batch_size)
        full, rest = np.split(rows, [turns * self.world_size * self.batch_size])
        dealt = full.reshape(turns, self.world_size, self.batch_size)[:, self.rank].ravel()
        if len(rest) < self.world_size:
            return dealt
        return np.concatenate([dealt, np.array_split(rest, self.world_size)[self.rank]])


class _Reading(Dataset[Any]):
    """A dataset that notes what each worker is reading, and whose errors are items.

    What a worker process raises, torch turns into an error with a traceback for a message; what it
    returns arrives as it is.
    """

    def __init__(self, dataset: ClipDataset, workers: int) -> None:
        self.dataset = dataset
        # Process and row of each worker, in memory that they share with this process.
        self._now = torch.full((workers, 2), -1).share_memory_()

    def __getitem__(self, key: tuple[int, int]) -> Item | SchedplanError:
        worker = get_worker_info()
        if worker:
            self._now[worker.id] = torch.tensor([os.getpid(), key[1]])
        try:
            return self.dataset[key]
        except SchedplanError as error:
            return error
        finally:
            if worker:
                self._now[worker.id, 1] = -1

    def rows(self, processes: set[int] | None = None) -> list[int]:
        """Return the rows being read, by any worker or by some processes."""
        return [
            row
            for process, row in self._now.tolist()
            if row >= 0 and (processes is None or process in processes)
        ]


def _collate(items: list[Item | SchedplanError]) -> Batch | SchedplanError:
    samples = []
    for item in items:
        if isinstance(item, SchedplanError):
            return item
        clips, label, row = item
        # Stacked with the colours last, as they come from the decoder: that needs no sorting.
        samples += [(clip.permute(0, 2, 3, 1), label, row) for clip in clips]
    clips, labels, rows = default_collate(samples)
    return clips.permute(0, 1, 4, 2, 3), labels, rows


def _raise_errors(batch: Batch | SchedplanError) -> Batch:
    if isinstance(batch, SchedplanError):
        raise batch
    return batch


def _check(fits: bool, name: str, value: object, allowed: str) -> None:
    if not fits:
        raise UsageError(f"{name} is {value}", allowed=allowed, path=(name,))
