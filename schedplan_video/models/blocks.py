"""The pieces that the networks are built from: convolutions, residual blocks, global context.

Every module here maps (B, C, T, H, W) to (B, C', T, H / stride, W / stride): strides act in space
only, time is shortened in the stem alone.

A *unit* is a 3x3x3-sized convolution in one of its factorised forms, ending before its last ReLU,
so that a residual block can use it in the middle (ReLU follows) or at its end (identity is added
first). P3D's three units are after Qiu et al., "Learning Spatio-Temporal Representation with
Pseudo-3D Residual Networks", ICCV 2017, figure 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

Unit: TypeAlias = Callable[[int, int, int], nn.Module]
"""Makes a unit from (input channels, output channels, spatial stride)."""

CONTEXT_RATIO = 16
MIN_CONTEXT_CHANNELS = 4


def pointwise(in_channels: int, channels: int, stride: int = 1) -> nn.Conv3d:
    """Return a 1x1x1 convolution."""
    return nn.Conv3d(in_channels, channels, 1, stride=(1, stride, stride), bias=False)


def spatial(in_channels: int, channels: int, stride: int = 1) -> nn.Conv3d:
    """Return S, a 1x3x3 convolution."""
    return nn.Conv3d(
        in_channels, channels, (1, 3, 3), (1, stride, stride), padding=(0, 1, 1), bias=False
    )


def temporal(in_channels: int, channels: int, stride: int = 1) -> nn.Conv3d:
    """Return T, a 3x1x1 convolution; a stride acts in space."""
    return nn.Conv3d(
        in_channels, channels, (3, 1, 1), (1, stride, stride), padding=(1, 0, 0), bias=False
    )


class SerialUnit(nn.Module):
    """P3D-A: BN(T(S(x)))."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.spatial = spatial(in_channels, channels, stride)
        self.temporal = temporal(channels, channels)
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.temporal(self.spatial(x)))


class ParallelUnit(nn.Module):
    """P3D-B: BN(S(x) + T(x))."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.spatial = spatial(in_channels, channels, stride)
        self.temporal = temporal(in_channels, channels, stride)
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.spatial(x) + self.temporal(x))


class SkipUnit(nn.Module):
    """P3D-C: y + T(y) with y = ReLU(BN(S(x)))."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.spatial = spatial(in_channels, channels, stride)
        self.norm = nn.BatchNorm3d(channels)
        self.temporal = temporal(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm(self.spatial(x)))
        return y + self.temporal(y)


class GlobalContext(nn.Module):
    """Add to every position what a small network makes of the average over all positions.

    x + W2 ReLU(W1 pool(x)), with C / 16 hidden channels (4 at least). W2 starts at zero, weight
    and bias, so that a new network is the one without context.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // CONTEXT_RATIO, MIN_CONTEXT_CHANNELS)
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor) -> Tensor:
        context = self.expand(functional.relu(self.reduce(x.mean(dim=(2, 3, 4)))))
        return x + context[:, :, None, None, None]


class Residual(nn.Module):
    """ReLU(context(branch(x)) + shortcut(x)); the subclasses differ in their branch.

    Args:
        in_channels: C of the input.
        width: channels inside the block; it puts out `width * expansion`.
        stride: in space.
        unit: the form of the 3x3x3 convolution.
        context: made with the number of output channels and applied to the branch's output;
            `nn.Identity` for none.
    """

    expansion: int

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        unit: Unit,
        context: Callable[[int], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        channels = width * self.expansion
        self.branch = self.make_branch(in_channels, width, stride, unit)
        self.context = context(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                pointwise(in_channels, channels, stride), nn.BatchNorm3d(channels)
            )

    @staticmethod
    def make_branch(in_channels: int, width: int, stride: int, unit: Unit) -> nn.Sequential:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.context(self.branch(x)) + self.shortcut(x))


class Basic(Residual):
    """Two units, as in ResNet-18 and -34."""

    expansion = 1

    @staticmethod
    def make_branch(in_channels: int, width: int, stride: int, unit: Unit) -> nn.Sequential:
        return nn.Sequential(
            unit(in_channels, width, stride), nn.ReLU(inplace=True), unit(width, width, 1)
        )


class Bottleneck(Residual):
    """One unit between two pointwise convolutions, as in ResNet-50, -101 and -152."""

    expansion = 4

    @staticmethod
    def make_branch(in_channels: int, width: int, stride: int, unit: Unit) -> nn.Sequential:
        channels = width * Bottleneck.expansion
        return nn.Sequential(
            pointwise(in_channels, width),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            unit(width, width, stride),
            nn.ReLU(inplace=True),
            pointwise(width, channels),
            nn.BatchNorm3d(channels),
        )
