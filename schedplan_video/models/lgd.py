"""LGD-3D: a global path beside the local one, and both learn from each other in every block.

After Qiu et al., "Learning Spatio-Temporal Representation with Local and Global Diffusion", CVPR
2019, in the form that "Optimization Planning for 3D ConvNets" compares with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from schedplan_video.models.blocks import Residual, Unit, hidden_channels
from schedplan_video.models.convolutions import Size
from schedplan_video.models.network import ClipSize, Head, VideoNetwork
from schedplan_video.models.resnet import ResNet

Pair: TypeAlias = tuple[Tensor, Tensor]
"""Local features (B, C, T, H, W) and global ones (B, C)."""


class WithPool(nn.Module):
    """x -> (x, pool(x)): begin the global path with the average over all positions."""

    def forward(self, x: Tensor) -> Pair:
        return x, x.mean(dim=(2, 3, 4))


class Part(nn.Module):
    """Take one side of a pair: 0 is the local, 1 the global one."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, pair: Pair) -> Tensor:
        return pair[self.index]


class Diffusion(nn.Module):
    """(x, g) -> (ReLU(F(x) + identity + W6 W5 g'), g') with g' = ReLU(W2 W1 pool(x) + W4 W3 g).

    Args:
        local: the residual block with F(x) + identity; each product of two matrices has a sixteenth
            of its output channels between them, and no ReLU there.
    """

    def __init__(self, local: Residual) -> None:
        super().__init__()
        self.local = local
        self.pooled = _low_rank(local.in_channels, local.channels)
        self.carried = _low_rank(local.in_channels, local.channels)
        self.spread = _low_rank(local.channels, local.channels)

    def forward(self, pair: Pair) -> Pair:
        x, g = pair
        g = functional.relu(self.pooled(x.mean(dim=(2, 3, 4))) + self.carried(g))
        total = self.local.total(x) + self.spread(g)[:, :, None, None, None]
        return functional.relu(total, inplace=True), g


def _low_rank(in_channels: int, channels: int) -> nn.Sequential:
    hidden = hidden_channels(channels)
    return nn.Sequential(nn.Linear(in_channels, hidden), nn.Linear(hidden, channels))


@dataclass(frozen=True, kw_only=True)
class LocalGlobal(ResNet):
    """A ResNet with a global path, classified beside the local one while training only."""

    def network(self, num_classes: int, *, in_channels: int, dropout: float) -> VideoNetwork:
        stem, *stages = self.trunk(in_channels, stages=4)
        local, glob = (
            Head(Part(index), self.out_channels(4), num_classes, dropout) for index in (0, 1)
        )
        trunk = nn.Sequential(stem, WithPool(), *stages)
        return VideoNetwork(trunk, [local], ClipSize(self.stem.frames), auxiliary=[glob])

    def make_block(self, in_channels: int, width: int, stride: Size, unit: Unit) -> nn.Module:
        return Diffusion(super().make_block(in_channels, width, stride, unit))
