"""How much of the budget is spent, and how far training may go on what is left."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from schedplan.graph import StateGraph
from schedplan.journal import Outcome, RunFolder, transition_key
from schedplan.solver.problem import Budget
from schedplan.solver.trial import Trial
from schedplan.space import State


class Grant(NamedTuple):
    """How far a slice of training may go: to which epoch, and for how many seconds."""

    until: float
    seconds: float = math.inf


class _Reserved(NamedTuple):
    epochs: float
    cost: float
    hours: float


class Ledger:
    """Counts epochs, cost and hours of a run, and hands out what is left of its budget.

    Args:
        budget: what there is in all.
        cost: what an epoch under a state costs.
        graph: what is searched.
        run: its folder; what was trained there in earlier sessions counts.

    Attributes:
        epochs, cost, hours: what was spent.
    """

    def __init__(
        self, budget: Budget, cost: Callable[[State], float], graph: StateGraph, run: RunFolder
    ) -> None:
        self._budget, self._cost = budget, cost
        self.epochs, self.cost, self.hours = 0, 0.0, 0.0
        self._reserved: dict[Trial, _Reserved] = {}
        self._booked: dict[str, tuple[int, float]] = {}
        targets = {transition_key(edge): edge[1] for edge in graph.dag.edges}
        for key, epochs, seconds in run.trained():
            target = targets.get(key.partition("@")[0])
            if target is not None:
                self._enter(key, target, epochs, seconds)

    def grant(self, key: str, trial: Trial, until: float, workers: float) -> Grant | None:
        """Return how far `trial` may be trained now, None if not at all.

        What is granted is reserved until `book`; epochs trained already cost nothing.

        Args:
            key: the name of the training in the run folder.
            trial: what is to be trained.
            until: the epoch that is asked for.
            workers: how many share what is left.
        """
        known = max(trial.trained, self._booked.get(key, (-1, 0.0))[0])
        if self._budget == Budget() or until <= known:
            return Grant(until)
        price = self._cost(trial.target)
        epochs, seconds = self._left(price)
        if workers < math.inf:
            seconds /= workers
            epochs = math.ceil(epochs / workers) if until == math.inf > epochs else epochs
        if epochs <= 0 or seconds <= 0:
            return Grant(known) if known > trial.trained else None
        known = max(known, 0)  # the model as handed over is no epoch
        new = min(until - known, epochs)
        finite = new if new < math.inf else 0  # what is not limited need not be reserved
        hours = seconds / 3600 if seconds < math.inf else 0.0
        self._reserved[trial] = _Reserved(finite, finite * price, hours)
        return Grant(known + new, seconds)

    def book(self, key: str, trial: Trial, outcome: Outcome) -> None:
        """Enter the slice of `trial` that ended in `outcome`."""
        self._reserved.pop(trial, None)
        self._enter(key, trial.target, outcome.epochs_trained, outcome.seconds)

    def release(self, trial: Trial) -> None:
        """Take back what was granted to `trial`: it is not trained for now."""
        self._reserved.pop(trial, None)

    @property
    def used_up(self) -> str:
        """What has been spent of every limit, in words."""
        return ", ".join(
            f"{name} {vars(self)[name]:.6g} of {limit:.6g}"
            for name, limit in vars(self._budget).items()
            if limit < math.inf
        )

    def _enter(self, key: str, state: State, epochs: int, seconds: float) -> None:
        """Enter that the training called `key` has come to so many epochs and seconds."""
        before_epochs, before_seconds = self._booked.get(key, (0, 0.0))
        self._booked[key] = epochs, seconds
        new = max(epochs - before_epochs, 0)
        self.epochs += new
        self.cost += new * self._cost(state)
        self.hours += max(seconds - before_seconds, 0.0) / 3600

    def _left(self, price: float) -> tuple[float, float]:
        """Return how many epochs of that price, and how many seconds, are neither spent nor
        reserved."""
        total = [sum(column) for column in zip(*self._reserved.values(), strict=True)]
        reserved = _Reserved(*total) if total else _Reserved(0, 0.0, 0.0)
        epochs = self._budget.epochs - self.epochs - reserved.epochs
        cost = self._budget.cost - self.cost - reserved.cost
        hours = self._budget.hours - self.hours - reserved.hours
        paid = min(epochs, cost / price + 1e-9)  # so that rounding does not cost an epoch
        return math.floor(paid) if math.isfinite(paid) else paid, 3600 * hours
