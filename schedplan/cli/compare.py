"""What `schedplan compare` does: train along a plan and along what people try without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from schedplan.baselines import (
    Compared,
    Evolved,
    Population,
    ResultEvent,
    Strategy,
    check_size,
    compare,
    evolve,
    hand_tuned,
    require_ray,
    variants,
)
from schedplan.cli.progress import log, session
from schedplan.cli.search import bind, find_plan, run_facts, show_what_is_missing, trained_with
from schedplan.config import Setup
from schedplan.errors import SchedplanError, UsageError
from schedplan.journal import RunFolder
from schedplan.plan import Plan
from schedplan.report.text import duration
from schedplan.solver import Event
from schedplan.trainer import derive_seed
from schedplan.transition import EpochEvent, unknown_metric

Seeds = Annotated[
    int, typer.Option(min=1, metavar="N", help="Train each strategy with so many seeds.")
]
Searches = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="K",
        help="Search so many times, with seeds of their own, and train every plan: a single plan "
        "may be a lucky one.",
    ),
]
Epochs = Annotated[
    str | None,
    typer.Option(
        metavar="N,N,...",
        help="How many epochs hand-tuned strategies train in all.",
        show_default="half, 3/4, 1, 1 1/2 and twice as many as the plan of the first search",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Report another metric that the trainer measures, such as one on test data; "
        "strategies are still chosen by the configuration's.",
        show_default="the configuration's",
    ),
]
WithVariants = Annotated[
    bool,
    typer.Option(
        "--variants",
        help="Also compare the plan with one state left out, or one more, as long in all.",
    ),
]
Members = Annotated[
    int | None,
    typer.Option(
        "--pbt",
        min=4,
        metavar="N",
        help="Also Population Based Training by Ray Tune, of so many members that train as long as "
        "the longest strategy (needs pip install 'schedplan\\[pbt]').",
        show_default=False,
    ),
]
Picture = Annotated[
    Path | None, typer.Option("-o", "--output", help="Draw score against cost: .svg or .png.")
]

_TIMES: Final = (0.5, 0.75, 1.0, 1.5, 2.0)
"""How long hand-tuned strategies are, in times of the plan, unless stated."""


@dataclass(frozen=True)
class Searched:
    """A search whose plan is compared: by what it was made, where it lies, what it has found."""

    setup: Setup
    folder: RunFolder
    plan: Plan


def read_lengths(stated: str | None) -> list[int] | None:
    """Return how many epochs hand-tuned strategies are to train; None if that is not stated.

    Raises:
        UsageError: if it is stated as anything but whole numbers of at least 1.

    Example:
        >>> read_lengths("128,192,256")
        [128, 192, 256]
    """
    if stated is None:
        return None
    parts = [part.strip() for part in stated.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(
            f"--epochs is {stated!r}", allowed="whole numbers of at least 1, such as 128,192,256"
        )
    return sorted({int(part) for part in parts})


def check_metric(setup: Setup, metric: str) -> None:
    """Raise MetricError if the trainer states what it measures, and `metric` is not among it."""
    known = getattr(setup.make_trainer(), "metrics", None)
    if known is not None and metric not in known:
        raise _not_measured(metric, known)


def _not_measured(metric: str, known: Iterable[str]) -> SchedplanError:
    return unknown_metric(metric, known).at(f"--metric {metric}")


def check_population(members: int | None) -> None:
    """Raise MissingDependencyError if populations are asked for, and nothing can train them."""
    if members is not None:
        require_ray()


def check_grid(setup: Setup, lengths: Sequence[int] | None) -> None:
    """Raise UsageError if there are more hand-tuned strategies than can be trained."""
    check_size(setup.graph, lengths or range(1, len(_TIMES) + 1))


def search_all(
    setup: Setup, folder: RunFolder, count: int, make_executor: Callable[[], Executor]
) -> list[Searched]:
    """Return so many searches, the first of which is the run itself; what is finished is known.

    The others lie in `RUN/compare/search-2`, ..., run folders like any other. Each does what `run`
    would with its seed, which derives from the run's.
    """
    found = []
    for number in range(1, count + 1):
        own, place = _search(setup, folder, number)
        if count > 1:
            log.info("search %d of %d, with the seed %d", number, count, own.config.seed)
        bind(place, run_facts(own), own)
        plan = find_plan(own, place, make_executor, retry_failed=False)
        show_what_is_missing(own, place)
        found.append(Searched(own, place, plan))
    return found


def _search(setup: Setup, folder: RunFolder, number: int) -> tuple[Setup, RunFolder]:
    """Return the setup and the folder of a run's `number`-th search, counted from 1."""
    if number == 1:
        return setup, folder
    seed = derive_seed(setup.config.seed, "search", number)
    own = replace(setup, config=setup.config.model_copy(update={"seed": seed}))
    return own, RunFolder(folder.path / "compare" / f"search-{number}")


