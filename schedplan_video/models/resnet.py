"""Residual networks: a stem, four stages of residual blocks, and one head.

What tells one of them from another is data, the fields of a `ResNet`; what is not, such as a second
head, is a subclass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from schedplan_video.models.blocks import Basic, Bottleneck, Residual, Unit, projection, relu
from schedplan_video.models.convolutions import ONE, MaxPool, Size, convolution
from schedplan_video.models.network import ClipSize, Head, VideoNetwork

CHANNELS = 64
"""Output channels of the stem."""

SPACE: Size = (1, 2, 2)
SPACE_TIME: Size = (2, 2, 2)

LAYERS: dict[int, tuple[type[Residual], tuple[int, int, int, int]]] = {
    18: (Basic, (2, 2, 2, 2)),
    34: (Basic, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
    200: (Bottleneck, (3, 24, 36, 3)),
}
"""Kind of block and blocks per stage, by depth."""


@dataclass(frozen=True)
class Stem:
    """The first convolution and the max-pool after it, which is padded by half of its kernel."""

    kernel: Size
    stride: Size
    padding: Size
    pool_kernel: Size
    pool_stride: Size

    @property
    def frames(self) -> int:
        """The shortest clip."""
        return self.kernel[0] - 2 * self.padding[0]

    def make(self, in_channels: int, channels: int) -> nn.Sequential:
        """Return the module (B, in_channels, T, H, W) -> (B, channels, ...)."""
        padding = tuple(size // 2 for size in self.pool_kernel)
        return nn.Sequential(
            convolution(in_channels, channels, self.kernel, self.stride, padding=self.padding),
            nn.BatchNorm3d(channels),
            relu(),
            MaxPool(self.pool_kernel, self.pool_stride, padding),
        )


class Stage(nn.Sequential):
    """The residual blocks of one resolution.

    Args:
        number: 1 to 4.
        blocks: in order.
    """

    def __init__(self, number: int, *blocks: nn.Module) -> None:
        super().__init__(*blocks)
        self.number = number


@dataclass(frozen=True, kw_only=True)
class ResNet:
    """What a ResNet is made of; makes its stem, its stages and the whole network.

    Args:
        depth: a key of `LAYERS`, which says how many blocks there are.
        units: forms of the 3x3x3 convolution; the block with global index i, counted across
            stages, has `units[i % len(units)]`.
        stem: what comes before the stages.
        stride: of the first block of stages 2 to 4.
        context: see `blocks.Residual`.
        channels: output channels of the stem; the stages are 1, 2, 4 and 8 times as wide.
    """

    depth: int
    units: tuple[Unit, ...]
    stem: Stem
    stride: Size
    context: Callable[[int], nn.Module] = nn.Identity
    channels: int = CHANNELS

    def network(self, num_classes: int, *, in_channels: int, dropout: float) -> VideoNetwork:
        """Return a new network; the arguments are those of `registry.build`."""
        head = Head(self.stage(4), self.out_channels(4), num_classes, dropout)
        return VideoNetwork(self.trunk(in_channels), [head], ClipSize(self.stem.frames))

    def trunk(self, in_channels: int, stages: int = 3) -> nn.Sequential:
        """Return the stem and the first `stages`."""
        return nn.Sequential(
            self.stem.make(in_channels, self.channels),
            *(self.stage(number) for number in range(1, stages + 1)),
        )

    def stage(self, number: int, stride: Size | None = None) -> Stage:
        """Return stage `number` (1 to 4), whose first block has `stride` if it is given."""
        counts = LAYERS[self.depth][1]
        first = sum(counts[: number - 1])
        stride = stride or (ONE if number == 1 else self.stride)
        in_channels = self.channels if number == 1 else self.out_channels(number - 1)
        blocks = []
        for index in range(first, first + counts[number - 1]):
            unit = self.units[index % len(self.units)]
            blocks.append(self.make_block(in_channels, self.width(number), stride, unit))
            in_channels, stride = self.out_channels(number), ONE
        return Stage(number, *blocks)

    def make_block(self, in_channels: int, width: int, stride: Size, unit: Unit) -> nn.Module:
        """Return one residual block; see `blocks.Residual`."""
        return self.block(in_channels, width, stride, unit, self.context, self.shortcut_kind)

    def width(self, number: int) -> int:
        """Return how many channels the blocks of stage `number` have inside."""
        return self.channels * 2 ** (number - 1)

    def out_channels(self, number: int) -> int:
        """Return how many channels stage `number` puts out."""
        return self.width(number) * self.block.expansion

    @property
    def block(self) -> type[Residual]:
        """The kind of residual block."""
        return LAYERS[self.depth][0]

    @property
    def shortcut_kind(self) -> Callable[[int, int, Size], nn.Module]:
        """The kind of shortcut, where a block changes the shape."""
        return projection
