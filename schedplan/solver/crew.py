"""Who trains: slices of training on an executor, and what is heard of them meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from typing import Final, NamedTuple

from schedplan.errors import BrokenPoolError, ConfigError, DamagedSnapshotError, WorkerLostError
from schedplan.executors import DeviceExecutor, Resources, SerialExecutor
from schedplan.journal import Outcome
from schedplan.solver.ledger import Grant
from schedplan.solver.problem import Event, Problem, SearchOptions
from schedplan.solver.trial import Trial
from schedplan.space import State
from schedplan.transition import Assignment, EpochEvent, advance

_LOOK: Final = 1.0  # seconds between looks at what other processes have written down


class Slice(NamedTuple):
    """What was handed out, and as what."""

    trial: Trial
    grant: Grant
    assignment: Assignment


class Crew:
    """Has slices trained, as many at a time as there are workers, and devices.

    Args:
        executor: where.
        workers: how many at a time at most.
        problem: what is searched.
        options: say how many devices a state takes.
        on_event: called with every epoch, in this thread.

    Raises:
        ConfigError: if a state takes more devices than there are.
    """

    def __init__(
        self,
        executor: Executor,
        workers: float,
        problem: Problem,
        options: SearchOptions,
        on_event: Callable[[Event], object],
    ) -> None:
        self.workers = workers
        self._executor = executor
        self._options = options
        self._on_event = on_event
        self._serial = isinstance(executor, SerialExecutor)
        self._running: dict[Future[Outcome], Slice] = {}
        self._told: dict[str, int] = {}
        if isinstance(executor, DeviceExecutor):
            for state in problem.graph.order[1:]:
                _check_devices(state, options.devices_of(state), executor.largest)

    def __len__(self) -> int:
        """Return how many slices are being trained."""
        return len(self._running)

    @property
    def has_room(self) -> bool:
        """Whether there may be devices for a slice more."""
        if len(self._running) >= self.workers:
            return False
        if not isinstance(self._executor, DeviceExecutor):
            return True
        states = (each.trial.target for each in self._running.values())
        return sum(map(self._options.devices_of, states)) < self._executor.size

    def begin(self, piece: Slice) -> None:
        """Have a slice trained.

        Raises:
            BrokenPoolError: the executor has lost a process, and runs nothing any more.
        """
        assignment = piece.assignment
        if isinstance(self._executor, DeviceExecutor):
            devices = self._options.devices_of(piece.trial.target)
            resources = Resources(devices, near=assignment.key)
            future = self._executor.submit_on(resources, advance, assignment)
        else:
            observe = self._on_event if self._serial else None  # elsewhere the journal tells
            with _told_if_broken():
                future = self._executor.submit(advance, assignment, observe)
        self._told.setdefault(assignment.key, assignment.trained + 1)
        self._running[future] = piece

    def collect(self) -> Iterator[tuple[Slice, Outcome | WorkerLostError | DamagedSnapshotError]]:
        """Wait until a slice has ended; yield what has come of each that has.

        Raises:
            BrokenPoolError: the executor has lost a process, and all slices with it.
        """
        done: set[Future[Outcome]] = set()
        while not done:
            patience = None if self._serial else _LOOK
            done = wait(self._running, patience, return_when=FIRST_COMPLETED).done
            if not self._serial:
                self._tell_epochs()
        for future in done:
            piece = self._running.pop(future)
            try:
                with _told_if_broken():
                    outcome = future.result()
                yield piece, outcome
            except (WorkerLostError, DamagedSnapshotError) as error:
                yield piece, error

    def stop(self) -> None:
        """End what is running, where that can be; wait for the rest."""
        for future in self._running:
            future.cancel()
        # What is running still writes into the run folder, which must not be let go before.
        wait(self._running)

    def _tell_epochs(self) -> None:
        """Tell what was written down since the last time."""
        for _, _, assignment in self._running.values():
            key = assignment.key
            records = assignment.run.transition(key).records()
            for record in records[self._told[key] :]:
                self._on_event(EpochEvent(key, record))
            self._told[key] = len(records)


@contextmanager
def _told_if_broken() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise BrokenPoolError(error) from error


def _check_devices(state: State, devices: int, largest: int) -> None:
    if devices > largest:
        raise ConfigError(
            f"{state.label} takes {devices} devices",
            allowed=f"{largest}, as many as there are",
            hint="more of them can be named with --devices",
            path=("search", "devices"),
        )
