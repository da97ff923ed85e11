"""The search: dynamic programming over the graph of states (paper, section 3.2).

A state is settled once every transition into it has ended; the best of them gives the state its
model, V(S_j) = max_i V(S_i -> S_j), from which all transitions out of it start. The result depends
on nothing but the graph, the trainer, the estimator and the seed: not on the number of workers, on
their timing, or on interruptions.
"""

from __future__ import annotations

import platform
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from schedplan.errors import RunFailedError, RunFolderError
from schedplan.executors import SerialExecutor
from schedplan.graph import StateGraph, Transition
from schedplan.journal import (
    KeepSnapshots,
    Outcome,
    RunFolder,
    ScratchFolder,
    SnapshotReferences,
    fingerprint,
    hash_folder,
    identity,
    transition_key,
)
from schedplan.knees import AtMost, CurveFit, KneeEstimator, Mode
from schedplan.plan import Plan, Stage, publish_model
from schedplan.space import INITIAL, State
from schedplan.trainer import PerThread, TrainerFactory, derive_seed
from schedplan.transition import Assignment, EpochEvent, TransitionEvent, advance


@dataclass(frozen=True)
class RunEvent:
    """A search begins, in `folder`, on `graph`."""

    folder: Path
    graph: StateGraph


@dataclass(frozen=True)
class PlanEvent:
    """A search has ended with `plan`."""

    plan: Plan


Event: TypeAlias = RunEvent | TransitionEvent | EpochEvent | PlanEvent


