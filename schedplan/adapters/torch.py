"""A plan in a torch training loop of one's own: a learning-rate scheduler that knows the rest."""

from __future__ import annotations

from typing import Any

from schedplan.adapters.schedule import Schedule, in_proportion
from schedplan.errors import PlanError, missing
from schedplan.plan import Plan, Stage

try:
    from torch import Tensor
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
except ModuleNotFoundError as error:
    raise missing("torch") from error


class PlanScheduler(LRScheduler):
    """Sets the learning rate of each epoch as planned, and tells all other hyperparameters of it.

    Call `step()` once after every epoch, `plan.epochs` times in all. The first parameter group gets
    the planned rate; the others keep the proportion to it that they have when this is made.

    Plans are found with an optimiser that is fresh in every stage, so `step()` also clears the
    optimiser's state, such as momentum, where a stage begins. What else changes there is the
    loop's to do when `changed` is true: make the data loaders anew, set dropout or weight decay.
    Where a plan ends in a stage without epochs, `plan.final` has the settings to evaluate under.

    Args:
        optimizer: its state is empty, or about to be loaded.
        plan: what to train along.
        rate: the name of the hyperparameter that is the learning rate.

    Raises:
        PlanError: if the plan is empty, `rate` is no learning rate, or the first group's is 0.

    Example:
        >>> import torch
        >>> stages = (
        ...     Stage("16_0.1", {"batch": 16, "rate": 0.1}, 2, score=0.5, observed=0.5, seed=1),
        ...     Stage("32_0.01", {"batch": 32, "rate": 0.01}, 1, score=0.6, observed=0.6, seed=2),
        ... )
        >>> plan = Plan("demo", metric="top1", mode="max", score=0.6, stages=stages)
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> scheduler = PlanScheduler(optimizer, plan, rate="rate")
        >>> for epoch in range(plan.epochs):
        ...     print(scheduler.changed, scheduler.params["batch"], scheduler.get_last_lr())
        ...     optimizer.step()  # in the place of training for an epoch
        ...     scheduler.step()
        True 16 [0.1]
        False 16 [0.1]
        True 32 [0.01]
    """

    def __init__(self, optimizer: Optimizer, plan: Plan, rate: str = "learning_rate") -> None:
        self._schedule = Schedule(plan, rate)
        super().__init__(optimizer)

    @property
    def plan(self) -> Plan:
        """What is trained along."""
        return self._schedule.plan

    @property
    def stage(self) -> Stage:
        """The stage of the epoch to train now; PlanError once all are trained."""
        return self.plan.stage_at(self.last_epoch)

    @property
    def params(self) -> dict[str, Any]:
        """All hyperparameters of the epoch to train now; PlanError once all are trained."""
        return dict(self.stage.params)

    @property
    def changed(self) -> bool:
        """Whether a stage begins with the epoch to train now; so it does with the first."""
        return self._schedule.begins(self.last_epoch)

    def get_lr(self) -> list[float]:
        """Return the groups' learning rates; after the last epoch they stay."""
        epoch = min(self.last_epoch, self.plan.epochs - 1)
        return in_proportion(self._schedule.rate_at(epoch), self.base_lrs)

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch, with a fresh optimiser if a stage begins there.

        Raises:
            PlanError: if the plan was at its end already.
        """
        if self.last_epoch >= self.plan.epochs:
            raise PlanError(
                f"the plan is at its end after {self.plan.epochs} epochs",
                hint="train for plan.epochs epochs, with one step() after each",
            )
        super().step(epoch)
        if self.changed and self.last_epoch > 0:
            self.optimizer.state.clear()

    def state_dict(self) -> dict[str, Any]:
        """Return the scheduler's place in the plan as plain data, which any loader takes."""
        state = super().state_dict()
        del state["_schedule"]
        return {**state, "stages": self._schedule.stages}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the scheduler was that `state_dict` comes from.

        Load the optimiser's, too, before or after. Where the epoch to go on with is not the first
        of its stage, `changed` is false: what the loop makes of `params` has to be made
        nevertheless.

        Raises:
            PlanError: if that scheduler followed another plan.
        """
        state = dict(state_dict)
        self._schedule.require_same(state.pop("stages", None))
        super().load_state_dict(state)
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            # That of the epoch to go on with, whatever the optimiser was given before.
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
