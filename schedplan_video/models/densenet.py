"""The 3D DenseNets of Hara et al. 2018 (see `r3d`), after Huang et al., CVPR 2017."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from schedplan_video.models.blocks import relu
from schedplan_video.models.convolutions import full, pointwise
from schedplan_video.models.network import ClipSize, Head, VideoNetwork
from schedplan_video.models.r3d import STEM
from schedplan_video.models.resnet import CHANNELS

BOTTLENECK = 4
"""Channels between a layer's two convolutions, per channel that it adds."""

SMALLEST = ClipSize(frames=15, side=29)
"""Less than that, and the third transition has nothing to average."""


class DenseLayer(nn.Module):
    """x -> (x, F(x)), joined along the channels; F adds `growth` of them."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        middle = BOTTLENECK * growth
        self.branch = nn.Sequential(
            nn.BatchNorm3d(in_channels),
            relu(),
            pointwise(in_channels, middle),
            nn.BatchNorm3d(middle),
            relu(),
            full(middle, growth),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.branch(x)], dim=1)


@dataclass(frozen=True, kw_only=True)
class DenseNet:
    """What a DenseNet is made of; makes the whole network.

    Args:
        layers: of each of the four dense blocks.
        channels: output channels of the stem; every layer adds half as many.
    """

    layers: tuple[int, int, int, int]
    channels: int = CHANNELS

    def network(self, num_classes: int, *, in_channels: int, dropout: float) -> VideoNetwork:
        """Return a new network; the arguments are those of `registry.build`."""
        channels, growth = self.channels, self.channels // 2
        modules: list[nn.Module] = [STEM.make(in_channels, channels)]
        for index, count in enumerate(self.layers):
            if index:
                modules.append(_transition(channels))
                channels //= 2
            modules += (DenseLayer(channels + number * growth, growth) for number in range(count))
            channels += count * growth
        last = nn.Sequential(nn.BatchNorm3d(channels), relu())
        head = Head(last, channels, num_classes, dropout)
        return VideoNetwork(nn.Sequential(*modules), [head], SMALLEST)


def _transition(channels: int) -> nn.Sequential:
    """Return the module between two dense blocks, which halves channels, time and space."""
    return nn.Sequential(
        nn.BatchNorm3d(channels), relu(), pointwise(channels, channels // 2), nn.AvgPool3d(2)
    )