@dataclass(frozen=True)
class Problem:
    """What is searched, and how a transition is judged.

    Attributes:
        graph: the states and transitions.
        trainer: makes trainers.
        metric: a key of what the trainer's `evaluate` returns.
        mode: whether the metric is maximised (`max`) or minimised (`min`).
        estimator: finds the knee of a transition's curve; the paper's by default.
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


def solve(
    problem: Problem,
    folder: Path | None = None,
    *,
    executor: Executor | None = None,
    on_event: Callable[[Event], object] = lambda event: None,
    keep_snapshots: KeepSnapshots = "best",
    retry_failed: bool = False,
    config: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Plan:
    """Find the best path through the graph, exhaustively, and return it as a plan.

    Args:
        problem: what to search.
        folder: the run folder. If it holds an earlier, interrupted search of the same problem,
            that is continued. None: a temporary folder, removed in the end with the model.
        executor: where transitions run; in this process, one by one, by default. A pool of
            threads needs a trainer without global random state.
        on_event: called with every event, in this thread; of an executor of your own, epochs are
            not reported.
        keep_snapshots: `best` removes a snapshot once no later transition can need it.
        retry_failed: train transitions again that failed in an earlier run, and all that would
            now start from another model.
        config: plain data that determines the result, to bind `folder` to; by default derived
            from `problem`.
        provenance: further facts to put into the plan.

    Raises:
        RunFailedError: if so many transitions have failed that no final state can be reached.
        RunFolderError: if `folder` belongs to another problem or is in use.
        UsageError: what the user has to mend first, such as an unknown metric.

    Example:
        >>> from schedplan import SimulatedTrainer, Space, Axis, build_graph
        >>> from schedplan.graph import basic
        >>> space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
        >>> graph = build_graph(
        ...     space, basic(), space.select({"rate": 0.1}), space.select({"rate": 0.01})
        ... )
        >>> plan = solve(Problem(graph, SimulatedTrainer, metric="quality"))
        >>> plan.stages[-1].params["rate"]
        0.01
    """
    config = config or problem.facts()
    provenance = {**(provenance or {}), "fingerprint": fingerprint(config)}
    if folder is None:
        with tempfile.TemporaryDirectory(
            prefix="schedplan-", ignore_cleanup_errors=True
        ) as temporary:
            run: RunFolder = ScratchFolder(Path(temporary))
            search = _Search(problem, run, executor or SerialExecutor(), on_event, keep_snapshots)
            plan = _conclude(search, provenance)
    else:
        run = RunFolder(folder.absolute())
        with run.hold():
            run.configure(config)
            search = _Search(
                problem, run, executor or SerialExecutor(), on_event, keep_snapshots, retry_failed
            )
            plan = _conclude(search, provenance)
            plan.save(run.plan_file)
    on_event(PlanEvent(plan))
    return plan


@dataclass(frozen=True)
class Label:
    """The best model found for a state, and the path that led to it.

    Attributes:
        state: the state.
        outcome: how the last transition ended; None for `INITIAL`.
        previous: the label that this one was trained from; None for `INITIAL`.
        epochs: the length of the path in epochs.
    """

    state: State
    outcome: Outcome | None = None
    previous: Label | None = None
    epochs: int = 0

    @property
    def snapshot(self) -> str | None:
        """The model, relative to the run folder; None for `INITIAL`."""
        return self.outcome.snapshot if self.outcome else None

    @property
    def identity(self) -> str | None:
        """Tells the model, and all that led to it, from any other; None for `INITIAL`."""
        return self.outcome.identity if self.outcome else None

    def path(self) -> list[Label]:
        """Return the labels from `INITIAL` to this one."""
        labels: list[Label] = []
        label: Label | None = self
        while label is not None:
            labels.append(label)
            label = label.previous
        return labels[::-1]

    def extended(self, target: State, outcome: Outcome) -> Label:
        """Return the label of `target` after the transition from here that ended in `outcome`."""
        return Label(target, outcome, self, self.epochs + outcome.epoch)

    def merit(self, mode: Mode) -> tuple[float, int]:
        """Return what labels of one state are compared by: the score, then fewer epochs."""
        assert self.outcome is not None and self.outcome.score is not None
        return (self.outcome.score if mode == "max" else -self.outcome.score, -self.epochs)


def best_label(labels: Iterable[Label], rank: Mapping[State, int], mode: Mode) -> Label:
    """Return the label of highest merit; a tie goes to the predecessor that `rank` puts first."""
    ordered = sorted(labels, key=lambda label: rank[label.previous.state] if label.previous else -1)
    return max(ordered, key=lambda label: label.merit(mode))


class _Search:
    """One run of the dynamic program; `run` is the only method to call, once."""

    def __init__(
        self,
        problem: Problem,
        run: RunFolder,
        executor: Executor,
        on_event: Callable[[Event], object],
        keep_snapshots: KeepSnapshots,
        retry_failed: bool = False,
    ) -> None:
        self.problem, self.folder = problem, run
        self.executor, self.on_event = executor, on_event
        self.retry_failed = retry_failed
        self.trainer = PerThread(problem.trainer)
        self.dag = problem.graph.dag
        self.rank = {state: rank for rank, state in enumerate(problem.graph.order)}
        self.best: dict[State, Label] = {}
        self.arrived: dict[State, list[Label]] = {state: [] for state in self.dag}
        self.missing = dict(self.dag.in_degree())
        self.leaving = dict(self.dag.out_degree())
        self.ready: deque[Transition] = deque()
        self.running: dict[Future[Outcome], Transition] = {}
        self.failures: list[str] = []
        self.snapshots = SnapshotReferences(run.path, keep_snapshots)

    def run(self) -> Label:
        """Settle every state and return the best label of a final state."""
        self.on_event(RunEvent(self.folder.path, self.problem.graph))
        self.best[INITIAL] = Label(INITIAL)
        try:
            self._leave(INITIAL)
            while self.ready or self.running:
                if self.ready:
                    self._start(self.ready.popleft())
                # An executor that runs at once is heard at once; others are given all they can do.
                self._collect(block=not self.ready)
        finally:
            for future in self.running:
                future.cancel()
            # What is running still writes into the folder, which must not be let go before.
            wait(self.running)
        finals = [self.best[final] for final in self.problem.graph.finals if final in self.best]
        if not finals:
            raise _failed(self.failures, self.folder.path)
        return best_label(finals, self.rank, self.problem.mode)

    def _leave(self, source: State) -> None:
        """Make every transition out of a settled state ready."""
        self.ready.extend((source, target) for target in self.dag.successors(source))

    def _start(self, transition: Transition) -> None:
        source, target = transition
        if source not in self.best:
            self._arrive(transition, None)
            return
        key = transition_key(transition)
        params = target.space.params(target)
        start, origin = self.best[source].snapshot, self.best[source].identity
        known = self._known(key, origin)
        if known:
            self.on_event(TransitionEvent(key, params, known, known=True))
            self._arrive(transition, known)
            return
        if start is not None and not (self.folder.path / start).is_dir():
            raise RunFolderError(
                f"the model that {key} starts from is gone",
                where=str(self.folder.path / start),
                hint="start a new run with --out",
            )
        self.on_event(TransitionEvent(key, params))
        assignment = Assignment(
            run=self.folder,
            key=key,
            params=params,
            start=start,
            origin=origin,
            seed=derive_seed(self.problem.seed, key),
            metric=self.problem.metric,
            mode=self.problem.mode,
            estimator=self.problem.estimator,
            trainer=self.trainer,
        )
        # Only this process can be observed from within; elsewhere the journal tells.
        observe = self.on_event if isinstance(self.executor, SerialExecutor) else None
        self.running[self.executor.submit(advance, assignment, observe)] = transition

    def _known(self, key: str, origin: str | None) -> Outcome | None:
        """Return how the transition ended in an earlier run, if that still holds."""
        folder = self.folder.transition(key)
        known = folder.outcome()
        if known and (known.origin != origin or (known.status == "failed" and self.retry_failed)):
            folder.discard()
            return None
        return known

    def _collect(self, block: bool) -> None:
        """Take in every transition that has ended; if `block`, wait until there is one."""
        timeout = None if block else 0
        for future in wait(self.running, timeout, FIRST_COMPLETED).done:
            transition = self.running.pop(future)
            outcome = future.result()
            params = transition[1].space.params(transition[1])
            self.on_event(TransitionEvent(transition_key(transition), params, outcome))
            self._arrive(transition, outcome)

    def _arrive(self, transition: Transition, outcome: Outcome | None) -> None:
        """Take in how a transition ended; None if it could not even start."""
        source, target = transition
        if outcome and outcome.status == "done":
            label = self.best[source].extended(target, outcome)
            self.arrived[target].append(label)
            self.snapshots.acquire(label.snapshot)
        elif outcome:
            self.failures.append(f"{transition_key(transition)}: {outcome.reason}")
        self._depart(source)
        self.missing[target] -= 1
        if self.missing[target] == 0:
            self._settle(target)

    def _depart(self, source: State) -> None:
        self.leaving[source] -= 1
        if self.leaving[source] == 0 and source in self.best:
            self.snapshots.release(self.best[source].snapshot)

    def _settle(self, state: State) -> None:
        labels = self.arrived.pop(state)
        if labels:
            best = best_label(labels, self.rank, self.problem.mode)
            self.best[state] = best
            for label in labels:
                if label is not best:
                    self.snapshots.release(label.snapshot)
            if state in self.problem.graph.finals:
                self.snapshots.acquire(best.snapshot)
        self._leave(state)


def _failed(failures: list[str], folder: Path) -> RunFailedError:
    shown = "; ".join(failures[:3]) + (f"; and {len(failures) - 3} more" * (len(failures) > 3))
    return RunFailedError(
        f"no final state can be reached, {len(failures)} transitions failed: {shown}",
        hint=f"tracebacks are in {folder / 'transitions'}/*/error.txt; once the cause is mended, "
        "run again with --retry-failed",
    )


def _conclude(search: _Search, provenance: Mapping[str, Any]) -> Plan:
    """Run the search, publish its model and return its plan."""
    label, problem, run = search.run(), search.problem, search.folder
    assert label.outcome is not None and label.outcome.score is not None
    assert label.outcome.snapshot is not None
    publish_model(run, label.outcome.snapshot)
    stages = list(_stages(label))
    versions = {name: version(name) for name in ("schedplan", "networkx", "numpy", "scipy")}
    return Plan(
        name=problem.name,
        metric=problem.metric,
        mode=problem.mode,
        score=label.outcome.score,
        initial=stages[0] if stages[0].epochs == 0 else None,
        stages=tuple(stage for stage in stages if stage.epochs > 0),
        provenance={
            **provenance,
            "seed": problem.seed,
            "model_sha256": hash_folder(run.model),
            "versions": {"python": platform.python_version(), **versions},
        },
    )


def _stages(label: Label) -> Iterator[Stage]:
    """Yield the path to `label`, states where nothing was trained included."""
    for step in label.path():
        outcome = step.outcome
        if outcome is not None and outcome.score is not None and outcome.observed is not None:
            yield Stage(
                state=step.state.label,
                params=step.state.space.params(step.state),
                epochs=outcome.epoch,
                score=outcome.score,
                observed=outcome.observed,
                seed=outcome.seed,
            )
