"""A DG-P3D-50 written straight down with nn.Conv3d, and its training step: the baseline to beat.

Nothing of the project is used, and nothing is done for speed: float32, contiguous, eager.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCKS = (3, 4, 6, 3)


class Context(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // 16)
        self.expand = nn.Linear(channels // 16, channels)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.expand(self.reduce(x.mean((2, 3, 4))).relu())[:, :, None, None, None]


class Block(nn.Module):
    """A bottleneck whose middle is P3D-A, -B or -C."""

    def __init__(self, kind: str, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.kind = kind
        self.first = nn.Conv3d(inputs, width, 1, bias=False)
        self.first_norm = nn.BatchNorm3d(width)
        strides = (1, stride, stride)
        self.spatial = nn.Conv3d(width, width, (1, 3, 3), strides, (0, 1, 1), bias=False)
        self.temporal = nn.Conv3d(
            width, width, (3, 1, 1), strides if kind == "B" else 1, (1, 0, 0), bias=False
        )
        self.norm = nn.BatchNorm3d(width)
        self.last = nn.Conv3d(width, outputs, 1, bias=False)
        self.last_norm = nn.BatchNorm3d(outputs)
        self.context = Context(outputs)
        self.shortcut = None
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Conv3d(inputs, outputs, 1, strides, bias=False)
            self.shortcut_norm = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first_norm(self.first(x)).relu()
        if self.kind == "A":
            y = self.norm(self.temporal(self.spatial(y))).relu()
        elif self.kind == "B":
            y = self.norm(self.spatial(y) + self.temporal(y)).relu()
        else:
            y = self.norm(self.spatial(y)).relu()
            y = (y + self.temporal(y)).relu()
        y = self.last_norm(self.last(y))
        y = y + self.context(y)
        if self.shortcut is not None:
            x = self.shortcut_norm(self.shortcut(x))
        return (y + x).relu()


class PlainDGP3D(nn.Module):
    """DG-P3D-50: clips (B, 3, T, H, W) to the logits of both heads."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 64, (4, 7, 7), (4, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = nn.Sequential(*(self.stage(number, 1 + (number > 0)) for number in range(3)))
        self.temporal = self.stage(3, 2)
        self.pool = nn.MaxPool3d((4, 1, 1))
        self.spatial = self.stage(3, 1)
        self.dropout = nn.Dropout(0.5)
        self.classifiers = nn.ModuleList(nn.Linear(2048, classes) for _ in range(2))

    @staticmethod
    def stage(number: int, stride: int) -> nn.Sequential:
        first, width = sum(BLOCKS[:number]), 64 * 2**number
        blocks = []
        for index in range(BLOCKS[number]):
            inputs = 4 * width if index else max(2 * width, 64) if number else 64
            kind = "ABC"[(first + index) % 3]
            blocks.append(Block(kind, inputs, width, 1 if index else stride))
        return nn.Sequential(*blocks)

    def forward(self, clips: Tensor) -> list[Tensor]:
        x = self.trunk(self.stem(clips))
        outputs = self.temporal(x), self.spatial(self.pool(x))
        return [
            classifier(self.dropout(y.mean((2, 3, 4))))
            for classifier, y in zip(self.classifiers, outputs, strict=True)
        ]


def plain_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, clips: Tensor, labels: Tensor
) -> None:
    """Train on a batch of float32 clips."""
    optimizer.zero_grad()
    loss = sum(functional.cross_entropy(logits, labels) for logits in model(clips))
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 40.0)
    optimizer.step()
