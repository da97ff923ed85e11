"""A plan in Lightning's Trainer, by a callback."""

from __future__ import annotations

from typing import Any

from schedplan.adapters.schedule import OnStage, Schedule, in_proportion
from schedplan.errors import PlanError, missing
from schedplan.plan import Plan

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    raise missing("lightning", "lightning") from error


class PlanCallback(Callback):
    """Trains along a plan: `Trainer(max_epochs=plan.epochs, callbacks=[PlanCallback(plan)])`.

    In every epoch the first parameter group gets the planned learning rate; the others, also those
    of further optimisers, keep the proportion to it that `configure_optimizers` gives them. Where a
    stage begins, the optimisers' state is cleared, as plans are found with an optimiser that is
    fresh in every stage; `on_stage` is called; and then the data loaders are made anew, by means of
    `Trainer.reload_dataloaders_every_n_epochs`.

    Training goes on from any checkpoint of the Trainer's, in the middle of a stage, too.

    Args:
        plan: what to train along.
        rate: the name of the hyperparameter that is the learning rate.
        on_stage: takes all hyperparameters of a stage before its data loaders are made, and
            whenever training goes on inside of it: a method of the data module that remembers the
            batch size, for example. Required if the plan changes more than the learning rate.

    Raises:
        PlanError: if the plan is empty, `rate` is no learning rate, or `on_stage` is lacking; when
            training begins, if `max_epochs` is not the plan's, the module has learning-rate
            schedulers of its own, or the checkpoint is of another plan.

    Example:
        >>> from schedplan import Stage
        >>> stage = Stage("0.1", {"learning_rate": 0.1}, 2, score=0.5, observed=0.5, seed=1)
        >>> plan = Plan("demo", metric="top1", mode="max", score=0.5, stages=(stage,))
        >>> trainer = Trainer(max_epochs=plan.epochs, callbacks=[PlanCallback(plan)], logger=False)
    """

    def __init__(
        self, plan: Plan, rate: str = "learning_rate", on_stage: OnStage | None = None
    ) -> None:
        self.plan = plan
        self._schedule = Schedule(plan, rate)
        hint = "give a function on_stage that does, such as a method of the data module"
        self._schedule.require_handler(on_stage, hint)
        self._on_stage = on_stage
        self._epoch: int | None = None
        self._rates: list[float] = []
        self._reload_every = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin anew; a checkpoint, if there is one, is loaded after this."""
        if stage == "fit":
            self._epoch = None
            self._reload_every = trainer.reload_dataloaders_every_n_epochs

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a checkpoint was made."""
        self._schedule.require_same(state_dict["stages"])
        self._enter(min(state_dict["epoch"], self.plan.epochs - 1))

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch to go on with, and what the plan is known by."""
        return {"epoch": self._epoch or 0, "stages": self._schedule.stages}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that the trainer follows the plan and nothing else."""
        if not trainer.fast_dev_run:
            self._schedule.require_epochs("Trainer's max_epochs", trainer.max_epochs)
        if trainer.lr_scheduler_configs:
            raise PlanError(
                "configure_optimizers returns a learning-rate scheduler, as the plan is one",
                hint="return the optimiser alone",
            )
        self._rates = [float(group["lr"]) for group in _groups(trainer)]
        if self._epoch is None:
            self._enter(0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make ready for the first epoch; from a checkpoint, it may be another than seemed due."""
        epoch = trainer.current_epoch
        if self.plan.stage_at(epoch) is not self.plan.stage_at(self._epoch or 0):
            self._enter(epoch)
        self._reload_what_is_older_than_the_stage_of(epoch, trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the epoch's learning rate; make the optimisers fresh where a stage begins.

        That an epoch starts is not told where a checkpoint was made after the last batch of the one
        before; its first batch is.
        """
        if batch_idx > 0:
            return
        epoch = self._epoch = trainer.current_epoch
        rates = in_proportion(self._schedule.rate_at(epoch), self._rates)
        for group, rate in zip(_groups(trainer), rates, strict=True):
            group["lr"] = rate
        if self._schedule.begins(epoch):
            for optimizer in trainer.optimizers:
                optimizer.state.clear()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make ready for the next epoch, whose data loaders are made before it starts."""
        following = self._epoch = trainer.current_epoch + 1
        if following < self.plan.epochs:
            if self._schedule.begins(following):
                self._enter(following)
            self._reload_what_is_older_than_the_stage_of(following, trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the trainer's settings as they were."""
        if stage == "fit":
            trainer.reload_dataloaders_every_n_epochs = self._reload_every

    def _enter(self, epoch: int) -> None:
        self._epoch = epoch
        if self._on_stage is not None:
            self._on_stage(self.plan.params_at(epoch))

    def _reload_what_is_older_than_the_stage_of(self, epoch: int, trainer: Trainer) -> None:
        """Have data loaders made anew that were made in an epoch before this one's stage.

        Lightning makes anew what is at least so many epochs old, and asks in each epoch. For
        validation this may be later than in a stage's first, see `check_val_every_n_epoch`.
        """
        begun = max(start for start in self.plan.starts if start <= epoch)
        age = epoch - begun + 1
        trainer.reload_dataloaders_every_n_epochs = min(age, self._reload_every or age)


def _groups(trainer: Trainer) -> list[dict[str, Any]]:
    return [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
