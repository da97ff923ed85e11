"""Training along many strategies, with several seeds each, where a search would train."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from schedplan.baselines.job import Job, Result
from schedplan.baselines.strategy import Strategy
from schedplan.course import Observer
from schedplan.errors import WorkerLostError
from schedplan.executors import DeviceExecutor, Resources, SerialExecutor
from schedplan.journal import RunFolder
from schedplan.trainer import Seat, TrainerFactory
from schedplan.transition import RETRIES


@dataclass(frozen=True)
class Compared:
    """A strategy and what it has come to, with one seed after the other."""

    strategy: Strategy
    results: tuple[Result, ...]


@dataclass(frozen=True)
class ResultEvent:
    """A strategy was trained with the `number`-th seed; `known` if by an earlier session."""

    strategy: Strategy
    number: int
    result: Result
    known: bool = False


def compare(
    strategies: Iterable[Strategy],
    seeds: Sequence[int],
    trainer: TrainerFactory,
    folder: Path,
    *,
    executor: Executor | None = None,
    devices: int | str = 1,
    on_result: Callable[[ResultEvent], object] = lambda event: None,
    on_event: Observer = lambda event: None,
    config: Mapping[str, Any] | None = None,
    incidental: Collection[str] = (),
) -> tuple[Compared, ...]:
    """Train along every strategy with every seed.

    A comparison that was cut off goes on in the same folder, to the epoch, and one of more
    strategies or seeds trains only what is new; what failed is tried again. Strategies that train
    alike are trained once. A strategy that fails is a result; the others go on.

    Args:
        strategies: what to compare.
        seeds: what to train each with, the same for all.
        trainer: makes trainers.
        folder: where to write; a folder for each strategy and seed. Its holder calls this.
        executor: where strategies are trained, each by one call; in this process by default.
        devices: how many devices of an executor that has them a strategy takes: a number, or the
            hyperparameter that says it, of which the highest counts.
        on_result: called whenever a strategy was trained with a seed, in this thread.
        on_event: called with every event of training, where that is in this process.
        config: plain data that determine results, besides strategies and seeds.
        incidental: options of the trainer that do not, see `RunFolder.configure`.

    Raises:
        UsageError: what the user has to mend first, such as an unknown metric, or a strategy that
            takes more devices than there are.
        RunFolderError: something else was trained in `folder`, or what it holds is damaged.

    Example:
        >>> import tempfile
        >>> from schedplan import Plan, SimulatedTrainer, Stage
        >>> stage = Stage("0.1", {"rate": 0.1}, epochs=3, score=None, observed=None, seed=0)
        >>> plan = Plan("demo", metric="quality", mode="max", score=None, stages=(stage,))
        >>> strategy = Strategy("constant", "rate 0.1", plan)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (compared,) = compare([strategy], [7, 8], SimulatedTrainer, Path(folder))
        >>> [round(result.metrics["quality"], 3) for result in compared.results]
        [0.365, 0.365]
    """
    strategies = tuple(strategies)
    distinct = {strategy.key: strategy for strategy in strategies}
    seat = Seat(trainer)
    found: dict[tuple[str, int], Result] = {}
    crew = _Crew(executor or SerialExecutor(), devices, on_event)

    def take_in(event: ResultEvent) -> None:
        found[event.strategy.key, event.number] = event.result
        on_result(event)

    try:
        for number, seed in enumerate(seeds, start=1):
            for key, strategy in distinct.items():
                place = folder.absolute() / key / f"seed-{number}"
                job = Job(strategy.bare_plan, seat, place, seed, config or {})
                known = job.known()
                if known:
                    take_in(ResultEvent(strategy, number, known, known=True))
                    continue
                RunFolder(place).configure(job.facts, incidental)
                crew.begin(_Piece(strategy, number, job))
                crew.collect(take_in, patience=0)
        while crew:
            crew.collect(take_in, patience=None)
    finally:
        crew.stop()
    numbers = range(1, len(seeds) + 1)
    return tuple(
        Compared(strategy, tuple(found[strategy.key, number] for number in numbers))
        for strategy in strategies
    )


class _Piece(NamedTuple):
    """What was handed out.

    Attributes:
        strategy, number: the strategy and the number of the seed.
        job: both.
        lost: how often its process was lost since there was an epoch more.
        epochs: how many were trained when it was lost last.
    """

    strategy: Strategy
    number: int
    job: Job
    lost: int = 0
    epochs: int = 0

    def again(self) -> _Piece:
        """Return what to hand out once its process was lost."""
        epochs = self.job.epochs
        return self._replace(lost=1 if epochs > self.epochs else self.lost + 1, epochs=epochs)


class _Crew:
    """Has strategies trained on an executor.

    Args:
        executor: where.
        devices: see `compare`.
        on_event: called with every event of training, where that is in this process.
    """

    def __init__(self, executor: Executor, devices: int | str, on_event: Observer) -> None:
        self._executor, self._devices = executor, devices
        self._observe = on_event if isinstance(executor, SerialExecutor) else None
        self._running: dict[Future[Result], _Piece] = {}

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, piece: _Piece) -> None:
        if isinstance(self._executor, DeviceExecutor):
            resources = Resources(piece.strategy.devices(self._devices))
            future = self._executor.submit_on(resources, piece.job, self._observe)
        else:
            future = self._executor.submit(piece.job, self._observe)
        self._running[future] = piece

    def collect(self, take_in: Callable[[ResultEvent], object], patience: float | None) -> None:
        """Hand on what has ended; wait for it, for `patience` seconds if not for ever."""
        for future in wait(self._running, patience, return_when=FIRST_COMPLETED).done:
            piece = self._running.pop(future)
            try:
                result = future.result()
            except WorkerLostError as error:
                piece = piece.again()
                if piece.lost <= RETRIES:
                    self.begin(piece)
                    continue
                result = Result({}, 0.0, f"{piece.lost} times, {error}")
            take_in(ResultEvent(piece.strategy, piece.number, result))

    def stop(self) -> None:
        """End what is running, where that can be; wait for the rest."""
        for future in self._running:
            future.cancel()
        wait(self._running)
