"""What is searched, how it is searched, and what is told about it while it goes on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, get_args

from schedplan.checks import require_choice, require_number, require_whole
from schedplan.errors import ConfigError, did_you_mean
from schedplan.frontier import BEST, Frontier
from schedplan.graph import StateGraph
from schedplan.journal import fingerprint, identity, transition_key
from schedplan.knees import AtMost, CurveFit, KneeEstimator, Mode
from schedplan.plan import Plan
from schedplan.pruning import SAFE, Array, Pruning
from schedplan.solver.search import Order
from schedplan.space import State
from schedplan.trainer import TrainerFactory
from schedplan.transition import EpochEvent, PauseEvent, RetryEvent, TransitionEvent


@dataclass(frozen=True)
class RunEvent:
    """A search begins, in `folder`, on `graph`."""

    folder: Path
    graph: StateGraph


@dataclass(frozen=True)
class PlanEvent:
    """A search has ended with `plan`."""

    plan: Plan


@dataclass(frozen=True)
class DiskEvent:
    """The first snapshot is there, so that the disk needed can be estimated.

    Attributes:
        snapshot: bytes that it takes.
        needed: bytes that those of the whole search will take at a time, at most, by estimate.
        free: bytes that are free.
    """

    snapshot: int
    needed: int
    free: int


Event: TypeAlias = (
    RunEvent | TransitionEvent | EpochEvent | PauseEvent | RetryEvent | DiskEvent | PlanEvent
)


@dataclass(frozen=True)
class Problem:
    """What is searched, and how a transition is judged.

    Attributes:
        graph: the states and transitions.
        trainer: makes trainers.
        metric: a key of what the trainer's `evaluate` returns.
        mode: whether the metric is maximised (`max`) or minimised (`min`).
        estimator: finds the knee of a transition's curve.
        seed: fixes every random choice; a transition's own seed derives from it.
        name: given to the plan.
    """

    graph: StateGraph
    trainer: TrainerFactory
    metric: str
    mode: Mode = "max"
    estimator: KneeEstimator = field(default_factory=lambda: AtMost(400, CurveFit()))
    seed: int = 0
    name: str = "plan"

    def worth(self, scores: Array) -> float:
        """Return what a training is worth that ends with some scores; higher is better for both,
        so those of a minimised metric are negated."""
        sign = 1.0 if self.mode == "max" else -1.0
        return sign * self.estimator(sign * scores, self.mode).score

    def facts(self) -> dict[str, Any]:
        """Return what determines the result, as plain data, to recognise a run folder by."""
        transitions = sorted(map(transition_key, self.graph.dag.edges))
        return {
            "name": self.name,
            "metric": self.metric,
            "mode": self.mode,
            "seed": self.seed,
            **self.graph.space.facts(),
            "transitions": fingerprint({"keys": transitions}),
            "finals": [state.label for state in self.graph.finals],
            "estimator": identity(self.estimator),
            "trainer": identity(self.trainer),
        }


@dataclass(frozen=True)
class Budget:
    """How much training a run may take in all, earlier sessions of it included.

    Attributes:
        epochs: of all transitions together.
        cost: of these epochs, see `SearchOptions.cost`.
        hours: of training and evaluation, those of parallel workers added up. What is under way
            stops at the end of its epoch.

    Raises:
        ConfigError: if one is no number of at least 0.
    """

    epochs: float = math.inf
    cost: float = math.inf
    hours: float = math.inf

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require_number(name, value, 0)


@dataclass(frozen=True)
class SearchOptions:
    """How the graph is searched.

    Attributes:
        pruning: what is given up before its end, see `schedplan.pruning`.
        frontier: which models of a state are kept to go on from.
        order: `topological`, or `dive` for a complete plan early.
        budget: where to stop.
        cost: the hyperparameter, an axis or a link, that says what an epoch costs; None: 1.
        devices: how many devices a transition takes, of an executor that gives it its own: a
            number, or the hyperparameter that says it.
        speculate: let workers that have nothing to do train what may turn out to be needed.

    Raises:
        ConfigError: if one is something else.
    """

    pruning: Pruning = SAFE
    frontier: Frontier = BEST
    order: Order = "topological"
    budget: Budget = Budget()
    cost: str | None = None
    devices: int | str = 1
    speculate: bool = False

    def __post_init__(self) -> None:
        require_choice("order", self.order, get_args(Order))
        if not isinstance(self.devices, str):
            require_whole("devices", self.devices, at_least=1)
        kinds = {"pruning": Pruning, "frontier": Frontier, "budget": Budget, "speculate": bool}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ConfigError(f"{name} is {value!r}", allowed=f"a {kind.__name__}")

    def epoch_cost(self, state: State) -> float:
        """Return what an epoch under `state` costs.

        Raises:
            ConfigError: if `cost` names no hyperparameter, or one that is no number above 0.
        """
        if self.cost is None:
            return 1.0
        value = _hyperparameter(state, "cost", self.cost, "what an epoch costs")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value < math.inf:
            raise ConfigError(
                f"the cost of an epoch, {self.cost!r}, is {value!r} under {state.label}",
                allowed="an axis or a link whose values are numbers above 0",
                path=("search", "cost"),
            )
        return float(value)

    def devices_of(self, state: State) -> int:
        """Return how many devices a transition into `state` takes.

        Raises:
            ConfigError: if `devices` names no hyperparameter, or one that is no whole number.
        """
        if not isinstance(self.devices, str):
            return self.devices
        value = _hyperparameter(state, "devices", self.devices, "how many devices to take")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(
                f"the number of devices, {self.devices!r}, is {value!r} under {state.label}",
                allowed="an axis or a link whose values are whole numbers of at least 1",
                path=("search", "devices"),
            )
        return value


def _hyperparameter(state: State, option: str, name: str, meaning: str) -> Any:
    """Return what an option of the search refers to."""
    params = state.space.params(state)
    if name not in params:
        raise ConfigError(
            f"no axis or link {name!r} says {meaning}",
            allowed=params,
            hint=did_you_mean(name, params),
            path=("search", option),
        )
    return params[name]
