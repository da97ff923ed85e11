"""Searching in virtual time: every search of a world meets the same trainings, noise included."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schedplan.frontier import Label
from schedplan.graph import StateGraph
from schedplan.journal import Outcome, transition_key
from schedplan.knees import AtMost, CurveFit, KneeEstimator, Scale
from schedplan.simulator import StagedProblem, true_quality
from schedplan.solver import END, Search, Trial
from schedplan.solver.durations import Durations
from schedplan.space import State
from schedplan.trainer import derive_seed

ESTIMATOR = AtMost(400, CurveFit())


@dataclass(frozen=True)
class Found:
    """What a search has found and spent.

    Attributes:
        label: the answer.
        cost: of all epochs trained.
        epochs: trained.
        makespan: when it ended; an epoch takes what it costs.
        answers: (cost spent, label) whenever there was a better plan.
    """

    label: Label
    cost: float
    epochs: int
    makespan: float
    answers: list[tuple[float, Label]]

    @property
    def path(self) -> list[State]:
        return [label.state for label in self.label.path]

    @property
    def schedule(self) -> list[tuple[State, int]]:
        return [(each.state, each.outcome.epoch) for each in self.label.path if each.outcome]


class TrainedOnce(ABC):
    """Trainings that are remembered, so that any number of searches share them.

    Args:
        graph: what is searched.
        cost: what an epoch under a state costs.
    """

    def __init__(self, graph: StateGraph, cost: Callable[[State], float]) -> None:
        self.graph, self.cost = graph, cost
        self._trained: dict[object, Outcome] = {}

    @abstractmethod
    def train(self, trial: Trial) -> Outcome:
        """Train to the end; called once for the same epochs under the same states."""

    @abstractmethod
    def worth(self, scores: Sequence[float]) -> float:
        """Return what a training is worth that ends with these scores."""

    def whole(self, trial: Trial) -> Outcome:
        """Return how training ends."""
        schedule = tuple((each.state, each.outcome.epoch) for each in trial.source.path[1:])
        key = (schedule, trial.target)
        if key not in self._trained:
            self._trained[key] = self.train(trial)
        return self._trained[key]

    def advance(self, trial: Trial, until: float) -> Outcome:
        """Return what is known once a trial is trained up to epoch `until`."""
        whole = self.whole(trial)
        if until >= len(whole.scores) - 1:
            return whole
        scores = whole.scores[: int(until) + 1]
        return Outcome("paused", "", 0, scores[0], scores, None, None, 0, 0.0)

    def search(
        self,
        workers: int = 1,
        speculate: bool = False,
        choose: Callable[[list[tuple[float, int]]], int] | None = None,
        most: float = END,
        **options: object,
    ) -> Found:
        """Search with so many workers in virtual time.

        Args:
            workers: how many.
            speculate: whether those with nothing to do speculate.
            choose: picks which running slice ends next; the one due first by default.
            most: the longest slice, in epochs.
            options: of `Search`.
        """
        cost_of = self.cost
        search = Search(self.graph, cost=cost_of, worth=self.worth, **options)
        durations = Durations(self.graph)
        running: list[tuple[float, int, Trial, Outcome, int]] = []
        answers: list[tuple[float, Label]] = []
        clock, cost, epochs, number = 0.0, 0.0, 0, 0
        while True:
            while len(running) < workers and not search.finished:
                request = search.next_request() or (search.speculate() if speculate else None)
                if request is None:
                    break
                trial, until = request
                before = max(trial.trained, 0)
                outcome = self.advance(trial, min(until, before + most))
                new = max(outcome.epochs_trained - before, 0)
                cost, epochs, number = cost + new * cost_of(trial.target), epochs + new, number + 1
                due = clock + new * cost_of(trial.target)
                heapq.heappush(running, (due, number, trial, outcome, new))
            if not running:
                break
            if choose is None:
                ended = heapq.heappop(running)
            else:
                ended = running.pop(choose([each[:2] for each in running]))
                heapq.heapify(running)
            clock = max(clock, ended[0])
            _, _, trial, outcome, new = ended
            search.report(trial, outcome)
            took = new * cost_of(trial.target)
            if durations.learn(trial.target, new, took, trial.ended) and workers > 1:
                search.reprioritise(durations.remaining())
            best = search.answer()
            if best and (not answers or best is not answers[-1][1]):
                answers.append((cost, best))
        label = search.answer()
        assert label is not None
        return Found(label, cost, epochs, clock, answers)


class World(TrainedOnce):
    """A simulated problem.

    Args:
        problem: what is searched.
        seed: of the noise.
        estimator: stops every training.
    """

    def __init__(
        self, problem: StagedProblem, seed: int = 0, estimator: KneeEstimator = ESTIMATOR
    ) -> None:
        super().__init__(problem.graph, problem.cost)
        self.problem, self.seed, self.estimator = problem, seed, estimator
        self.scale = Scale(chance=problem.quality(problem.initial), perfect=100.0)

    def true(self, found: Found) -> float:
        """Return what the plan found is worth, trained without noise."""
        return true_quality(self.problem, found.schedule)

    def worth(self, scores: Sequence[float]) -> float:
        return self.estimator(scores, scale=self.scale).score

    def train(self, trial: Trial) -> Outcome:
        transition = transition_key((trial.source.state, trial.target))
        seed = derive_seed(self.seed, transition)
        model = self.problem.initial
        for label in trial.source.path[1:]:
            model = self.problem.after(model, label.state, label.outcome.epoch)
        epoch, horizon = 0, 60
        scores = self.problem.measured(model, trial.target, horizon, seed)
        while not (verdict := self.estimator(scores[: epoch + 1], scale=self.scale)).stop:
            epoch += 1
            if epoch == len(scores):
                horizon *= 2
                scores = self.problem.measured(model, trial.target, horizon, seed)
        curve = tuple(scores[: epoch + 1].tolist())
        return Outcome("done", "", verdict.epoch, verdict.score, curve, "m", None, 0, 0.0)
