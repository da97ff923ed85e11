"""What a report tells: every training of a run, the steps of its answer, and their origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schedplan.journal import TrainingStatus
from schedplan.knees import Mode, Verdict
from schedplan.plan import Plan
from schedplan.report.view import GraphView
from schedplan.space import Params


@dataclass(frozen=True)
class Training:
    """One training of a transition, or of a stage of a replay.

    Attributes:
        key: its name in the run folder.
        source: the state whose model it begins from; empty for a stage of a replay.
        target: the state that is trained.
        params: that state's hyperparameters.
        status: how it ended; `begun` or `waiting` if it has not.
        reason: why it ended, in words; empty if it has not.
        rule: the name of the rule that has pruned it; None unless it is pruned.
        scores: the metric after every epoch trained, epoch 0 first.
        kept: the epoch whose model was handed on; None unless it is done.
        score: what that model is worth; None likewise.
        seconds: wall-clock time spent.
        epoch_cost: what an epoch costs.
        chosen: whether the chosen path takes it.
        verdict: what the estimator makes of the scores, with the curve fitted to them; None where
            there is no score, or the epochs were given.
    """

    key: str
    source: str
    target: str
    params: Params
    status: TrainingStatus = "waiting"
    reason: str = ""
    rule: str | None = None
    scores: tuple[float, ...] = ()
    kept: int | None = None
    score: float | None = None
    seconds: float = 0.0
    epoch_cost: float = 1.0
    chosen: bool = False
    verdict: Verdict | None = None

    @property
    def epochs(self) -> int:
        """The epochs trained."""
        return max(len(self.scores) - 1, 0)

    @property
    def cost(self) -> float:
        """What these epochs cost."""
        return self.epochs * self.epoch_cost

    @property
    def observed(self) -> float | None:
        """What was measured at the epoch kept; `score` may be a fitted value."""
        return None if self.kept is None else self.scores[self.kept]


@dataclass(frozen=True)
class Step:
    """A stage of the answer, as it was found and, if it was, as it was trained once more.

    Attributes:
        params: the hyperparameters.
        epochs: how long they are trained with.
        score: the metric at its end, as the plan has it; None if that is not known.
        observed: the same, as it was measured when the plan was found.
        again: the same, as training along the plan once more has measured it.
        scores: measured after epoch 0, 1, ..., at most `epochs`; empty if it is not trained yet.
    """

    params: Params
    epochs: int
    score: float | None
    observed: float | None
    again: float | None = None
    scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Content:
    """All that a report tells.

    Attributes:
        name: of the run.
        metric: what is planned for.
        mode: `max` or `min`.
        config: what the run is bound to.
        trainings: of a search, all there are and one for every transition that waits; of a replay,
            a training for every stage.
        steps: the stages of the answer, and where it begins and ends if no epoch was kept there;
            the best so far if the run goes on; empty if no final state was reached.
        plan: what a search has found, or a replay trains along.
        view: the graph searched; None for a replay.
        cost: the hyperparameter that says what an epoch costs; None: 1.
        front: the plans that trade score for cost, by name, the cheapest first.
        failure: what the run has failed by; empty while there is a way to its end.
    """

    name: str
    metric: str
    mode: Mode
    config: Mapping[str, Any]
    trainings: tuple[Training, ...]
    steps: tuple[Step, ...]
    plan: Plan | None = None
    view: GraphView | None = None
    cost: str | None = None
    front: Mapping[str, Plan] = field(default_factory=dict)
    failure: str = ""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        if self.view is None:
            return all(training.status == "done" for training in self.trainings)
        return self.plan is not None and self.plan.complete

    @property
    def epochs(self) -> int:
        """The epochs of the answer."""
        return sum(step.epochs for step in self.steps)
