"""What `schedplan compare` does: train along a plan and along what people try without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Annotated, Final

import typer

from schedplan.baselines import (
    Compared,
    Evolved,
    Population,
    ResultEvent,
    Strategy,
    check_lengths,
    check_size,
    compare,
    evolve,
    hand_tuned,
    require_ray,
    variants,
)
from schedplan.cli.progress import log, session
from schedplan.cli.search import find_plan, show_what_is_missing, trained_with
from schedplan.config import Setup
from schedplan.errors import SchedplanError, UsageError
from schedplan.journal import RunFolder
from schedplan.plan import Plan
from schedplan.report.text import counted, duration, listed
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
        "the longest strategy: on this machine, --workers at a time, on a GPU each if there are "
        "any (needs pip install 'schedplan\\[pbt]').",
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


def check_population(
    members: int | None, engine: str, scheduler: str | None, devices: str | None
) -> None:
    """Raise UsageError if populations are asked for where nothing can train them."""
    if members is None:
        return
    stated = {"--engine": engine != "local", "--scheduler": scheduler, "--devices": devices}
    if elsewhere := [name for name, value in stated.items() if value]:
        raise UsageError(
            f"--pbt trains on this machine alone, without {listed(elsewhere)}",
            hint="compare with them first, and then with --pbt: nothing is trained twice",
        )
    require_ray()


def check_grid(setup: Setup, lengths: Sequence[int] | None) -> None:
    """Raise UsageError if hand-tuned strategies are too long, or more than can be trained."""
    if lengths is not None:
        check_lengths(lengths)
    check_size(setup.graph, len(lengths or _TIMES))


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
    reported: str,
) -> tuple[Compared, ...]:
    """Train along all strategies in the folder `compare` of a run; tell each result.

    Args:
        setup: the run's.
        folder: the run's.
        strategies: what to compare.
        seeds: how many seeds to train each with.
        make_executor: makes what trains.
        reported: a metric that has to be among those measured.
    """
    progress = _Progress(strategies, seeds, setup, reported)
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
    with folder.hold(), session(setup, folder):
        asked = counted(seeds, "population"), members, counted(longest, "epoch")
        log.info("training %s of %d members, %s each", *asked)
        return evolve(
            population,
            _seeds(setup, seeds),
            setup.trainer,
            folder.path / "compare",
            workers,
            config=trained_with(setup),
            incidental=setup.incidental,
            on_result=partial(_tell, population),
        )


def _tell(population: Population, number: int, evolved: Evolved) -> None:
    """Tell what a population has come to."""
    if evolved.failure:
        log.warning("the population of seed %d failed: %s", number, evolved.failure)
    else:
        score, seconds = evolved.metrics[population.metric], duration(evolved.seconds)
        place = f"the population of seed {number}: {population.metric} {score:.4g}"
        log.info("%s; %s trained in %s", place, counted(evolved.epochs, "epoch"), seconds)


def _seeds(setup: Setup, count: int) -> list[int]:
    return [derive_seed(setup.config.seed, "compare", number) for number in range(count)]


class _Progress:
    """Tells how far a comparison is."""

    def __init__(
        self, strategies: Sequence[Strategy], seeds: int, setup: Setup, reported: str
    ) -> None:
        epochs = {each.key: each.plan.epochs for each in strategies}
        # Those not trained yet, by strategy and the number of the seed.
        self._ahead = {(key, seed + 1): epochs[key] for key in epochs for seed in range(seeds)}
        self._total, self._trained = len(self._ahead), 0
        self._metric, self._reported = setup.config.metric, reported
        self._since = monotonic()

    def result(self, event: ResultEvent) -> None:
        """Tell a result; raise MetricError if it lacks what is to be reported."""
        result, strategy = event.result, event.strategy
        del self._ahead[strategy.key, event.number]
        place = f"[{self._total - len(self._ahead)}/{self._total}] {strategy.kind}: {strategy.name}"
        trained = f"{counted(strategy.plan.epochs, 'epoch')}, seed {event.number}"
        if result.failure:
            log.warning("%s, %s: failed: %s", place, trained, result.failure)
        elif self._reported not in result.metrics:
            raise _not_measured(self._reported, result.metrics)
        elif event.known:
            log.debug("%s, %s: known from an earlier comparison", place, trained)
        else:
            score, left = result.metrics[self._metric], self._left_in_words()
            log.info("%s, %s: %s %.4g%s", place, trained, self._metric, score, left)

    def event(self, strategy: Strategy, number: int, event: Event) -> None:
        """Tell an epoch."""
        if isinstance(event, EpochEvent):
            if event.record.epoch > 0:
                self._ahead[strategy.key, number] -= 1
                self._trained += 1
            trained = f"{strategy.name}, {counted(strategy.plan.epochs, 'epoch')}, seed {number}"
            epoch, score = event.record.epoch, event.record.score
            log.debug("%s, %s: epoch %d %s %.4g", trained, event.key, epoch, self._metric, score)

    def _left_in_words(self) -> str:
        """Return how long the epochs ahead take, at the speed of this session's, if it has any."""
        if not self._trained:
            return ""
        pace = (monotonic() - self._since) / self._trained
        return f"; {duration(pace * sum(self._ahead.values()))} left"
