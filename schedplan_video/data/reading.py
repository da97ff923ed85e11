"""What workers do: read items, say which while they do, and end with whom they work for."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Set
from functools import cached_property
from multiprocessing.connection import wait
from threading import Thread
from typing import Any

import torch
from torch.utils.data import Dataset, get_worker_info

from schedplan.errors import SchedplanError

from .dataset import ClipDataset, Item


class Reading(Dataset[Any]):
    """A dataset that notes what each worker is reading, and whose errors are items.

    What a worker process raises, torch turns into an error with a traceback for a message; what it
    returns arrives as it is.
    """

    def __init__(self, dataset: ClipDataset, workers: int) -> None:
        self.dataset = dataset
        # Process and row of each worker, in memory that they share with this process.
        self._now = torch.full((workers, 2), -1).share_memory_()

    @cached_property
    def _packed(self) -> bytes:
        """The dataset, pickled once for all workers: large ones take a second or two."""
        return pickle.dumps(self.dataset)

    def __getstate__(self) -> tuple[torch.Tensor, bytes]:
        return self._now, self._packed

    def __setstate__(self, state: tuple[torch.Tensor, bytes]) -> None:
        self._now, self.dataset = state[0], pickle.loads(state[1])

    def __getitem__(self, key: tuple[int, int]) -> Item | SchedplanError:
        worker = get_worker_info()
        if worker:
            self._now[worker.id, 1] = key[1]
        try:
            return self.dataset[key]
        except SchedplanError as error:
            return error
        finally:
            if worker:
                self._now[worker.id, 1] = -1

    def sign_in(self, worker: int) -> None:
        """Note which process a worker is."""
        self._now[worker, 0] = os.getpid()

    @property
    def processes(self) -> set[int]:
        """Those that have begun to work."""
        return {process for process, _ in self._now.tolist() if process >= 0}

    def rows(self, processes: Set[int]) -> list[int]:
        """Return the rows being read by some processes."""
        return [row for process, row in self._now.tolist() if row >= 0 and process in processes]


def begin_work(worker: int) -> None:
    """Sign in, and see to it that this process does not outlive the one that it works for.

    torch sees only whether the parent is alive, and that is the server.
    """
    get_worker_info().dataset.sign_in(worker)
    employer = multiprocessing.parent_process()
    Thread(target=_end_with, args=(employer.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
