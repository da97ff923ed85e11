"""Training along a plan, stage by stage, without a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from schedplan.crew import TrainingCrew
from schedplan.errors import PlanError, RunFailedError
from schedplan.executors import DeviceExecutor, SerialExecutor
from schedplan.journal import (
    Outcome,
    RunFolder,
    copy_folder,
    is_sound,
    publish_folder,
)
from schedplan.knees import FixedEpochs
from schedplan.plan import Plan, Stage
from schedplan.trainer import TrainerFactory, derive_seed
from schedplan.transition import Assignment, EpochEvent, RetryEvent, Training, TransitionEvent

Observer: TypeAlias = Callable[[EpochEvent | RetryEvent | TransitionEvent], object]


def replay(
    plan: Plan,
    trainer: TrainerFactory,
    folder: Path,
    *,
    seed: int | None = None,
    executor: Executor | None = None,
    on_event: Observer = lambda event: None,
    config: Mapping[str, Any] | None = None,
) -> tuple[Outcome, ...]:
    """Train along a plan, stage by stage, without a search.

    With the trainer and seeds of the search and a trainer that is deterministic, the result is
    the search's. A replay that was cut off continues in the same folder. The model ends up in
    `folder / "model"`.

    Args:
        plan: what to train along.
        trainer: makes trainers.
        folder: where to write what was trained.
        seed: gives every stage another seed than the search's.
        executor: where stages are trained; in this process by default.
        on_event: called with every event, in this thread.
        config: plain data to bind `folder` to, besides `seed`; by default the plan.

    Returns:
        The outcomes of the plan's stages, and of its `final` if there is one.

    Raises:
        RunFailedError: if a stage fails; the message says which and why.
        RunFolderError: if the folder belongs to something else.
    """
    facts = config or {"replay": plan.as_dict()}
    with RunFolder(folder.absolute()).hold() as run:
        run.configure(facts if seed is None else {**facts, "seed": seed})
        course = _Course(plan, trainer, run, seed, executor or SerialExecutor(), on_event)
        outcomes = course.outcomes()
        run.check()
        if outcomes and outcomes[-1].snapshot is not None:
            publish_model(run, outcomes[-1].snapshot)
    return tuple(outcomes[1 if plan.initial else 0 :])


def stages_by_key(plan: Plan) -> dict[str, Stage]:
    """Return `plan.path` in its order, by the names of the trainings in a replay's run folder.

    These are `stage-01`, `stage-02`, ..., after a `stage-00` for `plan.initial` if there is one.

    Example:
        >>> from schedplan import Stage
        >>> stage = Stage("0.1", {"rate": 0.1}, epochs=3, score=0.9, observed=0.8, seed=1)
        >>> list(stages_by_key(Plan("demo", "top1", "max", score=0.9, stages=(stage, stage))))
        ['stage-01', 'stage-02']
    """
    numbered = enumerate(plan.path, start=1 if plan.initial is None else 0)
    return {_key(number): stage for number, stage in numbered}


def _key(number: int) -> str:
    return f"stage-{number:02d}"


class _Course:
    """Training along a plan."""

    def __init__(
        self,
        plan: Plan,
        trainer: TrainerFactory,
        run: RunFolder,
        seed: int | None,
        executor: Executor,
        on_event: Observer,
    ) -> None:
        self._stages = stages_by_key(plan)
        # All plans begin with the same seed, also where no epoch of their first training is kept.
        self._steps = {key: _key(number) for number, key in enumerate(self._stages, start=1)}
        self._before = {key: before for before, key in pairwise(self._stages)}
        self._plan, self._trainer, self._run = plan, trainer, run
        self._seed, self._on_event = seed, on_event
        self._crew = TrainingCrew(executor, run, on_event)
        self._devices = executor.largest if isinstance(executor, DeviceExecutor) else 1

    def outcomes(self) -> list[Outcome]:
        """Return how all stages have ended; train those that have not.

        Raises:
            RunFailedError: one has failed.
        """
        outcomes: list[Outcome] = []
        try:
            for key in self._stages:
                outcomes.append(self._outcome(key))
                if len(outcomes) > 1 and outcomes[-2].snapshot != outcomes[-1].snapshot:
                    self._run.remove(str(outcomes[-2].snapshot))
            if outcomes and not is_sound(self._run.path / str(outcomes[-1].snapshot)):
                self._run.remove(str(outcomes[-1].snapshot))
                outcomes[-1] = self._trained(key)
        finally:
            self._crew.stop()
        return outcomes

    def _outcome(self, key: str) -> Outcome:
        stage, folder = self._stages[key], self._run.transition(key)
        known = folder.outcome()
        if known is None or known.status == "failed":
            return self._trained(key)
        folder.tidy(known)  # an earlier session may have been killed before it did
        self._on_event(TransitionEvent(key, stage.params, known, known=True))
        return known

    def _trained(self, key: str) -> Outcome:
        """Train a stage and publish how it has ended."""
        stage = self._stages[key]
        self._on_event(TransitionEvent(key, stage.params))
        outcome = self._run.transition(key).publish(*self._train(key))
        self._on_event(TransitionEvent(key, stage.params, outcome))
        if outcome.status != "done" or outcome.snapshot is None:
            raise RunFailedError(f"{key} ({stage.state}) failed: {outcome.reason}")
        return outcome

    def _train(self, key: str) -> tuple[Outcome, int]:
        """Return how training a stage ends, however often the process that does it is lost; and
        the number of the attempt."""
        source = self._before.get(key)
        before = self._run.transition(source).outcome() if source else None
        stage = self._stages[key]
        seed = stage.seed if self._seed is None else derive_seed(self._seed, self._steps[key])
        training = Training(self._run, key, before.identity if before else None, seed)
        while True:
            assignment = Assignment(
                run=self._run,
                key=key,
                attempt=training.attempt,
                params=stage.params,
                before=before,
                seed=seed,
                metric=self._plan.metric,
                mode=self._plan.mode,
                estimator=FixedEpochs(stage.epochs),
                trainer=self._trainer,
            )
            self._crew.train(assignment, self._devices)
            ((_, result),) = self._crew.ended()
            ended = result if isinstance(result, Outcome) else training.go_on(result)
            if ended:
                return ended, training.attempt
            self._on_event(RetryEvent(key, str(result)))
            if source and before and not (self._run.path / str(before.snapshot)).is_dir():
                before = self._trained(source)


def confirm(
    plan: Plan,
    trainer: TrainerFactory,
    folder: Path,
    *,
    executor: Executor | None = None,
    on_event: Observer = lambda event: None,
    config: Mapping[str, Any] | None = None,
) -> Plan:
    """Train along `plan` once more, from scratch; return it with the score reached, `confirmed`.

    The score of a plan is optimistic: it is the best of many, judged by the very curves that it was
    chosen by. This one is of a training that nothing was chosen by, with a seed derived from the
    plan's. A plan that is confirmed already is returned as it is.

    Args:
        plan: what to train along.
        trainer: makes trainers.
        folder: where to write what was trained; if that was cut off, it is gone on with.
        executor, on_event, config: see `replay`.

    Raises:
        PlanError: if the plan has no stages.
        RunFailedError: if a stage fails; the message says which and why.
        RunFolderError: if the folder belongs to something else.

    Example:
        >>> import tempfile
        >>> from schedplan import SimulatedTrainer, Stage
        >>> stage = Stage("0.1", {"rate": 0.1}, epochs=3, score=0.9, observed=0.8, seed=1)
        >>> plan = Plan("demo", metric="quality", mode="max", score=0.9, stages=(stage,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     round(confirm(plan, SimulatedTrainer, Path(folder)).confirmed, 3)
        0.365
    """
    if plan.confirmed is not None:
        return plan
    if not plan.stages:
        raise PlanError("the plan has no stages to train along")
    seed = plan.confirmation_seed
    outcomes = replay(
        plan, trainer, folder, seed=seed, executor=executor, on_event=on_event, config=config
    )
    return replace(plan, confirmed=outcomes[-1].scores[-1])


def publish_model(run: RunFolder, snapshot: str) -> None:
    """Copy the snapshot (relative to the run folder) to where people look for the model."""
    publish_folder(run.model, partial(copy_folder, run.path / snapshot))
