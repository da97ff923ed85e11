"""What every adapter asks of a plan: an epoch's learning rate, and whether it fits the loop."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from schedplan.errors import PlanError, did_you_mean
from schedplan.plan import Plan

OnStage: TypeAlias = Callable[[dict[str, Any]], object]
"""Takes all hyperparameters of a stage before it is trained."""


@dataclass(frozen=True)
class Schedule:
    """A plan of which one hyperparameter is the learning rate.

    Args:
        plan: has at least one stage.
        rate: the name of the hyperparameter that is the learning rate; a number above 0 in every
            stage.

    Raises:
        PlanError: if the plan is empty, or `rate` is not such a hyperparameter.

    Example:
        >>> from schedplan import Stage
        >>> stages = (
        ...     Stage("16_0.1", {"batch": 16, "rate": 0.1}, 3, score=0.5, observed=0.5, seed=1),
        ...     Stage("16_0.01", {"batch": 16, "rate": 0.01}, 1, score=0.6, observed=0.6, seed=2),
        ... )
        >>> schedule = Schedule(Plan("demo", "top1", "max", 0.6, stages), "rate")
        >>> [schedule.rate_at(epoch) for epoch in range(4)]
        [0.1, 0.1, 0.1, 0.01]
        >>> schedule.others
        []
    """

    plan: Plan
    rate: str

    def __post_init__(self) -> None:
        if not self.plan.stages:
            raise PlanError("the plan has no stages to train along")
        for number, stage in enumerate(self.plan.stages, start=1):
            if self.rate not in stage.params:
                raise PlanError(
                    f"the plan has no hyperparameter {self.rate!r}",
                    allowed=stage.params,
                    hint=did_you_mean(self.rate, stage.params)
                    or "`rate`, or --rate of `export`, names the one that is the learning rate",
                )
            value = stage.params[self.rate]
            if type(value) not in (int, float) or not 0 < value < math.inf:
                raise PlanError(
                    f"{self.rate!r} is {value!r} in stage {number} of the plan",
                    allowed="numbers above 0, as learning rates are",
                )

    def rate_at(self, epoch: int) -> float:
        """Return the learning rate of the epoch; PlanError if the plan does not have it."""
        return float(self.plan.stage_at(epoch).params[self.rate])

    def begins(self, epoch: int) -> bool:
        """Return whether a stage begins with the epoch."""
        return epoch in self.plan.starts

    @property
    def others(self) -> list[str]:
        """The hyperparameters besides the learning rate that are not the same in all stages."""
        return [name for name in self.plan.changing if name != self.rate]

    @property
    def stages(self) -> list[list[Any]]:
        """What makes two plans the same training, as plain data for checkpoints."""
        stages = [[stage.params, stage.epochs] for stage in self.plan.stages]
        plain: list[list[Any]] = json.loads(json.dumps(stages))  # a checkpoint has no tuples
        return plain

    def require_same(self, stages: object) -> None:
        """Raise PlanError unless a checkpoint's `stages` are ours."""
        if stages != self.stages:
            raise PlanError(
                "the checkpoint was made along another plan",
                hint="go on with the plan that it was made with, or begin anew",
            )

    def require_epochs(self, name: str, epochs: object) -> None:
        """Raise PlanError unless a trainer's setting called `name` is the plan's length."""
        if epochs != self.plan.epochs:
            raise PlanError(
                f"{name} is {epochs}", allowed=f"{self.plan.epochs}, the epochs of the plan"
            )

    def require_handler(self, on_stage: OnStage | None, hint: str) -> None:
        """Raise PlanError if more than the learning rate changes and nobody sees to that."""
        if self.others and on_stage is None:
            names = ", ".join(self.others)
            raise PlanError(f"the plan changes {names}, which nothing here sets", hint=hint)


def in_proportion(rate: float, rates: Sequence[Any]) -> list[float]:
    """Scale `rates`, those of an optimiser's parameter groups, so that the first becomes `rate`.

    Raises:
        PlanError: if the first is 0, to which nothing is in proportion.

    Example:
        >>> in_proportion(0.5, [0.1, 0.05])
        [0.5, 0.25]
    """
    first = float(rates[0])
    if not first:
        raise PlanError(
            "the learning rate of the optimiser's first parameter group is 0",
            allowed="a number above 0, to which those of the other groups are in proportion",
        )
    return [rate * (float(each) / first) for each in rates]
