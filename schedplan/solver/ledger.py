"""How much of the budget is spent, and how far training may go on what is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from schedplan.graph import StateGraph
from schedplan.journal import Outcome, RunFolder, transition_key
from schedplan.solver.problem import Budget
from schedplan.solver.trial import Trial
from schedplan.space import State


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
        self._reserved: dict[Trial, int] = {}
        self._booked: dict[str, tuple[int, float]] = {}
        self._measured: dict[State, tuple[int, float]] = {}
        targets = {transition_key(edge): edge[1] for edge in graph.dag.edges}
        for key, epochs, seconds in run.trained():
            target = targets.get(key.partition("@")[0])
            if target is not None:
                self._enter(key, target, epochs, seconds)

    def limit(self, key: str, trial: Trial, until: float, workers: float) -> float | None:
        """Return the epoch to which `trial` may be trained now, at most `until`; None if not at
        all. What is granted is reserved until `book`; epochs trained already cost nothing.

        Args:
            key: the name of the training in the run folder.
            trial: what is to be trained.
            until: the epoch that is asked for.
            workers: how many share what is left.
        """
        known = max(trial.trained, self._booked.get(key, (0, 0.0))[0])
        if self._budget == Budget() or until <= known:
            return until
        left = self._affordable(trial.target)
        if until == math.inf and 1 < workers < math.inf and left < math.inf:
            left = math.ceil(left / workers)
        if left <= 0:
            return known if known > trial.trained else None
        granted = min(until - known, left)
        if granted < math.inf:
            self._reserved[trial] = int(granted)
        return known + granted

    def book(self, key: str, trial: Trial, outcome: Outcome) -> None:
        """Enter the slice of `trial` that ended in `outcome`."""
        self._reserved.pop(trial, None)
        self._enter(key, trial.target, outcome.epochs_trained, outcome.seconds)

    def _enter(self, key: str, state: State, epochs: int, seconds: float) -> None:
        """Enter that the training called `key` has come to so many epochs and seconds."""
        before_epochs, before_seconds = self._booked.get(key, (0, 0.0))
        self._booked[key] = epochs, seconds
        self._spend(state, max(epochs - before_epochs, 0), max(seconds - before_seconds, 0.0))

    def _spend(self, state: State, epochs: int, seconds: float) -> None:
        self.epochs += epochs
        self.cost += epochs * self._cost(state)
        self.hours += seconds / 3600
        known_epochs, known_seconds = self._measured.get(state, (0, 0.0))
        self._measured[state] = known_epochs + epochs, known_seconds + seconds

    def _affordable(self, state: State) -> float:
        """Return how many epochs under `state` can be paid from what is left; inf for any."""
        reserved = sum(self._reserved.values())
        reserved_cost = sum(n * self._cost(trial.target) for trial, n in self._reserved.items())
        return min(self._left(state, reserved, reserved_cost))

    def _left(self, state: State, reserved: int, reserved_cost: float) -> Iterator[float]:
        if math.isfinite(self._budget.epochs):
            yield math.floor(self._budget.epochs - self.epochs - reserved)
        if math.isfinite(self._budget.cost):
            left = self._budget.cost - self.cost - reserved_cost
            yield math.floor(left / self._cost(state) + 1e-9)
        if math.isfinite(self._budget.hours):
            left = self._budget.hours - self.hours
            epochs, seconds = self._measured.get(state, (0, 0.0))
            hours = seconds / 3600 / epochs if epochs and seconds else math.inf
            # One epoch shows what epochs take.
            yield 0 if left <= 0 else max(math.floor(left / hours), 1) if hours < math.inf else 1