def strategies_of(
    searched: Sequence[Searched], lengths: Sequence[int] | None, with_variants: bool
) -> list[Strategy]:
    """Return all plans, variants of the first if asked for, and the hand-tuned strategies.

    Args:
        searched: the run and its further searches.
        lengths: how many epochs hand-tuned strategies train; None: around as many as the first
            plan.
        with_variants: whether to vary the first plan.

    Raises:
        UsageError: if there is no stage to train along, or the grid is no good.
    """
    for search in searched:
        if not search.plan.stages:
            where = str(search.folder.path)
            raise UsageError("the plan has no stages to compare with others", where=where)
    plan, graph = searched[0].plan, searched[0].setup.graph
    lengths = lengths or sorted({max(round(times * plan.epochs), 1) for times in _TIMES})
    changed = variants(graph, plan) if with_variants else []
    planned = [Strategy("plan", _path(search.plan), search.plan) for search in searched]
    return [*planned, *changed, *hand_tuned(graph, plan, lengths)]


def _path(plan: Plan) -> str:
    return " > ".join(f"{stage.epochs} x {stage.state}" for stage in plan.stages)


def compare_all(
    setup: Setup,
    folder: RunFolder,
    strategies: Sequence[Strategy],
    seeds: int,
    make_executor: Callable[[], Executor],
    report: str,
) -> tuple[Compared, ...]:
    """Train along all strategies in the folder `compare` of a run; tell each result.

    Args:
        setup: the run's.
        folder: the run's.
        strategies: what to compare.
        seeds: how many seeds to train each with.
        make_executor: makes what trains.
        report: a metric that has to be among those measured.
    """
    progress = _Progress(len({each.key for each in strategies}) * seeds, setup, report)
    with folder.hold(), session(setup, folder), make_executor() as executor:
        return compare(
            strategies,
            _seeds(setup, seeds),
            setup.trainer,
            folder.path / "compare",
            executor=executor,
            devices=setup.options.devices,
            on_result=progress.result,
            on_event=progress.event,
            config=trained_with(setup),
            incidental=setup.incidental,
        )


def evolve_all(
    setup: Setup,
    folder: RunFolder,
    strategies: Sequence[Strategy],
    seeds: int,
    members: int | None,
    workers: int,
) -> tuple[Evolved, ...]:
    """Return what Population Based Training comes to with each seed; nothing without `members`."""
    if members is None:
        return ()
    config, longest = setup.config, max(each.plan.epochs for each in strategies)
    cost = setup.options.cost
    population = Population(setup.graph, config.metric, config.mode, members, longest, cost)
    facts, place = trained_with(setup), folder.path / "compare"
    for name in setup.incidental:
        facts["trainer"].pop(name, None)
    with folder.hold(), session(setup, folder):
        log.info("training %d populations of %d members, %d epochs each", seeds, members, longest)
        return evolve(
            population,
            _seeds(setup, seeds),
            setup.trainer,
            place,
            workers,
            facts,
            on_result=partial(_tell, population),
        )


def _tell(population: Population, number: int, evolved: Evolved) -> None:
    """Tell what a population has come to."""
    if evolved.failure:
        log.warning("the population of seed %d failed: %s", number, evolved.failure)
    else:
        score, seconds = evolved.metrics[population.metric], duration(evolved.seconds)
        place = f"the population of seed {number}: {population.metric} {score:.4g}"
        log.info("%s; %s epochs trained in %s", place, f"{evolved.epochs:,}", seconds)


def _seeds(setup: Setup, count: int) -> list[int]:
    return [derive_seed(setup.config.seed, "compare", number) for number in range(count)]


class _Progress:
    """Tells how far a comparison is."""

    def __init__(self, total: int, setup: Setup, report: str) -> None:
        self._total, self._done, self._trained = total, 0, 0
        self._metric, self._report = setup.config.metric, report
        self._since = time.monotonic()

    def result(self, event: ResultEvent) -> None:
        """Tell a result; raise MetricError if it lacks what is to be reported."""
        result, strategy = event.result, event.strategy
        self._done += 1
        self._trained += not event.known
        place = f"[{self._done}/{self._total}] {strategy.name}"
        trained = f"{strategy.plan.epochs} epochs, seed {event.number}"
        if result.failure:
            log.warning("%s, %s: failed: %s", place, trained, result.failure)
        elif self._report not in result.metrics:
            raise _not_measured(self._report, result.metrics)
        elif event.known:
            log.debug("%s, %s: known from an earlier comparison", place, trained)
        else:
            score, left = result.metrics[self._metric], duration(self._seconds_left())
            log.info("%s, %s: %s %.4g; %s left", place, trained, self._metric, score, left)

    def event(self, strategy: Strategy, number: int, event: Event) -> None:
        """Tell an epoch."""
        if isinstance(event, EpochEvent):
            trained = f"{strategy.name}, {strategy.plan.epochs} epochs, seed {number}, {event.key}"
            epoch, score = event.record.epoch, event.record.score
            log.debug("%s: epoch %d %s %.4g", trained, epoch, self._metric, score)

    def _seconds_left(self) -> float:
        spent = time.monotonic() - self._since
        return spent / self._trained * (self._total - self._done)
