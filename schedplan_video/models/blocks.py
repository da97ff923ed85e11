"""The residual blocks that the networks are built from.

Every module here maps (B, C, T, H, W) to (B, C', T / t, H / s, W / s) for a stride (t, s, s).

A *unit* is what a network has in place of a residual block's 3x3x3 convolution: that convolution in
some form, its batch normalisation, and a ReLU unless it ends the block, where the identity is added
first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn
from torch.nn import functional

from schedplan_video.models.convolutions import ONE, Size, pointwise

REDUCTION = 16
MIN_HIDDEN = 4


def relu() -> nn.Module:
    """Return a ReLU that overwrites its input, for the output of a normalisation or a sum."""
    return nn.ReLU(inplace=True)


class Unit(Protocol):
    """Makes a unit; `activation` makes its ReLU."""

    def __call__(
        self,
        in_channels: int,
        channels: int,
        stride: Size = ONE,
        activation: Callable[[], nn.Module] = relu,
    ) -> nn.Module: ...


class InflatableUnit(nn.Module):
    """A unit that can take over a 2D convolution and its normalisation.

    On a clip of identical frames it then computes what they compute on the frame.
    """

    norm: nn.BatchNorm3d

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the 2D kernel, (C', C, 3, 3)."""
        raise NotImplementedError

    def inflate(self, kernel: Tensor) -> None:
        """Set the weights by a kernel of that shape."""
        raise NotImplementedError


def hidden_channels(channels: int) -> int:
    """Return the width of a small network about `channels`: a sixteenth, but 4 at least."""
    return max(channels // REDUCTION, MIN_HIDDEN)


class GlobalContext(nn.Module):
    """Add to every position what a small network makes of the average over all positions.

    x + W2 ReLU(W1 pool(x)), with C / 16 hidden channels (4 at least). W2 starts at zero, weight
    and bias, so that a new network is the one without context.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = hidden_channels(channels)
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor) -> Tensor:
        context = self.expand(functional.relu(self.reduce(x.mean(dim=(2, 3, 4)))))
        return x + context[:, :, None, None, None]


def projection(in_channels: int, channels: int, stride: Size) -> nn.Module:
    """Return shortcut B of He et al. 2016: a strided 1x1x1 convolution and normalisation."""
    return nn.Sequential(pointwise(in_channels, channels, stride), nn.BatchNorm3d(channels))


class Subsample(nn.Module):
    """Shortcut A of He et al. 2016: every n-th position, and zeros for further channels."""

    def __init__(self, in_channels: int, channels: int, stride: Size) -> None:
        super().__init__()
        self.stride = stride
        self.further = channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        t, h, w = self.stride
        return functional.pad(x[:, :, ::t, ::h, ::w], (0, 0, 0, 0, 0, 0, 0, self.further))


class Residual(nn.Module):
    """ReLU(context(branch(x)) + shortcut(x)); the subclasses differ in their branch.

    Args:
        in_channels: C of the input.
        width: channels inside the block; it puts out `width * expansion`.
        stride: in time, height and width.
        unit: the form of the 3x3x3 convolution.
        context: made with the number of output channels and applied to the branch's output;
            `nn.Identity` for none.
        shortcut: made with input channels, output channels and stride where those change the
            shape.
    """

    expansion: int

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: Size,
        unit: Unit,
        context: Callable[[int], nn.Module] = nn.Identity,
        shortcut: Callable[[int, int, Size], nn.Module] = projection,
    ) -> None:
        super().__init__()
        self.in_channels, self.channels = in_channels, width * self.expansion
        self.branch = nn.Sequential(*self.make_branch(in_channels, width, stride, unit))
        self.context = context(self.channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != ONE or in_channels != self.channels:
            self.shortcut = shortcut(in_channels, self.channels, stride)

    def make_branch(
        self, in_channels: int, width: int, stride: Size, unit: Unit
    ) -> tuple[nn.Module, ...]:
        """Return the modules of the branch, in order."""
        raise NotImplementedError

    def total(self, x: Tensor) -> Tensor:
        """Return the sum of both paths, before the last ReLU."""
        return self.context(self.branch(x)) + self.shortcut(x)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.total(x), inplace=True)


class Basic(Residual):
    """Two units, as in ResNet-18 and -34."""

    expansion = 1

    def make_branch(
        self, in_channels: int, width: int, stride: Size, unit: Unit
    ) -> tuple[nn.Module, ...]:
        return unit(in_channels, width, stride), unit(width, width, activation=nn.Identity)


class Bottleneck(Residual):
    """One unit between two pointwise convolutions, as in ResNet-50, -101 and -152."""

    expansion = 4

    def make_branch(
        self, in_channels: int, width: int, stride: Size, unit: Unit
    ) -> tuple[nn.Module, ...]:
        return (
            pointwise(in_channels, width),
            nn.BatchNorm3d(width),
            relu(),
            unit(width, width, stride),
            pointwise(width, self.channels),
            nn.BatchNorm3d(self.channels),
        )
