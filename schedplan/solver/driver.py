"""Carries out what the search asks for: on an executor, in a run folder, within a budget."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from functools import cache
from itertools import count
from typing import TypeAlias

from schedplan.crew import TrainingCrew
from schedplan.errors import ConfigError, DamagedSnapshotError, WorkerLostError
from schedplan.frontier import Label
from schedplan.graph import Transition
from schedplan.journal import (
    KeepSnapshots,
    Outcome,
    RunFolder,
    SnapshotReferences,
    TransitionFolder,
    is_sound,
    transition_key,
)
from schedplan.pruning import Drop
from schedplan.solver.disk import estimate, most_snapshots
from schedplan.solver.durations import Durations
from schedplan.solver.ledger import Grant, Ledger
from schedplan.solver.problem import DiskEvent, Event, Problem, RunEvent, SearchOptions
from schedplan.solver.restoration import (
    Diverged,
    find_lost,
    put_back,
    restored,
    training_again,
)
from schedplan.solver.search import Search
from schedplan.solver.trial import END, Trial
from schedplan.trainer import Seat, derive_seed
from schedplan.transition import Assignment, PauseEvent, RetryEvent, Training, TransitionEvent

_Request: TypeAlias = tuple[Trial, float]


class Driver:
    """One session of a search; `run` is the only method to call, once.

    Args:
        problem: what to search.
        options: how.
        run: the run folder, held and configured.
        executor: where slices of training run.
        workers: how many slices that take one device to hand out at a time.
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
            problem.graph,
            problem.mode,
            options.frontier,
            options.pruning,
            cost,
            options.order,
            problem.worth,
        )
        self.ledger = Ledger(options.budget, cost, problem.graph, run)
        self._crew = TrainingCrew(executor, run, self._note_epoch, workers)
        self._check_devices()
        self._running: dict[int, tuple[Trial, Grant]] = {}
        self._most = most_snapshots(problem, options, workers, keep_snapshots)
        self._disk: DiskEvent | None = None
        self._on_event = on_event
        self._retry_failed = retry_failed
        self._trainer = Seat(problem.trainer)
        self._durations = Durations(problem.graph)
        self._snapshots = SnapshotReferences(run, keep_snapshots)
        self._trainings: dict[Trial, Training] = {}
        self._slices = count()
        self._refused: list[Trial] = []
        self._again: deque[_Request] = deque()
        self._restoring: dict[Trial, Label] = {}
        self._waiting: dict[Label, list[_Request]] = {}
        self._spare: set[str] = set()

    def run(self) -> None:
        """Search until all is settled or the budget has ended.

        Raises:
            Diverged: a search anew, in the same folder, has to take another model for granted.
        """
        self._on_event(RunEvent(self.folder.path, self.problem.graph))
        self._spare_all(restored(self.folder))
        self._take_out()
        if self._crew.workers > 1:
            self.search.reprioritise(self._durations.remaining())
        try:
            while True:
                self._hand_out()
                if not self._crew:
                    self._restore_answer()
                if not self._crew:
                    break
                self._collect()
        finally:
            self._crew.stop()
        if self.search.finished:
            self._let_go(self._spare)

    def _check_devices(self) -> None:
        """Raise ConfigError if a state takes more devices than there are."""
        for state in self.problem.graph.order[1:]:
            if (devices := self.options.devices_of(state)) > self._crew.largest:
                raise ConfigError(
                    f"{state.label} takes {devices} devices",
                    allowed=f"{self._crew.largest}, as many as there are",
                    hint="more of them can be named with --devices",
                    path=("search", "devices"),
                )

    def _hand_out(self) -> None:
        """Give work to every worker that has none."""
        while self._crew.has_room and (request := self._next()):
            self._start(*request)

    def _next(self) -> _Request | None:
        while self._again:
            trial, until = self._again.popleft()
            wanted = not (trial.drop or self.search.finished)
            if wanted or trial in self._restoring:
                return trial, until
            self.search.give_back(trial)
        if self.search.finished:
            return None
        request = self.search.next_request()
        if request is None and self.options.speculate and math.isfinite(self._crew.workers):
            return self.search.speculate()
        return request

    def _start(self, trial: Trial, until: float) -> None:
        training = self._trainings.get(trial)
        folder = training.folder if training else self._folder(trial)
        if training is None and (known := self._known(folder)):
            folder.tidy(known)  # an earlier session may have been killed before it did
            self._learn(trial, known.epochs_trained, known.seconds, ended=True)
            self._on_event(self._told(folder.key, trial, known, known=True))
            self._settle(trial, folder.key, known)
        elif lost := find_lost(self.folder, trial.source):
            self._restore(lost, (trial, until))
        elif grant := self.ledger.grant(folder.key, trial, until, self._crew.workers):
            if training is None:
                origin, seed = trial.source.identity, self._seed(trial)
                self._trainings[trial] = Training(self.folder, folder.key, origin, seed)
                self._on_event(self._told(folder.key, trial))
            else:
                self._on_event(PauseEvent(folder.key, over=True))
            self._submit(trial, grant)
        else:
            self._refused.append(trial)

    def _folder(self, trial: Trial) -> TransitionFolder:
        key = transition_key((trial.source.state, trial.target))
        folder = self.folder.training(key, trial.source.identity)
        return training_again(self.folder, folder.key) if trial in self._restoring else folder

    def _known(self, folder: TransitionFolder) -> Outcome | None:
        """Return how a transition ended in an earlier session, if that still holds."""
        known = folder.outcome()
        if known is None or known.status == "pruned":
            return None
        return None if known.status == "failed" and self._retry_failed else known

    def _submit(self, trial: Trial, grant: Grant) -> None:
        assignment = self._assignment(trial, grant)
        self._running[assignment.slice] = trial, grant
        self._crew.train(assignment, self.options.devices_of(trial.target))

    def _assignment(self, trial: Trial, grant: Grant) -> Assignment:
        source, training = trial.source, self._trainings[trial]
        return Assignment(
            run=self.folder,
            key=training.folder.key,
            attempt=training.attempt,
            params=trial.target.space.params(trial.target),
            before=source.outcome,
            seed=self._seed(trial),
            metric=self.problem.metric,
            mode=self.problem.mode,
            estimator=self.problem.estimator,
            trainer=self._trainer,
            slice=next(self._slices),
            trained=trial.trained,
            until=None if grant.until == END else int(grant.until),
            seconds=grant.seconds,
        )

    def _seed(self, trial: Trial) -> int:
        transition = (trial.source.state, trial.target)
        return derive_seed(self.problem.seed, transition_key(transition))

    def _restore_answer(self) -> None:
        """Begin to train the model of the answer again, if it was removed or is damaged."""
        label = self.search.answer()
        if label and label.snapshot and not is_sound(self.folder.path / label.snapshot):
            self.folder.remove(label.snapshot)
        lost = find_lost(self.folder, label) if label else None
        if lost and lost not in self._waiting:
            self._restore(lost)

    def _restore(self, label: Label, *requests: _Request) -> None:
        """Train a removed model again, which `requests` need, as an earlier search did."""
        begun = label in self._waiting
        self._waiting.setdefault(label, []).extend(requests)
        if not begun:
            assert label.previous is not None
            trial = Trial(label.previous, label.state)
            self._restoring[trial] = label
            self._start(trial, END)

    def _restored(self, trial: Trial, key: str, outcome: Outcome) -> None:
        """Go on with restoring a model, or with what needs it."""
        trial.outcome = outcome
        if outcome.status == "paused":
            self._again.append((trial, END))
            return
        label = self._restoring.pop(trial)
        try:
            put_back(self.folder, label, key, outcome)
        except Diverged as diverged:
            what = "trained again, it gave another model: what followed is trained anew"
            self._on_event(RetryEvent(f"{diverged}", what))
            raise
        assert label.snapshot is not None
        self._spare_all({label.snapshot})
        self._let_go(self._spare & {str(trial.source.snapshot)})
        self._again.extend(self._waiting.pop(label))

    def _spare_all(self, snapshots: Iterable[str]) -> None:
        """Keep models that were put back, so that a chain of them survives an interruption."""
        for snapshot in set(snapshots) - self._spare:
            self._spare.add(snapshot)
            self._snapshots.acquire(snapshot)

    def _let_go(self, snapshots: Iterable[str]) -> None:
        for snapshot in list(snapshots):
            self._spare.remove(snapshot)
            self._snapshots.release(snapshot)

    def _collect(self) -> None:
        """Take in every slice that has ended; wait until there is one."""
        for assignment, result in self._crew.ended():
            trial, grant = self._running.pop(assignment.slice)
            if isinstance(result, Outcome):
                self._take_in(trial, result)
            else:
                self._try_again(trial, grant, result)

    def _note_epoch(self, event: Event) -> None:
        """Tell an epoch; once there is a snapshot, tell the disk that is needed."""
        self._on_event(event)
        if self._disk is None and (disk := estimate(self.folder, self._most)):
            self._disk = disk
            self._on_event(disk)

    def _take_in(self, trial: Trial, outcome: Outcome) -> None:
        """Go on with what a slice has come to; make known how the transition ended, if it has."""
        before, folder = trial.outcome, self._trainings[trial].folder
        ended = outcome.status != "paused"
        if ended:
            outcome = folder.publish(outcome, self._trainings[trial].attempt)
        self.ledger.book(folder.key, trial, outcome)
        self._retry_refused()
        spent = outcome.seconds - (before.seconds if before else 0.0)
        epochs = outcome.epochs_trained - (before.epochs_trained if before else 0)
        told = self._told(folder.key, trial, outcome) if ended else PauseEvent(folder.key)
        self._on_event(told)
        self._settle(trial, folder.key, outcome)
        self._learn(trial, epochs, spent, ended)

    def _learn(self, trial: Trial, epochs: int, seconds: float, ended: bool) -> None:
        """Note what a training has taken; train the longest remaining way first."""
        news = self._durations.learn(trial.target, epochs, seconds, ended)
        if news and self._crew.workers > 1:
            self.search.reprioritise(self._durations.remaining())

    def _try_again(
        self, trial: Trial, grant: Grant, error: WorkerLostError | DamagedSnapshotError
    ) -> None:
        """Go on with a slice from the last snapshot that is left; give it up after some times."""
        training = self._trainings[trial]
        failed = training.go_on(error)
        if failed:
            self._take_in(trial, failed)
            return
        self._on_event(RetryEvent(training.folder.key, str(error)))
        if find_lost(self.folder, trial.source):
            self.ledger.release(trial)
            self._again.append((trial, grant.until))
        else:
            self._submit(trial, grant)

    def _retry_refused(self) -> None:
        """Ask again for what was refused: a slice has ended and may have left some budget."""
        for trial in self._refused:
            if trial in self._restoring:
                self._again.append((trial, END))
            else:
                self.search.give_back(trial)
        self._refused.clear()

    def _settle(self, trial: Trial, key: str, outcome: Outcome) -> None:
        """Go on with what a training, recorded as `key`, has come to."""
        if trial in self._restoring:
            self._restored(trial, key, outcome)
        else:
            self._report(trial, outcome)

    def _report(self, trial: Trial, outcome: Outcome) -> None:
        if outcome.status == "done":
            self._snapshots.acquire(outcome.snapshot)
        elif outcome.status == "failed":
            self._snapshots.acquire(trial.source.snapshot)  # to begin from, if it is tried again
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
        training = self._trainings.get(trial) if trial else None
        folder.publish(outcome, training.attempt if training else None)
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
        """The best label of a final state found, if its model is there."""
        label = self.search.answer()
        return None if label is None or find_lost(self.folder, label) else label
