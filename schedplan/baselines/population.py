"""Population Based Training by Ray Tune, as a reference from outside."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from schedplan.baselines.results import load_result, save_result
from schedplan.checks import require_whole
from schedplan.errors import RunFailedError, UsageError, missing
from schedplan.graph import StateGraph
from schedplan.journal import copy_folder, essence, fingerprint
from schedplan.knees import Mode
from schedplan.space import Space, State
from schedplan.trainer import Metrics, TrainerFactory, derive_seed

_EPOCH = ".schedplan.epoch"
"""Beside a member's model, the epochs that it has had."""


@dataclass(frozen=True)
class Population:
    """Population Based Training (Jaderberg et al., 2017) over the settings of a graph's states.

    Members train side by side, each under settings of its own. Every `interval` epochs, those in
    the worst quarter go on with a copy of a model of the best quarter, and with its settings moved
    by a level or drawn anew. Each interval has a fresh optimiser, as a transition has. Any value of
    an axis may follow any other: the rules of the graph do not hold.

    Args:
        graph: whose states' values are tried.
        metric: what members are judged by.
        mode: whether that is high (`max`) or low (`min`).
        members: how many there are, at least 4.
        epochs: how long each trains, at least 1.
        cost: the hyperparameter that says what an epoch costs; None: 1.

    Raises:
        UsageError: a number below that.
    """

    graph: StateGraph
    metric: str
    mode: Mode
    members: int
    epochs: int
    cost: str | None = None

    def __post_init__(self) -> None:
        require_whole("members", self.members, at_least=4, error=UsageError)
        require_whole("epochs", self.epochs, at_least=1, error=UsageError)

    @property
    def interval(self) -> int:
        """Epochs between two looks at the population: a tenth of all."""
        return max(self.epochs // 10, 1)

    @property
    def levels(self) -> dict[str, list[int]]:
        """By axis, the levels to try."""
        states = self.graph.order[1:]
        return {
            axis.name: sorted({state.level(axis.name) for state in states})
            for axis in self.graph.space.axes
        }

    @property
    def facts(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {**vars(self), "graph": {**self.graph.space.facts(), "levels": self.levels}}

    def train(self, trainer: TrainerFactory, seed: int, workers: int) -> Evolved:
        """Train a population; what comes out depends on timing too.

        Args:
            trainer: makes trainers.
            seed: of initial weights, data order and first settings.
            workers: how many members train at a time.

        Raises:
            MissingDependencyError: Ray Tune is not installed.
            RunFailedError: no member has come to its end; the message says why.
        """
        ray, tune, levels = _import("ray"), _import("ray.tune"), self.levels
        scheduler = _import("ray.tune.schedulers").PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=self.interval,
            hyperparam_mutations=levels,
        )
        member = partial(_train, self.graph.space, trainer, seed, self.cost)
        first = _import("ray.tune.search").BasicVariantGenerator(
            random_state=seed, max_concurrent=workers
        )
        with tempfile.TemporaryDirectory(prefix="schedplan-") as folder, _started(ray, workers):
            gpus = 1 if ray.cluster_resources().get("GPU") else 0
            found = tune.Tuner(
                tune.with_resources(member, {"cpu": 1, "gpu": gpus}),
                param_space={name: tune.choice(values) for name, values in levels.items()},
                tune_config=tune.TuneConfig(
                    metric=self.metric,
                    mode=self.mode,
                    num_samples=self.members,
                    scheduler=scheduler,
                    search_alg=first,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    storage_path=folder, stop={"training_iteration": self.epochs}, verbose=0
                ),
            ).fit()
            return self._evolved(found)

    def _evolved(self, found: Any) -> Evolved:
        """Return the member that is best in the end, and what the whole population took."""
        ended = [member for member in found if member.metrics and "measured" in member.metrics]
        if not ended:
            reason = next((str(error) for error in found.errors), "no member was trained")
            raise RunFailedError(f"no population was trained: {reason.strip().splitlines()[-1]}")
        best = found.get_best_result(self.metric, self.mode, scope="last").metrics
        epochs = [epoch for member in ended for _, epoch in member.metrics_dataframe.iterrows()]
        return Evolved(
            metrics={name: best[name] for name in best["measured"]},
            members=self.members,
            length=self.epochs,
            epochs=len(epochs),
            cost=float(sum(epoch["cost"] for epoch in epochs)),
            seconds=float(sum(epoch["time_this_iter_s"] for epoch in epochs)),
        )


@dataclass(frozen=True)
class Evolved:
    """What a population has come to.

    Attributes:
        metrics: of the member that is best in the end, by the metric that members were judged by;
            nothing if it failed.
        members, length: how many there were, and the epochs that each was trained for.
        epochs, cost, seconds: of all members; 0 if it failed, as nobody knows.
        failure: why there is none; None if there is one.
    """

    metrics: Metrics
    members: int
    length: int
    epochs: int
    cost: float
    seconds: float
    failure: str | None = None


def evolve(
    population: Population,
    seeds: Sequence[int],
    trainer: TrainerFactory,
    folder: Path,
    workers: int,
    config: Mapping[str, Any] | None = None,
    incidental: Collection[str] = (),
    on_result: Callable[[int, Evolved], object] = lambda number, evolved: None,
) -> tuple[Evolved, ...]:
    """Train a population with each seed, but for those that `folder` has a result of.

    A result is known again by all that determines it: the population, its seed and `config`. What
    failed is a result too, and is tried again the next time.

    Args:
        population: what to train.
        seeds: what to train with.
        trainer: makes trainers.
        folder: where results are kept; one that was cut off begins anew.
        workers: how many members train at a time.
        config: plain data that determine results as well, such as the trainer's options.
        incidental: those of these options that do not, see `essence`.
        on_result: called with the number of every seed, from 1, and what it has come to.

    Raises:
        MissingDependencyError: Ray Tune is not installed.
        RunFolderError: a result is damaged; the file is named.
    """
    place = folder / f"population-{population.members}-{population.epochs}"
    found = []
    for number, seed in enumerate(seeds, start=1):
        facts = {**essence(config or {}, incidental), "population": population.facts, "seed": seed}
        file = place / f"seed-{number}-{fingerprint(facts)[:12]}.json"
        evolved = load_result(file, Evolved, "remove the file to train the population again")
        if evolved is None:
            evolved = _trained(population, trainer, seed, workers)
            if not evolved.failure:
                save_result(file, evolved)
        on_result(number, evolved)
        found.append(evolved)
    return tuple(found)


def require_ray() -> None:
    """Raise MissingDependencyError unless there is Ray Tune, which trains populations."""
    _import("ray.tune")


def _trained(population: Population, trainer: TrainerFactory, seed: int, workers: int) -> Evolved:
    try:
        return population.train(trainer, seed, workers)
    except UsageError:
        raise
    except Exception as error:  # of Ray, which raises its own
        reason = traceback.format_exception_only(error)[-1].strip()
        return Evolved({}, population.members, population.epochs, 0, 0.0, 0.0, reason)


def _train(
    space: Space, factory: TrainerFactory, seed: int, cost: str | None, config: Mapping[str, Any]
) -> None:
    """Train a member, or go on with a copy of another; Ray ends it."""
    tune = _import("ray.tune")
    params = space.params(State([config[axis.name] for axis in space.axes], space))
    trainer, start, epoch = factory(), tune.get_checkpoint(), 0
    with tempfile.TemporaryDirectory() as model:
        if start:
            with start.as_directory() as folder:
                copy_folder(Path(folder), Path(model))
            epoch = int((Path(model) / _EPOCH).read_text())
        # Ray calls its trials PREFIX_NUMBER, with a prefix drawn anew every time.
        member = tune.get_context().get_trial_id().rpartition("_")[2]
        trainer.begin(params, Path(model) if start else None, derive_seed(seed, member, epoch))
        while True:
            trainer.train_epoch()
            epoch += 1
            metrics = dict(trainer.evaluate())
            told = {"measured": list(metrics), "cost": params[cost] if cost else 1}
            with tempfile.TemporaryDirectory() as folder:
                trainer.save(Path(folder))
                (Path(folder) / _EPOCH).write_text(str(epoch))
                tune.report({**metrics, **told}, checkpoint=tune.Checkpoint.from_directory(folder))


@contextmanager
def _started(ray: Any, workers: int) -> Iterator[None]:
    """Have Ray run on this machine, with processes that find the modules that this one does."""
    # Its newer output names folders that are soon gone, in however few words it is asked for.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    places = os.pathsep.join(filter(None, sys.path))
    ray.init(
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": places}},
    )
    try:
        yield
    finally:
        ray.shutdown()


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise missing("ray", "pbt") from error
