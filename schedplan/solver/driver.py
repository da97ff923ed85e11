"""Carries out what the search asks for: on an executor, in a run folder, within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from functools import cache

from schedplan.errors import RunFolderError
from schedplan.executors import SerialExecutor
from schedplan.frontier import Label
from schedplan.graph import Transition
from schedplan.journal import (
    KeepSnapshots,
    Outcome,
    RunFolder,
    SnapshotReferences,
    TransitionFolder,
    transition_key,
)
from schedplan.pruning import Drop
from schedplan.solver.costs import Costs
from schedplan.solver.ledger import Ledger
from schedplan.solver.problem import Event, Problem, RunEvent, SearchOptions
from schedplan.solver.search import Search
from schedplan.solver.trial import END, Trial
from schedplan.trainer import Seat, derive_seed
from schedplan.transition import Assignment, TransitionEvent, advance


@dataclass(frozen=True)
class _Training:
    """Where a trial is written down, and the attempt of this session at it."""

    folder: TransitionFolder
    attempt: int


class Driver:
    """One session of a search; `run` is the only method to call, once.

    Args:
        problem: what to search.
        options: how.
        run: the run folder, held and configured.
        executor: where slices of training run.
        workers: how many to hand out at a time.
        on_event: called with every event, in this thread.
        keep_snapshots: see `SnapshotReferences`.
        retry_failed: whether to train again what failed in an earlier session.
    """

    def __init__(
        self,
        problem: Problem,
        options: SearchOptions,
        run: RunFolder,
        executor: Executor,
        workers: float,
        on_event: Callable[[Event], object],
        keep_snapshots: KeepSnapshots = "best",
        retry_failed: bool = False,
    ) -> None:
        self.problem, self.options, self.folder = problem, options, run
        self.failures: list[str] = []
        cost = cache(options.epoch_cost)
        self.search = Search(
            problem.graph, problem.mode, options.frontier, options.pruning, cost, options.order
        )
        self.ledger = Ledger(options.budget, cost, problem.graph, run)
        self._executor, self._workers = executor, workers
        self._on_event = on_event
        self._retry_failed = retry_failed
        self._trainer = Seat(problem.trainer)
        self._costs = Costs(problem.graph)
        self._snapshots = SnapshotReferences(run.path, keep_snapshots)
        self._trainings: dict[Trial, _Training] = {}
        self._running: dict[Future[Outcome], Trial] = {}
        self._refused: list[tuple[Trial, float]] = []
        self._again: list[tuple[Trial, float]] = []

    def run(self) -> None:
        """Search until all is settled or the budget has ended."""
        self._on_event(RunEvent(self.folder.path, self.problem.graph))
        self._take_out()
        try:
            while True:
                self._hand_out()
                if not self._running:
                    return
                self._collect()
        finally:
            for future in self._running:
                future.cancel()
            # What is running still writes into the folder, which must not be let go before.
            wait(self._running)

    def _hand_out(self) -> None:
        """Give work to every worker that has none."""
        while len(self._running) < self._workers and not self.search.finished:
            request = self._next()
            if request is None:
                return
            self._start(*request)

    def _next(self) -> tuple[Trial, float] | None:
        if self._again:
            return self._again.pop(0)
        request = self.search.next_request()
        if request is None and self.options.speculate and math.isfinite(self._workers):
            return self.search.speculate()
        return request

    def _start(self, trial: Trial, until: float) -> None:
        training = self._trainings.get(trial)
        if training:
            folder = training.folder
        else:
            key = transition_key((trial.source.state, trial.target))
            folder = self.folder.training(key, trial.source.identity)
            if known := self._known(folder):
                self._on_event(self._told(folder.key, trial, known, known=True))
                self._report(trial, known)
                return
        limit = self.ledger.limit(folder.key, trial, until, self._workers)
        if limit is None:
            self._refused.append((trial, until))
            return
        if training is None:
            attempt = folder.begin_attempt(trial.source.identity)
            self._trainings[trial] = _Training(folder, attempt)
            self._on_event(self._told(folder.key, trial))
        self._submit(trial, limit)

    def _known(self, folder: TransitionFolder) -> Outcome | None:
        """Return how a transition ended in an earlier session, if that still holds."""
        known = folder.outcome()
        if known and known.status == "failed" and self._retry_failed:
            folder.discard()
            return None
        return known if known and known.status != "pruned" else None

    def _submit(self, trial: Trial, until: float) -> None:
        self._restore(trial.source)
        # Only this process can be observed from within; elsewhere the journal tells.
        observe = self._on_event if isinstance(self._executor, SerialExecutor) else None
        assignment = self._assignment(trial, self._trainings[trial], until)
        self._running[self._executor.submit(advance, assignment, observe)] = trial

    def _assignment(self, trial: Trial, training: _Training, until: float) -> Assignment:
        source = trial.source
        return Assignment(
            run=self.folder,
            key=training.folder.key,
            attempt=training.attempt,
            params=trial.target.space.params(trial.target),
            start=source.snapshot,
            origin=source.identity,
            seed=derive_seed(self.problem.seed, transition_key((source.state, trial.target))),
            metric=self.problem.metric,
            mode=self.problem.mode,
            estimator=self.problem.estimator,
            trainer=self._trainer,
            trained=trial.trained,
            until=None if until == END else int(until),
        )

    def _restore(self, label: Label) -> None:
        """Train a model again that an earlier search of this run, with other options, removed."""
        if label.previous is None or self._is_there(label):
            return
        self._restore(label.previous)
        if not self._is_there(label):  # the model of a stage of 0 epochs is its predecessor's
            key = transition_key((label.previous.state, label.state))
            folder = self.folder.training(key, label.previous.identity)
            folder.discard()
            training = _Training(folder, folder.begin_attempt(label.previous.identity))
            assignment = self._assignment(Trial(label.previous, label.state), training, END)
            outcome = self._executor.submit(advance, assignment).result()
            if outcome.identity != label.identity:
                raise RunFolderError(
                    f"training {folder.key} once more did not give the same scores",
                    where=str(self.folder.path),
                    hint="its model was removed because an earlier search did not need it, and the "
                    "trainer does not repeat itself; start a new run with --out",
                )
        for snapshot in {label.previous.snapshot} - {label.snapshot}:
            self._snapshots.acquire(snapshot)  # removes it, unless somebody else needs it
            self._snapshots.release(snapshot)

    def _is_there(self, label: Label) -> bool:
        return label.snapshot is not None and (self.folder.path / label.snapshot).is_dir()

    def _collect(self) -> None:
        """Take in every slice that has ended; wait until there is one."""
        # What a slice has not used of its share may do for those refused meanwhile.
        self._again, self._refused = self._refused, []
        for future in wait(self._running, return_when=FIRST_COMPLETED).done:
            trial = self._running.pop(future)
            outcome = future.result()
            before = trial.outcome
            key = self._trainings[trial].folder.key
            self.ledger.book(key, trial, outcome)
            spent = outcome.seconds - (before.seconds if before else 0.0)
            epochs = outcome.epochs_trained - (before.epochs_trained if before else 0)
            ended = outcome.status != "paused"
            if ended:
                self._on_event(self._told(key, trial, outcome))
            self._report(trial, outcome)
            if self._costs.learn(trial.target, epochs, spent, ended) and self._workers > 1:
                self.search.reprioritise(self._costs.remaining())

    def _report(self, trial: Trial, outcome: Outcome) -> None:
        if outcome.status == "done":
            self._snapshots.acquire(outcome.snapshot)
        elif outcome.status == "failed":
            key = transition_key((trial.source.state, trial.target))
            self.failures.append(f"{key}: {outcome.reason}")
        self.search.report(trial, outcome)
        self._take_out()

    def _take_out(self) -> None:
        """Write down what was given up, and remove models that nothing can need any more."""
        under_way = []
        while self.search.dropped:
            transition, trial, drop = self.search.dropped.popleft()
            if trial and trial.busy:  # whoever trains it owns its folder until the slice ends
                under_way.append((transition, trial, drop))
            else:
                self._prune(transition, trial, drop)
        self.search.dropped.extend(under_way)
        while self.search.released:
            self._snapshots.release(self.search.released.popleft().snapshot)

    def _prune(self, transition: Transition, trial: Trial | None, drop: Drop) -> None:
        """Publish that a transition was given up; it can be taken up again."""
        key, known, origin = transition_key(transition), None, None
        if trial:
            known, origin = trial.outcome, trial.source.identity
        folder = self.folder.training(key, origin)
        if known is None:
            known = folder.outcome()
        if known and known.status != "paused":
            return
        outcome = Outcome(
            status="pruned",
            reason=f"{drop.rule}: {drop.evidence}",
            epoch=known.epoch if known else 0,
            score=known.score if known else None,
            scores=known.scores if known else (),
            snapshot=None,
            origin=origin,
            seed=known.seed if known else 0,
            seconds=known.seconds if known else 0.0,
        )
        folder.publish(outcome)
        folder.trim({outcome.epoch, outcome.epochs_trained})
        params = transition[1].space.params(transition[1])
        self._on_event(TransitionEvent(folder.key, params, outcome))

    def _told(
        self, key: str, trial: Trial, outcome: Outcome | None = None, known: bool = False
    ) -> TransitionEvent:
        return TransitionEvent(key, trial.target.space.params(trial.target), outcome, known)

    @property
    def budget_ended(self) -> bool:
        """Whether there was more to train than the budget allowed."""
        return bool(self._refused)

    @property
    def answer(self) -> Label | None:
        """The best label of a final state found."""
        return self.search.answer()
