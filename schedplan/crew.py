"""Who trains: slices of training on an executor, and what is heard of them meanwhile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from typing import Final, TypeAlias

from schedplan.errors import BrokenPoolError, DamagedSnapshotError, WorkerLostError
from schedplan.executors import DeviceExecutor, Resources, SerialExecutor
from schedplan.journal import Outcome, RunFolder
from schedplan.transition import Assignment, EpochEvent, Observer, advance

Result: TypeAlias = Outcome | WorkerLostError | DamagedSnapshotError

_LOOK: Final = 1.0  # seconds between looks at what other processes have written down


class Crew:
    """Has slices trained, as many at a time as there are workers, and devices.

    Args:
        executor: where.
        run: the run folder, held.
        on_event: called with every epoch, in this thread.
        workers: how many at a time at most.
    """

    def __init__(
        self, executor: Executor, run: RunFolder, on_event: Observer, workers: float = math.inf
    ) -> None:
        self.workers = workers
        self._executor, self._run, self._on_event = executor, run, on_event
        self._serial = isinstance(executor, SerialExecutor)
        self._running: dict[Future[Outcome], tuple[Assignment, int]] = {}
        self._told: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many slices are being trained."""
        return len(self._running)

    @property
    def largest(self) -> float:
        """The most devices that a slice can have."""
        return self._executor.largest if isinstance(self._executor, DeviceExecutor) else math.inf

    @property
    def has_room(self) -> bool:
        """Whether there may be devices for a slice more."""
        if len(self._running) >= self.workers:
            return False
        if not isinstance(self._executor, DeviceExecutor):
            return True
        return sum(devices for _, devices in self._running.values()) < self._executor.size

    def begin(self, assignment: Assignment, devices: int = 1) -> None:
        """Have a slice trained, on so many devices.

        Raises:
            BrokenPoolError: the executor has lost a process, and runs nothing any more.
        """
        if isinstance(self._executor, DeviceExecutor):
            resources = Resources(devices, near=assignment.key)
            future = self._executor.submit_on(resources, advance, assignment)
        else:
            observe = self._tell if self._serial else None  # elsewhere the journal tells
            with _told_if_broken():
                future = self._executor.submit(advance, assignment, observe)
        self._told.setdefault(assignment.key, assignment.trained + 1)
        self._running[future] = assignment, devices

    def collect(self) -> Iterator[tuple[Assignment, Result]]:
        """Wait until a slice has ended; yield what has come of each that has.

        Raises:
            RunFolderError: somebody else has taken over the run.
            BrokenPoolError: the executor has lost a process, and all slices with it.
        """
        done: set[Future[Outcome]] = set()
        while not done:
            self._run.check()
            patience = None if self._serial else _LOOK
            done = wait(self._running, patience, return_when=FIRST_COMPLETED).done
            if not self._serial:
                self._tell_epochs()
        for future in done:
            assignment, _ = self._running.pop(future)
            try:
                with _told_if_broken():
                    outcome = future.result()
                yield assignment, outcome
            except (WorkerLostError, DamagedSnapshotError) as error:
                yield assignment, error
            except OSError:
                self._run.check()  # whoever has taken over has removed what was being written
                raise

    def stop(self) -> None:
        """End what is running, where that can be; wait for the rest."""
        for future in self._running:
            future.cancel()
        # What is running still writes into the run folder, which must not be let go before.
        wait(self._running)

    def _tell(self, event: EpochEvent) -> None:
        self._run.check()
        self._on_event(event)

    def _tell_epochs(self) -> None:
        """Tell what was written down since the last time."""
        for assignment, _ in self._running.values():
            key = assignment.key
            records = self._run.transition(key).records()
            for record in records[self._told[key] :]:
                self._on_event(EpochEvent(key, record))
            self._told[key] = len(records)


@contextmanager
def _told_if_broken() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise BrokenPoolError(error) from error
