"""A small torch network on handwritten digits, with the five verbs. Used by digits_torch.yaml."""

import io

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from schedplan.trainer import derive_seed

data, labels = map(torch.tensor, load_digits(return_X_y=True))
train, val = train_test_split(torch.arange(len(data)), test_size=0.4, random_state=0)
images = (data / 16).float().reshape(-1, 1, 8, 8)


class DigitsTrainer:
    metrics = ("accuracy",)
    scales = {"accuracy": (0.1, 1.0)}  # guessing among 10 digits, and the best  # noqa: RUF012

    def begin(self, params, start, seed):
        torch.manual_seed(seed)
        self.params, self.seed, self.epoch = params, seed, 0
        self.model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(256, 10),
        )  # fmt: skip
        self.optimizer = torch.optim.SGD(self.model.parameters(), params["learning_rate"], 0.9)
        if start:
            model, *_ = torch.load(start / "state.pt", weights_only=True)
            self.model.load_state_dict(model)

    def train_epoch(self):
        self.epoch += 1
        torch.manual_seed(derive_seed(self.seed, self.epoch))
        for batch in train[torch.randperm(len(train))].split(self.params["batch_size"]):
            noise = self.params["augmentation"] * torch.randn(len(batch), 1, 8, 8)
            loss = nn.functional.cross_entropy(self.model(images[batch] + noise), labels[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return {"loss": loss.item()}

    @torch.no_grad()
    def evaluate(self):
        correct = self.model(images[val]).argmax(1) == labels[val]
        return {"accuracy": correct.float().mean().item()}

    def save(self, folder):
        content = io.BytesIO()  # torch.save would hide that a disk is full
        torch.save((self.model.state_dict(), self.optimizer.state_dict(), self.epoch), content)
        (folder / "state.pt").write_bytes(content.getbuffer())

    def restore(self, folder):
        model, optimizer, self.epoch = torch.load(folder / "state.pt", weights_only=True)
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
