"""A plan in Hugging Face's real Trainer: rates, fresh optimisers, resuming, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plans import make_plan
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.trainer_callback import TrainerCallback

from schedplan.adapters.transformers import PlanCallback
from schedplan.errors import PlanError

PLAN = make_plan(
    ({"learning_rate": 0.1, "dropout": 0.0}, 2),
    ({"learning_rate": 0.1, "dropout": 0.2}, 1),
    ({"learning_rate": 0.01, "dropout": 0.2}, 2),
)
STEPS = 3  # batches of an epoch
ROWS = [{"input_ids": [1 + n % 5, 2, 3], "labels": n % 2} for n in range(4 * STEPS)]


class Notes(TrainerCallback):
    """What the optimiser really steps with: both groups' rates, dropout, and fresh or not."""

    def __init__(self):
        self.seen = []

    def on_pre_optimizer_step(self, args, state, control, model, optimizer, **kwargs):
        rates = [group["lr"] for group in optimizer.param_groups]
        self.seen.append((*rates, model.dropout.p, not optimizer.state))


def make_model():
    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=8,
            hidden_size=4,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=4,
        )
    )


def make_trainer(folder: Path, plan=PLAN, **options):
    model, notes = make_model(), Notes()

    def configure(params):
        model.dropout.p = params["dropout"]

    arguments = TrainingArguments(
        str(folder),
        **{
            "num_train_epochs": plan.epochs,
            "lr_scheduler_type": "constant",
            "per_device_train_batch_size": 4,
            "learning_rate": 0.1,
            "save_strategy": "steps",
            "save_steps": 1,
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            **options,
        },
    )
    callbacks = [PlanCallback(plan, on_stage=configure), notes]
    trainer = Trainer(model, arguments, train_dataset=ROWS, callbacks=callbacks)
    return trainer, notes


def planned(plan=PLAN):
    notes = []
    for epoch in range(plan.epochs):
        params = plan.params_at(epoch)
        rate, dropout = params["learning_rate"], params["dropout"]
        notes += [
            (rate, rate, dropout, epoch in plan.starts and step == 0) for step in range(STEPS)
        ]
    return notes


def test_the_trainer_trains_what_was_planned_and_goes_on_from_any_checkpoint(tmp_path):
    whole, notes = make_trainer(tmp_path / "whole")
    whole.train()
    assert notes.seen == planned()
    for step in (2, 6, 8):  # inside a stage's first epoch, between two stages, inside a later one
        resumed, notes = make_trainer(tmp_path / str(step), save_strategy="no")
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{step}"))
        assert notes.seen == planned()[step:]
        if step % STEPS == 0:  # inside an epoch, older versions do not go on with dropout exactly
            ours, theirs = resumed.model.state_dict(), whole.model.state_dict()
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_train_epochs": 4}, "num_train_epochs is 4; allowed: 5, the epochs of the plan"),
        ({"max_steps": 3}, "max_steps is 3; leave it out"),
        ({"lr_scheduler_type": "linear"}, "lr_scheduler_type is 'linear'; allowed: 'constant'"),
    ],
)
def test_a_trainer_that_does_not_follow_the_plan_is_refused(tmp_path, options, message):
    trainer, notes = make_trainer(tmp_path, **options)
    with pytest.raises(PlanError, match=message):
        trainer.train()
    assert notes.seen == []


def test_a_checkpoint_of_another_plan_is_refused(tmp_path):
    def plan_of(*rates):
        stages = [{"learning_rate": rate, "dropout": 0.0, "size": (8, 8)} for rate in rates]
        return make_plan(*((params, 1) for params in stages))

    plan, place = plan_of(0.1, 0.01), tmp_path / "whole"
    make_trainer(place, plan)[0].train()
    checkpoint = str(place / f"checkpoint-{STEPS}")
    resumed, notes = make_trainer(tmp_path / "other", plan_of(0.5, 0.2))
    with pytest.raises(PlanError, match="the checkpoint was made along another plan"):
        resumed.train(resume_from_checkpoint=checkpoint)
    assert notes.seen == []
    resumed, notes = make_trainer(tmp_path / "same", plan)
    resumed.train(resume_from_checkpoint=checkpoint)
    assert notes.seen == planned(plan)[STEPS:]


def test_a_plan_that_nothing_follows_is_refused():
    with pytest.raises(PlanError, match="changes dropout, which nothing here sets"):
        PlanCallback(PLAN)
    batches = make_plan(({"rate": 0.1, "batch_size": 2}, 1), ({"rate": 0.1, "batch_size": 4}, 1))
    with pytest.raises(PlanError, match="batch size with a Trainer for each"):
        PlanCallback(batches, rate="rate")


def test_batch_sizes_are_trained_with_a_trainer_for_each_stage(tmp_path):
    """The recipe in the callback's docstring."""
    model, sizes = make_model(), []
    plan = make_plan(
        ({"learning_rate": 0.1, "batch_size": 2}, 2), ({"learning_rate": 0.01, "batch_size": 4}, 1)
    )

    class Sizes(TrainerCallback):
        def on_step_end(self, args, state, control, optimizer, **kwargs):
            sizes.append((args.per_device_train_batch_size, optimizer.param_groups[0]["lr"]))

    for number, stage in enumerate(plan.stages):
        arguments = TrainingArguments(
            str(tmp_path / f"stage-{number}"),
            num_train_epochs=stage.epochs,
            learning_rate=stage.params["learning_rate"],
            lr_scheduler_type="constant",
            per_device_train_batch_size=stage.params["batch_size"],
            report_to="none",
            use_cpu=True,
        )
        Trainer(model, arguments, train_dataset=ROWS, callbacks=[Sizes()]).train()
    assert sizes == [(2, 0.1)] * 12 + [(4, 0.01)] * 3
