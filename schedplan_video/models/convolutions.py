"""The convolutions of all networks, each made in one place.

Whatever form a convolution is computed in, it is an `nn.Conv3d` with a 5-dimensional weight, so
that state dicts do not depend on it. None has a bias, since a batch normalisation follows.
"""

from __future__ import annotations

from typing import TypeAlias

from torch import nn

Size: TypeAlias = tuple[int, int, int]
"""Steps or positions in (time, height, width)."""

ONE: Size = (1, 1, 1)


def convolution(
    in_channels: int,
    channels: int,
    kernel: Size,
    stride: Size = ONE,
    *,
    padding: Size | None = None,
    groups: int = 1,
) -> nn.Conv3d:
    """Return a convolution with Kaiming's fan-out weights.

    Args:
        in_channels, channels: of input and output.
        kernel, stride: see `Size`.
        padding: zeros at either end of each axis; by default half of the (odd) kernel, so that the
            output is as long as the input, divided by the stride and rounded up.
        groups: as many sets of channels that do not see each other.
    """
    if padding is None:
        padding = tuple(size // 2 for size in kernel)
    layer = nn.Conv3d(
        in_channels, channels, kernel, stride, padding=padding, groups=groups, bias=False
    )
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def pointwise(in_channels: int, channels: int, stride: Size = ONE) -> nn.Conv3d:
    """Return a 1x1x1 convolution."""
    return convolution(in_channels, channels, (1, 1, 1), stride)


def spatial(in_channels: int, channels: int, stride: Size = ONE) -> nn.Conv3d:
    """Return S, a 1x3x3 convolution."""
    return convolution(in_channels, channels, (1, 3, 3), stride)


def temporal(in_channels: int, channels: int, stride: Size = ONE) -> nn.Conv3d:
    """Return T, a 3x1x1 convolution."""
    return convolution(in_channels, channels, (3, 1, 1), stride)


def full(in_channels: int, channels: int, stride: Size = ONE, groups: int = 1) -> nn.Conv3d:
    """Return a 3x3x3 convolution; with as many `groups` as channels it is depthwise."""
    return convolution(in_channels, channels, (3, 3, 3), stride, groups=groups)
