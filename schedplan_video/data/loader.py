"""Batches of clips, read by workers.

torch's `DataLoader` does the reading ahead and the pinning of memory; what is added here is a time
limit, and that every error says which videos were being read.

Workers are forked by a server that has imported what they need and done nothing else: a fork of
this process would take over half of what its threads, of PyAV and torch, were at.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable, Generator, Iterator, Set
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from threading import Thread
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, default_collate

from schedplan.checks import require_number, require_whole
from schedplan.errors import SchedplanError, UsageError

from .dataset import ClipDataset, Item
from .epoch_sampler import EpochSampler
from .processes import interrupts_blocked
from .reading import Reading, begin_work

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Clips (B, T, C, H, W) uint8, labels (B,) and rows (B,); clips of one video stand together."""

TIME_LIMIT = 300.0
"""Seconds for which a batch may keep waiting; the decoder gives up on a single video before."""

_LONGEST = 7 * 24 * 3600.0  # seconds: a week, which the timers of all systems can count
_DYING = 2.0  # seconds from what tells of a death to the death, at most
_DEATH = re.compile(r"DataLoader worker \(pid\(s\) ([\d, ]+)\) exited unexpectedly")

_T = TypeVar("_T")


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
            ahead. A script with workers must do its work below `if __name__ == "__main__"`. 0
            decodes in this process.
        rank: which share of the rows is wanted, from 0.
        world_size: number of shares.
        time_limit: seconds that workers may keep a batch waiting, from 1 to a week; without
            workers, only the decoder's own limit holds.
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
        require_whole("workers", workers, at_least=0, error=UsageError)
        check_time_limit(time_limit)
        self._dataset, self._workers, self._time_limit = dataset, workers, time_limit
        self._order = EpochSampler(
            len(dataset),
            shuffle=dataset.train,
            seed=dataset.seed,
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
        )
        self._load = partial(
            DataLoader,
            batch_size=batch_size,
            sampler=self._order,
            num_workers=workers,
            multiprocessing_context=_server() if workers else None,
            persistent_workers=workers > 0,
            worker_init_fn=begin_work,
            pin_memory=pin_memory,
            collate_fn=_collate,
            generator=torch.Generator(),  # or it would draw from torch's own
        )
        self._open = self._begun = False
        self._renew()

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self._batches)

    @contextmanager
    def epoch(self, number: int = 0) -> Iterator[Iterator[Batch]]:
        """Give the batches of an epoch, from 0, for as long as the `with` block lasts.

        Raises:
            DecodeError: a video cannot be decoded.
            LoaderError: no batch in time, or a worker has died.
            UsageError: another epoch of this loader is open.
        """
        if self._open:
            raise UsageError(
                f"epoch {self._order.epoch} of this loader is still open",
                hint="end it first, or make another loader",
            )
        self._open, self._order.epoch = True, number
        try:
            with closing(self._read(self._begin())) as batches:
                yield batches
        finally:
            self._open = False

    def _begin(self) -> Iterator[Any]:
        if self._workers and self._begun:
            return self._wait(lambda: iter(self._batches))
        self._begun = True
        with interrupts_blocked():
            return iter(self._batches)  # in this thread: torch asks for its CUDA device

    def _read(self, batches: Iterator[Any]) -> Generator[Batch, None, None]:
        while (batch := self._wait(lambda: next(batches, None))) is not None:
            if isinstance(batch, SchedplanError):
                raise batch
            yield batch

    def _wait(self, work: Callable[[], _T]) -> _T:
        """Return what `work` returns, which may wait for workers.

        It does so in a thread, since torch looks after its workers only while it waits without a
        limit: then it says within seconds that one has died.
        """
        if not self._workers:
            return work()
        result: Future[_T] = Future()
        Thread(target=_settle, args=(result, work), daemon=True).start()
        try:
            return result.result(self._time_limit)
        except BaseException as error:
            told = self._told(error)
            self._renew()
            if told:
                raise told from error
            raise

    def _told(self, error: BaseException) -> LoaderError | None:
        """Return what became of the workers, in this project's words."""
        where = f"rank {self._order.rank}" if self._order.world_size > 1 else None
        if isinstance(error, TimeoutError):
            return LoaderError(
                f"no batch came within {self._time_limit:g} seconds"
                f"; being read: {self._files(self._reading.processes)}",
                where=where,
                hint="see whether the disk or network share answers, or raise time_limit",
            )
        death = _DEATH.match(str(error))
        dead = {int(number) for number in death[1].split(",")} if death else set()
        if isinstance(error, (ConnectionError, EOFError)):  # while it handed over a batch
            dead = self._dead()
        if not dead:
            return None
        if not dead <= self._reading.processes:
            return LoaderError(
                "a worker process could not be started",
                where=where,
                hint='a script must do its work below `if __name__ == "__main__"`',
            )
        return LoaderError(
            f"a worker process has died; being read: {self._files(dead)}",
            where=where,
            hint="if memory or shared memory ran short, fewer workers or smaller batches help",
        )

    def _dead(self) -> set[int]:
        """Return the workers that have died; what tells of a death may come just before it."""
        known = self._reading.processes
        alive = [each for each in multiprocessing.active_children() if each.pid in known]
        if len(alive) == len(known):
            wait([each.sentinel for each in alive], _DYING)
        return set(known) - {each.pid for each in multiprocessing.active_children()}

    def _files(self, processes: Set[int]) -> str:
        """Name the videos that some workers are reading."""
        rows = self._reading.rows(processes)
        return ", ".join(self._dataset.path(row) for row in rows) or "nothing"

    def _renew(self) -> None:
        """Have new workers for the next epoch, and end the old ones, which may hang."""
        if self._begun:
            old = self._reading.processes
            for process in multiprocessing.active_children():
                if process.pid in old:
                    process.kill()
        self._begun, self._reading = False, Reading(self._dataset, self._workers)
        self._batches = self._load(self._reading)


def _server() -> BaseContext:
    """Return what starts workers."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _settle(result: Future[_T], work: Callable[[], _T]) -> None:
    try:
        result.set_result(work())
    except BaseException as error:  # whoever waits must hear of anything
        result.set_exception(error)


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


def check_time_limit(seconds: float) -> None:
    """Raise `UsageError` unless so long can be waited for a batch."""
    require_number("time_limit", seconds, 1, _LONGEST, error=UsageError)
