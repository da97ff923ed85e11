"""R(2+1)D in its ResNet form: a spatial, then a temporal convolution, as heavy as one of 3x3x3.

After Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from schedplan_video.models.blocks import relu
from schedplan_video.models.convolutions import ONE, Size, spatial, temporal


def middle_channels(in_channels: int, channels: int) -> int:
    """Return M, with which S and T have no more weights than a 3x3x3 convolution.

    Example:
        >>> middle_channels(64, 64)
        144
    """
    return 27 * in_channels * channels // (9 * in_channels + 3 * channels)


def two_plus_one_unit(
    in_channels: int,
    channels: int,
    stride: Size = ONE,
    activation: Callable[[], nn.Module] = relu,
) -> nn.Sequential:
    """Return the unit ReLU(BN(T(ReLU(BN(S(x)))))) with `middle_channels` in the middle."""
    middle = middle_channels(in_channels, channels)
    return nn.Sequential(
        spatial(in_channels, middle, stride),
        nn.BatchNorm3d(middle),
        relu(),
        temporal(middle, channels),
        nn.BatchNorm3d(channels),
        activation(),
    )
