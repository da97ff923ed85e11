"""Scripts that train along a plan, with toy models and data to put one's own in the place of.

Each is a template: `$plan` stands for Python that gives the plan, and `$rate` for the name of the
learning rate, as a Python text.
"""

from __future__ import annotations

TORCH = '''\
"""Trains along a plan in torch: put your model, data and loss in place of the toy ones."""

import torch
from torch.utils.data import DataLoader, TensorDataset

from schedplan import Plan
from schedplan.adapters.torch import PlanScheduler

plan = $plan
data = TensorDataset(torch.randn(64, 8), torch.randint(2, (64,)))
model = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=plan.params_at(0)[$rate], momentum=0.9)
scheduler = PlanScheduler(optimizer, plan, rate=$rate)

loader = None
for epoch in range(plan.epochs):
    if scheduler.changed or loader is None:  # scheduler.params holds all that the plan says
        loader = DataLoader(data, scheduler.params.get("batch_size", 16), shuffle=True)
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: {scheduler.params}, loss {loss.item():.3f}")
    scheduler.step()
'''

LIGHTNING = '''\
"""Trains along a plan in Lightning: put your module and data in place of the toy ones."""

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from schedplan import Plan
from schedplan.adapters.lightning import PlanCallback

plan = $plan


class Module(LightningModule):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.Linear(8, 2)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=plan.params_at(0)[$rate], momentum=0.9)

    def training_step(self, batch, batch_idx):
        inputs, labels = batch
        return torch.nn.functional.cross_entropy(self.model(inputs), labels)


class Data(LightningDataModule):
    def on_stage(self, params):  # called with all that the plan says, before loaders are made
        self.params = params
        print(params)

    def train_dataloader(self):
        data = TensorDataset(torch.randn(64, 8), torch.randint(2, (64,)))
        return DataLoader(data, self.params.get("batch_size", 16), shuffle=True)


data = Data()
follow = PlanCallback(plan, rate=$rate, on_stage=data.on_stage)
trainer = Trainer(max_epochs=plan.epochs, callbacks=[follow], logger=False)
trainer.fit(Module(), data)
'''

_MODEL = """\
data = [{"input_ids": [1 + n % 5, 2, 3], "labels": n % 2} for n in range(64)]
model = BertForSequenceClassification(
    BertConfig(
        vocab_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
)
"""

TRANSFORMERS = f'''\
"""Trains along a plan with transformers: put your model and data in place of the toy ones."""

from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from schedplan import Plan
from schedplan.adapters.transformers import PlanCallback

plan = $plan
{_MODEL}
arguments = TrainingArguments(
    "trained",
    num_train_epochs=plan.epochs,
    learning_rate=plan.params_at(0)[$rate],
    lr_scheduler_type="constant",
    per_device_train_batch_size=16,
    logging_strategy="epoch",
)
follow = PlanCallback(plan, rate=$rate)
Trainer(model, arguments, train_dataset=data, callbacks=[follow]).train()
'''

TRANSFORMERS_BY_STAGES = f'''\
"""Trains along a plan with transformers: put your model and data in place of the toy ones."""

from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from schedplan import Plan

plan = $plan
{_MODEL}
# The plan changes more than the learning rate, so that each stage has a Trainer of its own.
for number, stage in enumerate(plan.stages):
    print(stage.params)  # all that the plan says; set the rest of it here
    arguments = TrainingArguments(
        f"trained/stage-{{number}}",
        num_train_epochs=stage.epochs,
        learning_rate=stage.params[$rate],
        lr_scheduler_type="constant",
        per_device_train_batch_size=stage.params.get("batch_size", 16),
        logging_strategy="epoch",
    )
    Trainer(model, arguments, train_dataset=data).train()
'''
