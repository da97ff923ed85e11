"""P3D: the 3x3x3 convolution taken apart into space and time.

The units A, B and C are those of Qiu et al., "Learning Spatio-Temporal Representation with
Pseudo-3D Residual Networks", ICCV 2017, figure 2; the stem is that of Qiu et al., "Optimization
Planning for 3D ConvNets", ICML 2021, shared by all the networks compared there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from schedplan_video.models.blocks import InflatableUnit, Unit, relu
from schedplan_video.models.convolutions import ONE, Size, spatial, temporal
from schedplan_video.models.resnet import SPACE, Stem

STEM = Stem(
    kernel=(4, 7, 7),
    stride=(4, 2, 2),
    padding=(0, 3, 3),
    pool_kernel=(1, 3, 3),
    pool_stride=SPACE,
)
"""Four frames become one time step; after it, strides act in space only."""


class _PseudoUnit(InflatableUnit):
    """S, T and a normalisation; the subclasses differ in how these are put together."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: Size = ONE,
        activation: Callable[[], nn.Module] = relu,
    ) -> None:
        super().__init__()
        self.spatial = spatial(in_channels, channels, stride)
        self.temporal = self.make_temporal(in_channels, channels, stride)
        self.norm = nn.BatchNorm3d(channels)
        self.activation = activation()

    def make_temporal(self, in_channels: int, channels: int, stride: Size) -> nn.Conv3d:
        """Return T, which follows S unless a subclass says otherwise."""
        return temporal(channels, channels)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        return tuple(self.spatial.weight.squeeze(2).shape)

    @torch.no_grad()
    def inflate(self, kernel: Tensor) -> None:
        self.spatial.weight.copy_(kernel[:, :, None])
        nn.init.zeros_(self.temporal.weight)


class SerialUnit(_PseudoUnit):
    """P3D-A: ReLU(BN(T(S(x))))."""

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.temporal(self.spatial(x))))

    def inflate(self, kernel: Tensor) -> None:
        super().inflate(kernel)
        nn.init.dirac_(self.temporal.weight)


class ParallelUnit(_PseudoUnit):
    """P3D-B: ReLU(BN(S(x) + T(x)))."""

    def make_temporal(self, in_channels: int, channels: int, stride: Size) -> nn.Conv3d:
        return temporal(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.spatial(x) + self.temporal(x)))


class SkipUnit(_PseudoUnit):
    """P3D-C: ReLU(y + T(y)) with y = ReLU(BN(S(x))).

    At the end of a block there is no ReLU in either place: as in a 2D ResNet, the normalised output
    keeps its sign until the identity is added.
    """

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.norm(self.spatial(x)))
        return self.activation(y + self.temporal(y))


MIXED: tuple[Unit, ...] = (SerialUnit, ParallelUnit, SkipUnit)
"""The units of P3D without a letter, which take turns."""
