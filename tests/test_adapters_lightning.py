"""A plan in Lightning's real Trainer: rates, data loaders made anew, resuming from checkpoints."""

from __future__ import annotations

import logging

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from plans import LATE, PLAN, make_plan

from schedplan.adapters.lightning import PlanCallback
from schedplan.errors import PlanError

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = torch.linspace(-1, 1, 24).reshape(8, 3)
BATCHES = {2: 4, 4: 2}  # in an epoch, by their size


class Data(LightningDataModule):
    def __init__(self):
        super().__init__()
        self.batch_size, self.entered = None, []

    def configure(self, params):
        self.batch_size = params["batch_size"]
        self.entered.append(params)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(ROWS, self.batch_size)

    def val_dataloader(self):
        return torch.utils.data.DataLoader(ROWS, self.batch_size)


class Model(LightningModule):
    """Notes what it trains with: epoch, both groups' rates, rows of a batch, fresh or not."""

    def __init__(self, scheduled=False):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.scheduled = torch.nn.Linear(3, 1), scheduled
        self.seen, self.validated = [], []

    def configure_optimizers(self):
        groups = [{"params": [self.layer.weight]}, {"params": [self.layer.bias], "lr": 0.05}]
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        if self.scheduled:
            return [optimizer], [torch.optim.lr_scheduler.ConstantLR(optimizer)]
        return optimizer

    def training_step(self, batch, index):
        optimizer = self.trainer.optimizers[0]
        rates = [group["lr"] for group in optimizer.param_groups]
        fresh = not optimizer.state
        self.seen.append((self.current_epoch, *rates, len(batch), fresh))
        return self.layer(batch).square().mean()

    def validation_step(self, batch, index):
        self.validated.append((self.current_epoch, len(batch)))


def planned(plan=PLAN, first=0):
    """Return what a training along `plan` has to note."""
    notes = []
    for epoch in range(first, plan.epochs):
        params = plan.params_at(epoch)
        rate, size = params["learning_rate"], params["batch_size"]
        for batch in range(BATCHES[size]):
            notes.append((epoch, rate, rate / 2, size, epoch in plan.starts and batch == 0))
    return notes


def fit(model, data, plan=PLAN, checkpoint=None, callbacks=(), **options):
    trainer = Trainer(
        **{"max_epochs": plan.epochs, "num_sanity_val_steps": 1, **options},
        callbacks=[PlanCallback(plan, on_stage=data.configure), *callbacks],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=bool(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data, ckpt_path=checkpoint)
    return trainer


@pytest.mark.parametrize("every", [0, 1, 3])
def test_the_trainer_trains_what_was_planned(every):
    model, data = Model(), Data()
    trainer = fit(model, data, reload_dataloaders_every_n_epochs=every)
    assert model.seen == planned()
    sizes = {epoch: size for epoch, *_, size, _ in planned()}
    assert {size == sizes[epoch] for epoch, size in model.validated} == {True}
    assert data.entered == [stage.params for stage in PLAN.stages]
    assert trainer.reload_dataloaders_every_n_epochs == every


def test_validation_that_is_not_in_every_epoch_has_the_stages_loader():
    model = Model()
    fit(model, Data(), check_val_every_n_epoch=2)
    assert {size == 2 if epoch < 3 else size == 4 for epoch, size in model.validated} == {True}


def test_training_goes_on_from_any_checkpoint(tmp_path):
    after_epochs = ModelCheckpoint(
        tmp_path, "epoch-{epoch}", save_top_k=-1, save_on_train_epoch_end=True
    )
    after_steps = ModelCheckpoint(tmp_path, "step-{step}", save_top_k=-1, every_n_train_steps=3)
    whole = Model()
    fit(whole, Data(), callbacks=[after_epochs, after_steps])
    files = sorted(tmp_path.glob("*.ckpt"))
    assert len(files) == PLAN.epochs + len(whole.seen) // 3
    for file in files:
        model, data = Model(), Data()
        fit(model, data, checkpoint=file)
        rest = len(model.seen)
        assert model.seen == whole.seen[len(whole.seen) - rest :], file.name
        name, number = file.stem.split("=")
        if name.startswith("step"):
            assert rest == len(whole.seen) - int(number)
        else:
            assert model.seen == planned(first=int(number) + 1)
            assert torch.equal(model.layer.weight, whole.layer.weight)


def test_a_trial_run_of_one_batch_may_be_shorter():
    model = Model()
    fit(model, Data(), fast_dev_run=True)
    assert model.seen == planned()[:1]


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Model(), {"max_epochs": 6}, "max_epochs is 6; allowed: 7, the epochs of the plan"),
        (Model(), {"max_epochs": -1}, "max_epochs is -1"),
        (Model(scheduled=True), {}, "a learning-rate scheduler"),
    ],
)
def test_a_trainer_that_does_not_follow_the_plan_is_refused(model, options, message):
    with pytest.raises(PlanError, match=message):
        fit(model, Data(), **options)
    assert model.seen == []


def test_a_plan_that_nothing_follows_is_refused():
    for plan in (PLAN, LATE):
        with pytest.raises(
            PlanError, match="changes batch_size, which nothing here sets; give a function"
        ):
            PlanCallback(plan)
    with pytest.raises(PlanError, match="did you mean 'learning_rate'"):
        PlanCallback(PLAN, rate="learningrate", on_stage=print)


def test_a_checkpoint_of_another_plan_is_refused(tmp_path):
    other = make_plan(({"learning_rate": 0.1, "batch_size": 2}, 1))
    trainer = fit(Model(), Data(), plan=other)
    trainer.save_checkpoint(tmp_path / "other.ckpt")
    with pytest.raises(PlanError, match="along another plan"):
        fit(Model(), Data(), checkpoint=tmp_path / "other.ckpt")
