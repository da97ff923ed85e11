"""A plan in the Trainer of Hugging Face's transformers, by a callback."""

from __future__ import annotations

from typing import Any, Final

from schedplan.adapters.schedule import OnStage, Schedule, in_proportion
from schedplan.errors import PlanError, missing
from schedplan.plan import Plan, Stage

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ModuleNotFoundError as error:
    raise missing("transformers", "transformers") from error

_KEPT_AS: Final = "schedplan.PlanCallback"
"""What the plan goes by in a checkpoint."""


class PlanCallback(TrainerCallback):
    """Trains along a plan: `Trainer(..., callbacks=[PlanCallback(plan)])`.

    The arguments have to say `num_train_epochs=plan.epochs` and `lr_scheduler_type="constant"`. In
    every epoch the first parameter group gets the planned learning rate, and the others keep their
    proportion to it. Where a stage begins, `on_stage` is called and the optimiser's state is
    cleared, as plans are found with an optimiser that is fresh in every stage. Training goes on
    from any checkpoint of the Trainer's, in the middle of a stage, too.

    The Trainer counts its steps beforehand, by the batches of the first epoch. A plan that changes
    how many there are, by its batch size for example, is trained along by a Trainer for each stage,
    without this callback:

        for number, stage in enumerate(plan.stages):
            arguments = TrainingArguments(
                f"stage-{number}",
                num_train_epochs=stage.epochs,
                learning_rate=stage.params["learning_rate"],
                lr_scheduler_type="constant",
                per_device_train_batch_size=stage.params["batch_size"],
            )
            Trainer(model, arguments, train_dataset=data).train()

    Args:
        plan: what to train along.
        rate: the name of the hyperparameter that is the learning rate.
        on_stage: takes all hyperparameters of a stage before it is trained, and whenever training
            goes on inside of it: to set dropout, or a transform of the data. Required if the plan
            changes more than the learning rate.

    Raises:
        PlanError: if the plan is empty, `rate` is no learning rate, or `on_stage` is lacking; when
            training begins, if the arguments are others than those above, or the checkpoint is of
            another plan.

    Example:
        >>> stage = Stage("0.1", {"learning_rate": 0.1}, 2, score=0.5, observed=0.5, seed=1)
        >>> plan = Plan("demo", metric="top1", mode="max", score=0.5, stages=(stage,))
        >>> callbacks = [PlanCallback(plan)]
    """

    def __init__(
        self, plan: Plan, rate: str = "learning_rate", on_stage: OnStage | None = None
    ) -> None:
        self.plan = plan
        self._schedule = Schedule(plan, rate)
        hint = (
            "train a batch size with a Trainer for each of plan.stages, and give a function "
            "on_stage that sets anything else"
        )
        self._schedule.require_handler(on_stage, hint)
        self._on_stage = on_stage
        self._entered: Stage | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Check that the trainer, and its checkpoint, follow the plan and nothing else."""
        self._schedule.require_epochs("num_train_epochs", args.num_train_epochs)
        if args.max_steps > 0:
            raise PlanError(f"max_steps is {args.max_steps}", hint="leave it out")
        if args.lr_scheduler_type != "constant":
            raise PlanError(
                f"lr_scheduler_type is '{args.lr_scheduler_type.value}'",
                allowed="'constant', on which the callback puts the planned rates",
            )
        # Kept beside the state of callbacks, not as this one's: the Trainer would make it anew.
        kept = state.stateful_callbacks
        if state.global_step > 0:
            self._schedule.require_same(kept.get(_KEPT_AS))
        kept[_KEPT_AS] = self._schedule.stages
        self._entered = None

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Set the learning rate; make the optimiser fresh where a stage begins."""
        optimizer, scheduler = kwargs["optimizer"], kwargs["lr_scheduler"]
        passed = state.epoch or 0.0  # with a fraction where training goes on inside an epoch
        epoch = int(passed)
        # The scheduler, a constant one, sets the groups' rates to its own after every step.
        scheduler.base_lrs = in_proportion(self._schedule.rate_at(epoch), scheduler.base_lrs)
        for group, rate in zip(optimizer.param_groups, scheduler.base_lrs, strict=True):
            group["lr"] = rate
        if self._schedule.begins(epoch) and passed == epoch:
            optimizer.state.clear()
        stage = self.plan.stage_at(epoch)
        if self._on_stage is not None and stage is not self._entered:
            self._on_stage(dict(stage.params))
        self._entered = stage
