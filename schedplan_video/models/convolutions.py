"""The convolutions and poolings of all networks, each made in one place.

Whatever form a convolution is computed in, it is an `nn.Conv3d` with a 5-dimensional weight, so
that state dicts do not depend on it. None has a bias, since a batch normalisation follows.

A clip whose channels stand last in memory is, without a copy, a batch of frames, or a picture of
time by place. What acts on frames or along time alone, which is most of the work of a factorised
network, is then computed in two dimensions: exactly the same sums, by the kernels that libraries
care about most. (Those for three dimensions in bfloat16 were slow or wrong in several releases of
cuDNN from 9.8 on, and PyTorch 2.9 did without them.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Size: TypeAlias = tuple[int, int, int]
"""Steps or positions in (time, height, width)."""

ONE: Size = (1, 1, 1)


class Convolution(nn.Conv3d):
    """A 3D convolution, computed in two dimensions where that is the same and takes no copy."""

    def forward(self, x: Tensor) -> Tensor:
        if not _channels_last(x):
            return super().forward(x)
        (time, *_), (steps, *strides), (ends, *_) = self.kernel_size, self.stride, self.padding
        if time == steps and ends == 0 and (time == 1 or self.groups == 1):
            return in_space(x, self.weight, strides, self.padding[1:], self.groups)
        if self.kernel_size[1:] == (1, 1) == self.stride[1:] and self.padding[1:] == (0, 0):
            return in_time(x, self.weight, steps, ends, self.groups)
        return super().forward(x)


class MaxPool(nn.MaxPool3d):
    """A 3D max-pool, computed in two dimensions where that is the same and takes no copy."""

    def forward(self, x: Tensor) -> Tensor:
        if _channels_last(x) and self.kernel_size[0] == self.stride[0] == 1:
            frames = functional.max_pool2d(
                _frames(x), self.kernel_size[1:], self.stride[1:], self.padding[1:]
            )
            return _clips(frames, len(x))
        return super().forward(x)


def in_space(
    x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int], groups: int = 1
) -> Tensor:
    """Convolve frames, or runs of frames that do not overlap, of which each becomes one step.

    Args:
        x: (B, C, T, H, W), channels last.
        weight: (C', C / groups, k, h, w); k frames in a row are taken together, T // k times.
        stride, padding: in height and width.
        groups: as of `nn.Conv3d`; 1 unless k is 1.

    Returns:
        (B, C', T // k, H', W'), channels last; what `nn.Conv3d` gives with temporal stride k.
    """
    run = weight.shape[2]
    steps = x.shape[2] // run
    frames = _frames(x[:, :, : steps * run])
    if run > 1:  # side by side as channels; a copy, but of a clip's three
        frames = frames.unflatten(0, (-1, run)).permute(0, 3, 4, 1, 2).flatten(3)
        frames = frames.permute(0, 3, 1, 2)
    kernel = weight.transpose(1, 2).flatten(1, 2)
    return _clips(functional.conv2d(frames, kernel, None, stride, padding, 1, groups), len(x))


def in_time(x: Tensor, weight: Tensor, stride: int, padding: int, groups: int = 1) -> Tensor:
    """Convolve along time, at every place alike.

    Args:
        x: (B, C, T, H, W), channels last.
        weight: (C', C / groups, k, 1, 1).
        stride, padding: in time.
        groups: as of `nn.Conv3d`.

    Returns:
        (B, C', T', H, W), channels last.
    """
    size = x.shape[3:]
    picture = x.permute(0, 2, 3, 4, 1).flatten(2, 3).permute(0, 3, 1, 2)
    kernel = weight.squeeze(4)
    y = functional.conv2d(picture, kernel, None, (stride, 1), (padding, 0), 1, groups)
    return y.permute(0, 2, 3, 1).unflatten(2, size).permute(0, 4, 1, 2, 3)


def _channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last_3d) and not x.is_contiguous()


def _frames(x: Tensor) -> Tensor:
    """Return clips (B, C, T, H, W) as frames (B T, C, H, W), channels last."""
    return x.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)


def _clips(frames: Tensor, count: int) -> Tensor:
    """Return frames as `count` clips, channels last."""
    return frames.permute(0, 2, 3, 1).unflatten(0, (count, -1)).permute(0, 4, 1, 2, 3)


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
    layer = Convolution(
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
