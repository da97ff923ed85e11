"""The answer of a search: a schedule in stages, which can be saved, asked and trained again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from schedplan.errors import PlanError, RunFailedError
from schedplan.executors import SerialExecutor
from schedplan.journal import (
    Outcome,
    RunFolder,
    TransitionFolder,
    copy_folder,
    publish_folder,
    write_text,
)
from schedplan.knees import FixedEpochs, Mode
from schedplan.trainer import TrainerFactory, derive_seed
from schedplan.transition import Assignment, EpochEvent, TransitionEvent, advance

VERSION = 1
"""The version of the file format."""

Observer: TypeAlias = Callable[[EpochEvent | TransitionEvent], object]


@dataclass(frozen=True)
class Stage:
    """Train for `epochs` epochs under `params`.

    Attributes:
        state: the state's name in the search.
        params: all hyperparameters.
        epochs: at least 1, but for a plan's `initial` and `final`.
        score: the metric at the end of the stage as the knee estimator has it; a fitted value
            where a curve is fitted. None where it is not known, as in a published plan.
        observed: the metric that was measured there; None likewise.
        seed: what the trainer was begun with.
    """

    state: str
    params: dict[str, Any]
    epochs: int
    score: float | None
    observed: float | None
    seed: int


@dataclass(frozen=True)
class Plan:
    """A schedule of stages, in the order of training.

    Attributes:
        name: of the search.
        metric: what was planned for.
        mode: `max` or `min`.
        score: the metric expected at the end, as it is measured under the settings of the last of
            `path`; None where it is not known.
        initial: where the model was made, if no epoch was kept there: a stage of 0 epochs.
        stages: one or more; none only if no training improved on the initial model.
        final: where the plan ends, if no epoch was kept there: a stage of 0 epochs.
        complete: whether the search came to its end; if a budget ended it, this is the best so far.
        confirmed: what training along the plan once more, from scratch and with another seed,
            has reached, if that was tried.
        provenance: where the plan comes from: configuration, versions, snapshot hash.

    Example:
        >>> stages = (
        ...     Stage("16_0.1", {"clip": 16, "rate": 0.1}, 30, score=0.5, observed=0.51, seed=1),
        ...     Stage("32_0.01", {"clip": 32, "rate": 0.01}, 10, score=0.6, observed=0.59, seed=2),
        ... )
        >>> plan = Plan("demo", metric="top1", mode="max", score=0.6, stages=stages)
        >>> plan.epochs
        40
        >>> plan.params_at(30)
        {'clip': 32, 'rate': 0.01}
    """

    name: str
    metric: str
    mode: Mode
    score: float | None
    stages: tuple[Stage, ...]
    initial: Stage | None = None
    final: Stage | None = None
    complete: bool = True
    confirmed: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """The length of the schedule in epochs."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def path(self) -> tuple[Stage, ...]:
        """All that a replay goes through: the stages between `initial` and `final`."""
        ends = self.initial, *self.stages, self.final
        return tuple(stage for stage in ends if stage is not None)

    @property
    def confirmation_seed(self) -> int:
        """The seed to train along the plan once more with, see `confirm`."""
        return derive_seed(self.provenance.get("seed", 0), "confirm")

    @property
    def bare(self) -> Plan:
        """The plan without what does not matter to training along it."""
        return replace(self, complete=True, confirmed=None, provenance={})

    def params_at(self, epoch: int) -> dict[str, Any]:
        """Return the hyperparameters of the epoch counted from 0 over the whole schedule.

        Raises:
            PlanError: if `epoch` is not in [0, epochs).
        """
        if epoch >= 0:
            end = 0
            for stage in self.stages:
                end += stage.epochs
                if epoch < end:
                    return dict(stage.params)
        raise PlanError(
            f"the plan has no epoch {epoch}",
            allowed=f"0 to {self.epochs - 1}" if self.stages else "none, it is empty",
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, as it is saved."""
        facts = {"version": VERSION, **asdict(self)}
        return {**facts, "stages": list(facts["stages"])}

    def as_yaml(self) -> str:
        """Return the text of the plan's file."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False)

    def save(self, path: Path) -> None:
        """Write the plan as YAML."""
        write_text(path, self.as_yaml())

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan that `save` has written.

        Args:
            path: the file, or the run folder that it lies in.

        Raises:
            PlanError: if the file is missing, no YAML, of another version, or not a plan; the
                message names the place inside the file.
        """
        path = Path(path)
        if path.is_dir():
            path = RunFolder(path).plan_file
        try:
            facts = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise PlanError(f"cannot read the plan: {error.strerror}", where=str(path)) from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            problem = " ".join(str(error).split())
            raise PlanError(f"this is no YAML file: {problem}", where=str(path)) from error
        return cls.from_dict(facts, where=str(path))

    @classmethod
    def from_dict(cls, facts: Any, where: str | None = None) -> Plan:
        """Return the plan that `as_dict` has described; PlanError if it is none."""
        # pydantic is imported here because it is slow to import and only reading needs it.
        from pydantic import TypeAdapter, ValidationError

        if not isinstance(facts, dict) or "stages" not in facts:
            raise PlanError("this is no plan", where=where, hint="`schedplan run` makes one")
        if facts.get("version") != VERSION:
            raise PlanError(
                f"the plan has the version {facts.get('version')!r}", where=where, allowed=[VERSION]
            )
        content = {key: value for key, value in facts.items() if key != "version"}
        try:
            plan = TypeAdapter(cls).validate_python(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise PlanError(f"{place}: {first['msg']}", where=where) from error
        for number, stage in enumerate(plan.stages):
            if stage.epochs < 1:
                raise PlanError(
                    f"stages.{number}.epochs is {stage.epochs}", where=where, allowed="1 or more"
                )
        return plan


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
    run = RunFolder(folder.absolute())
    executor = executor or SerialExecutor()
    observe = on_event if isinstance(executor, SerialExecutor) else None
    before: Outcome | None = None
    outcomes: list[Outcome] = []
    facts = config or {"replay": plan.as_dict()}
    with run.hold():
        run.configure(facts if seed is None else {**facts, "seed": seed})
        for number, stage in enumerate(plan.path, start=1 if plan.initial is None else 0):
            training = run.transition(f"stage-{number:02d}")
            known = training.outcome()
            if known and known.status == "failed":
                training.discard()
                known = None
            on_event(TransitionEvent(training.key, stage.params))
            outcome = known
            if known:
                training.trim(keep=set())  # an earlier session may have been killed before it did
            if outcome is None:
                drawn = stage.seed if seed is None else derive_seed(seed, training.key)
                seeded = replace(stage, seed=drawn)
                assignment = _assignment(plan, seeded, trainer, run, training, before)
                ended = executor.submit(advance, assignment, observe).result()
                outcome = training.publish(ended)
            on_event(TransitionEvent(training.key, stage.params, outcome, known is not None))
            if outcome.status != "done" or outcome.snapshot is None:
                raise RunFailedError(f"stage {number} ({stage.state}) failed: {outcome.reason}")
            before = outcome
            if stage is not plan.initial:
                outcomes.append(outcome)
        if before is not None and before.snapshot is not None:
            publish_model(run, before.snapshot)
    return tuple(outcomes)


def _assignment(
    plan: Plan,
    stage: Stage,
    trainer: TrainerFactory,
    run: RunFolder,
    training: TransitionFolder,
    before: Outcome | None,
) -> Assignment:
    """Return all that is needed to train `stage` from the model of the stage before it."""
    return Assignment(
        run=run,
        key=training.key,
        attempt=training.begin_attempt(before.identity if before else None),
        params=stage.params,
        before=before,
        seed=stage.seed,
        metric=plan.metric,
        mode=plan.mode,
        estimator=FixedEpochs(stage.epochs),
        trainer=trainer,
    )


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
        >>> from schedplan import SimulatedTrainer
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
