"""Training along many strategies, with several seeds each, where a search would train."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from schedplan.baselines.job import Job, Result
from schedplan.baselines.strategy import Strategy
from schedplan.course import Observer
from schedplan.crew import LOOK, Crew, Reader
from schedplan.errors import WorkerLostError
from schedplan.executors import SerialExecutor
from schedplan.journal import RunFolder
from schedplan.trainer import Seat, TrainerFactory
from schedplan.transition import RETRIES, EpochEvent, Losses, RetryEvent, TransitionEvent

StrategyObserver: TypeAlias = Callable[
    [Strategy, int, EpochEvent | RetryEvent | TransitionEvent], object
]
"""Hears of the training of a strategy with the seed of that number."""


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
    on_event: StrategyObserver = lambda strategy, number, event: None,
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
        on_result: called whenever a strategy was trained with a seed, in this thread; first with
            all that is known from earlier sessions.
        on_event: called with a strategy, the number of its seed, and every event of training it;
            where that is in other processes, with epochs only.
        config: plain data that determine results, besides strategies and seeds.
        incidental: options of the trainer that do not, see `essence`.

    Raises:
        UsageError: what the user has to mend first, such as an unknown metric, or a strategy that
            takes more devices than there are.
        BrokenPoolError: if an executor of `concurrent.futures` has lost a process.
        RunFolderError: `folder` holds trainings with other seeds, data or options, or a damaged
            result. Nothing was trained then.

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

    def take_in(event: ResultEvent) -> None:
        found[event.strategy.key, event.number] = event.result
        on_result(event)

    to_train = []
    for number, seed in enumerate(seeds, start=1):
        for key, strategy in distinct.items():
            place = folder.absolute() / key / f"seed-{number}"
            job = Job(strategy.bare_plan, seat, place, seed, config or {})
            RunFolder(place).configure(job.facts, incidental)
            if known := job.known():
                take_in(ResultEvent(strategy, number, known, known=True))
            else:
                to_train.append(_Piece(strategy, number, job, partial(on_event, strategy, number)))
    _Bench(executor or SerialExecutor(), devices, take_in).train(to_train)
    numbers = range(1, len(seeds) + 1)
    return tuple(
        Compared(strategy, tuple(found[strategy.key, number] for number in numbers))
        for strategy in strategies
    )


class _Piece:
    """A strategy that is trained with the `number`-th seed, how often that was lost, and what was
    heard of it."""

    def __init__(self, strategy: Strategy, number: int, job: Job, observe: Observer) -> None:
        self.strategy, self.number, self.job, self.observe = strategy, number, job, observe
        self.losses = Losses()
        self._run = RunFolder(job.folder)
        self._reader = Reader(self._run, observe)
        for stage in self._run.trainings():
            self._reader.skip(stage.key, len(stage.records()))

    def tell(self) -> None:
        """Tell the epochs that another process has written down since the last time."""
        self._reader.tell(stage.key for stage in self._run.trainings())


class _Bench:
    """Has strategies trained.

    Args:
        executor: where.
        devices: see `compare`.
        take_in: called with every result.
    """

    def __init__(
        self,
        executor: Executor,
        devices: int | str,
        take_in: Callable[[ResultEvent], object],
    ) -> None:
        self._crew: Crew[_Piece, Result] = Crew(executor)
        self._devices, self._take_in = devices, take_in

    def train(self, pieces: Iterable[_Piece]) -> None:
        """Train all; hand on what each has come to when it ends, and meanwhile tell its epochs."""
        try:
            for piece in pieces:
                self._begin(piece)
                self._collect(patience=0)
            while self._crew:
                self._collect(patience=LOOK)
                for piece in self._crew.under_way:
                    piece.tell()
        finally:
            self._crew.stop()

    def _begin(self, piece: _Piece) -> None:
        devices = piece.strategy.devices(self._devices)
        observe = piece.observe if self._crew.serial else None  # elsewhere the journals tell
        self._crew.begin(piece, piece.job, observe, devices=devices)

    def _collect(self, patience: float) -> None:
        """Hand on what has ended; wait for it, so many seconds at most."""
        for piece, future in self._crew.collect(patience):
            if not self._crew.serial:
                piece.tell()
            try:
                result = future.result()
            except WorkerLostError as error:
                lost = piece.losses.another(piece.job.epochs)
                if lost <= RETRIES:
                    self._begin(piece)
                    continue
                result = piece.job.failed(f"{lost} times, {error}")
            self._take_in(ResultEvent(piece.strategy, piece.number, result))
