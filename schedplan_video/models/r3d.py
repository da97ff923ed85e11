"""The 3D ResNets of Hara et al., "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and
ImageNet?", CVPR 2018: plain, pre-activated, wide and ResNeXt; their DenseNets are in `densenet`.

Published there, and not measured here: ResNeXt-101 on 64 frames reaches 78.4 on the Kinetics test
set (mean of top-1 and top-5), 94.5 on UCF-101 and 70.2 on HMDB-51 after fine-tuning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from schedplan.errors import UsageError
from schedplan_video.models.blocks import Bottleneck, Residual, Subsample, Unit, projection, relu
from schedplan_video.models.convolutions import ONE, Size, full, pointwise
from schedplan_video.models.network import ClipSize, Head, VideoNetwork
from schedplan_video.models.resnet import CHANNELS, SPACE, SPACE_TIME, ResNet, Stem

STEM = Stem(
    kernel=(7, 7, 7),
    stride=SPACE,
    padding=(3, 3, 3),
    pool_kernel=(3, 3, 3),
    pool_stride=SPACE_TIME,
)

SHORTCUTS: dict[str, Callable[[int, int, Size], nn.Module]] = {"A": Subsample, "B": projection}

CARDINALITY = 32
"""Groups of ResNeXt at width 1; a narrower network has fewer, of as many channels."""


def full_unit(
    in_channels: int,
    channels: int,
    stride: Size = ONE,
    activation: Callable[[], nn.Module] = relu,
    groups: int = 1,
) -> nn.Sequential:
    """Return the unit ReLU(BN(conv(x))) with a 3x3x3 convolution."""
    return nn.Sequential(
        full(in_channels, channels, stride, groups), nn.BatchNorm3d(channels), activation()
    )


class Preactivation(Bottleneck):
    """A bottleneck with normalisation and ReLU before each convolution, and none after the sum."""

    def make_branch(
        self, in_channels: int, width: int, stride: Size, unit: Unit
    ) -> tuple[nn.Module, ...]:
        return (
            nn.BatchNorm3d(in_channels),
            relu(),
            pointwise(in_channels, width),
            nn.BatchNorm3d(width),
            relu(),
            unit(width, width, stride),
            pointwise(width, self.channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.total(x)


class WideBottleneck(Bottleneck):
    """A bottleneck that is twice as wide inside for as many output channels."""

    expansion = 2


@dataclass(frozen=True, kw_only=True)
class R3D(ResNet):
    """A ResNet with strides in time, too.

    Args:
        shortcut: `A`, subsampled and padded with zeros, or `B`, a strided 1x1x1 convolution.
    """

    units: tuple[Unit, ...] = (full_unit,)
    stem: Stem = STEM
    stride: Size = SPACE_TIME
    shortcut: str = "B"

    def __post_init__(self) -> None:
        if self.shortcut not in SHORTCUTS:
            raise UsageError(f"shortcut is {self.shortcut!r}", allowed=SHORTCUTS)

    @property
    def shortcut_kind(self) -> Callable[[int, int, Size], nn.Module]:
        return SHORTCUTS[self.shortcut]


@dataclass(frozen=True, kw_only=True)
class PreactivatedR3D(R3D):
    """The pre-activated form (He et al. 2016), with a last normalisation and ReLU."""

    def network(self, num_classes: int, *, in_channels: int, dropout: float) -> VideoNetwork:
        channels = self.out_channels(4)
        stage = nn.Sequential(self.stage(4), nn.BatchNorm3d(channels), relu())
        head = Head(stage, channels, num_classes, dropout)
        return VideoNetwork(self.trunk(in_channels), [head], ClipSize(self.stem.frames))

    @property
    def block(self) -> type[Residual]:
        return Preactivation


@dataclass(frozen=True, kw_only=True)
class WideR3D(R3D):
    """The wide form (Zagoruyko and Komodakis 2016) with k = 2."""

    def width(self, number: int) -> int:
        return 2 * super().width(number)

    @property
    def block(self) -> type[Residual]:
        return WideBottleneck


@dataclass(frozen=True, kw_only=True)
class ResNeXt3D(WideR3D):
    """ResNeXt (Xie et al. 2017): wide, but its 3x3x3 convolutions are grouped."""

    def make_block(self, in_channels: int, width: int, stride: Size, unit: Unit) -> nn.Module:
        groups = CARDINALITY * self.channels // CHANNELS
        return super().make_block(in_channels, width, stride, partial(unit, groups=groups))
