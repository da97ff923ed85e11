"""What is given to whoever trains, and what is heard of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from schedplan.journal import EpochRecord, Outcome, RunFolder
from schedplan.knees import KneeEstimator, Mode, Verdict
from schedplan.space import Params
from schedplan.trainer import TrainerFactory


@dataclass(frozen=True)
class Assignment:
    """All that is needed to train a slice of a transition, wherever that is; picklable.

    Attributes:
        run: the run folder.
        key: the training's name in it.
        attempt: the number of the attempt, from `TransitionFolder.begin_attempt`.
        slice: a number of its own, higher than those of the slices before.
        trained: the last epoch that the driver knows of; -1 for none.
        until: the epoch to pause after, if the estimator does not stop before; None: never.
        seconds: pause after the epoch in which this slice has taken so long.
        params: the target state's hyperparameters.
        before: the outcome whose model training begins from; None for a new model.
        seed: for the trainer.
        metric: which of the metrics is planned for.
        mode: `max` or `min`.
        estimator: decides when to stop and which epoch's model to hand on.
        trainer: makes the trainer.
    """

    run: RunFolder
    key: str
    attempt: int
    params: Params
    before: Outcome | None
    seed: int
    metric: str
    mode: Mode
    estimator: KneeEstimator
    trainer: TrainerFactory
    slice: int = 0
    trained: int = -1
    until: int | None = None
    seconds: float = math.inf


@dataclass(frozen=True)
class EpochEvent:
    """A transition has an epoch more.

    Attributes:
        key: the training's name.
        record: what was measured.
        verdict: what the estimator makes of it; None where that is in another process.
    """

    key: str
    record: EpochRecord
    verdict: Verdict | None = None


@dataclass(frozen=True)
class TransitionEvent:
    """A transition has started (`outcome` is None), has ended, or was pruned; `known` if a past
    run trained it."""

    key: str
    params: Mapping[str, Any]
    outcome: Outcome | None = None
    known: bool = False


@dataclass(frozen=True)
class PauseEvent:
    """A transition waits, for its rivals or for budget, and nobody trains it; or it goes on
    (`over`)."""

    key: str
    over: bool = False


@dataclass(frozen=True)
class RetryEvent:
    """A transition goes on from its last snapshot, after what `reason` says."""

    key: str
    reason: str


Observer: TypeAlias = Callable[[EpochEvent], object]
