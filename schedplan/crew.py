"""Who trains: work on an executor, and what is heard of slices of training meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, Final, Generic, TypeAlias, TypeVar

from schedplan.errors import BrokenPoolError, DamagedSnapshotError, WorkerLostError
from schedplan.executors import DeviceExecutor, Resources, SerialExecutor
from schedplan.journal import Outcome, RunFolder
from schedplan.transition import Assignment, EpochEvent, Observer, advance

Work = TypeVar("Work")
Answer = TypeVar("Answer")

SliceResult: TypeAlias = Outcome | WorkerLostError | DamagedSnapshotError
"""What has come of a slice."""

LOOK: Final = 1.0
"""Seconds between looks at what other processes have written down."""


class Crew(Generic[Work, Answer]):
    """Has work done, as many pieces at a time as there are workers, and devices.

    Args:
        executor: where.
        workers: how many at a time at most.

    Attributes:
        serial: whether it is done in this process, one piece after the other.

    Example:
        >>> crew = Crew(SerialExecutor())
        >>> crew.begin("two", pow, 2, 1)
        >>> [(work, answer.result()) for work, answer in crew.collect()]
        [('two', 2)]
    """

    def __init__(self, executor: Executor, workers: float = math.inf) -> None:
        self.workers = workers
        self.serial = isinstance(executor, SerialExecutor)
        self._executor = executor
        self._running: dict[Future[Answer], tuple[Work, int]] = {}

    def __len__(self) -> int:
        """Return how many pieces are under way."""
        return len(self._running)

    @property
    def under_way(self) -> list[Work]:
        """The pieces under way."""
        return [work for work, _ in self._running.values()]

    @property
    def largest(self) -> float:
        """The most devices that a piece can have."""
        return self._executor.largest if isinstance(self._executor, DeviceExecutor) else math.inf

    @property
    def has_room(self) -> bool:
        """Whether there may be devices for a piece more."""
        if len(self._running) >= self.workers:
            return False
        if not isinstance(self._executor, DeviceExecutor):
            return True
        return sum(devices for _, devices in self._running.values()) < self._executor.size

    def begin(
        self,
        work: Work,
        do: Callable[..., Answer],
        *arguments: Any,
        devices: int = 1,
        near: Hashable = None,
    ) -> None:
        """Have a piece done by a call of `do`.

        Args:
            work: the piece.
            do, arguments: what to call, and with what.
            devices, near: see `Resources`; for executors that have devices.

        Raises:
            BrokenPoolError: the executor has lost a process, and runs nothing any more.
        """
        try:
            if isinstance(self._executor, DeviceExecutor):
                future = self._executor.submit_on(Resources(devices, near), do, *arguments)
            else:
                future = self._executor.submit(do, *arguments)
        except BrokenExecutor as error:
            raise BrokenPoolError(error) from error
        self._running[future] = work, devices

    def collect(self, patience: float | None = None) -> Iterator[tuple[Work, Future[Answer]]]:
        """Wait until something has ended, so many seconds at most; yield all that has.

        Raises:
            BrokenPoolError: the executor has lost a process, and all that was under way with it.
        """
        for future in wait(self._running, patience, return_when=FIRST_COMPLETED).done:
            work, _ = self._running.pop(future)
            if isinstance(error := future.exception(), BrokenExecutor):
                raise BrokenPoolError(error) from error
            yield work, future

    def stop(self) -> None:
        """End what is under way, where that can be; wait for the rest."""
        for future in self._running:
            future.cancel()
        # What is under way still writes into the run folder, which must not be let go before.
        wait(self._running)


class Reader:
    """Tells the epochs that other processes write down in a run folder, each once.

    Args:
        run: the run folder.
        on_event: called with every epoch.
    """

    def __init__(self, run: RunFolder, on_event: Observer) -> None:
        self._run, self._on_event = run, on_event
        self._told: dict[str, int] = {}

    def skip(self, key: str, records: int) -> None:
        """Leave out what was known of a training when it was first heard of."""
        self._told.setdefault(key, records)

    def tell(self, keys: Iterable[str]) -> None:
        """Tell what was written down of trainings since the last time."""
        for key in keys:
            records = self._run.transition(key).records()
            for record in records[self._told.get(key, 0) :]:
                self._on_event(EpochEvent(key, record))
            self._told[key] = len(records)


class TrainingCrew(Crew[Assignment, Outcome]):
    """Has slices of training done in a run folder.

    Args:
        executor: where.
        run: the run folder, held.
        on_event: called with every epoch, in this thread.
        workers: how many at a time at most.
    """

    def __init__(
        self, executor: Executor, run: RunFolder, on_event: Observer, workers: float = math.inf
    ) -> None:
        super().__init__(executor, workers)
        self._run, self._on_event = run, on_event
        self._reader = Reader(run, on_event)

    def train(self, assignment: Assignment, devices: int = 1) -> None:
        """Have a slice trained, on so many devices; see `begin`."""
        observe = self._tell if self.serial else None  # elsewhere the journal tells
        key = assignment.key
        self.begin(assignment, advance, assignment, observe, devices=devices, near=key)
        self._reader.skip(key, assignment.trained + 1)

    def ended(self) -> Iterator[tuple[Assignment, SliceResult]]:
        """Wait until a slice has ended; yield what has come of each that has.

        Raises:
            RunFolderError: somebody else has taken over the run.
            BrokenPoolError: see `collect`.
        """
        ended: list[tuple[Assignment, Future[Outcome]]] = []
        while not ended:
            self._run.check()
            ended = list(self.collect(None if self.serial else LOOK))
            if not self.serial:
                heard = [*self.under_way, *(assignment for assignment, _ in ended)]
                self._reader.tell(assignment.key for assignment in heard)
        for assignment, future in ended:
            yield assignment, self._result(future)

    def _result(self, future: Future[Outcome]) -> SliceResult:
        try:
            return future.result()
        except (WorkerLostError, DamagedSnapshotError) as error:
            return error
        except OSError:
            self._run.check()  # whoever has taken over has removed what was being written
            raise

    def _tell(self, event: EpochEvent) -> None:
        self._run.check()
        self._on_event(event)
