"""DG-P3D (Qiu et al. 2021): two heads, one fine in time, one fine in space."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from schedplan_video.models.convolutions import ONE, MaxPool
from schedplan_video.models.network import ClipSize, Head, VideoNetwork
from schedplan_video.models.resnet import ResNet

POOLED_STEPS = 4
"""Time steps after the stem that the spatial head pools into one."""


@dataclass(frozen=True, kw_only=True)
class DualHead(ResNet):
    """A ResNet with a temporal and a spatial head on the output of stage 3.

    The temporal head is stage 4 as usual: T / 4 x H / 32 x W / 32 before its pool. The spatial head
    max-pools time by 4 and then has a stage 4 of its own at stride 1: T / 16 x H / 16 x W / 16.
    """

    def network(self, num_classes: int, *, in_channels: int, dropout: float) -> VideoNetwork:
        stages = (
            self.stage(4),
            nn.Sequential(MaxPool((POOLED_STEPS, 1, 1)), self.stage(4, ONE)),
        )
        heads = [Head(stage, self.out_channels(4), num_classes, dropout) for stage in stages]
        shortest = ClipSize(self.stem.frames * POOLED_STEPS)
        return VideoNetwork(self.trunk(in_channels), heads, shortest)
