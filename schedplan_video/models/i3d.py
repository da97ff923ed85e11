"""I3D in its ResNet form: 3x3x3 convolutions, inflated from 2D ones.

After Carreira and Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017; not their Inception-I3D.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from schedplan_video.models.blocks import InflatableUnit, relu
from schedplan_video.models.convolutions import ONE, Size, convolution


class RepeatingUnit(InflatableUnit):
    """ReLU(BN(conv(x))); beyond either end of the clip lie repetitions of its end, not zeros.

    Otherwise a kernel that is spread over time would see less of a still picture at the ends than
    in the middle, and no inflated network could equal its 2D origin there.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: Size = ONE,
        activation: Callable[[], nn.Module] = relu,
    ) -> None:
        super().__init__()
        self.convolution = convolution(in_channels, channels, (3, 3, 3), stride, padding=(0, 1, 1))
        self.norm = nn.BatchNorm3d(channels)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
        return self.activation(self.norm(self.convolution(x)))

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        return tuple(self.convolution.weight[:, :, 0].shape)

    @torch.no_grad()
    def inflate(self, kernel: Tensor) -> None:
        slices = self.convolution.weight.shape[2]
        self.convolution.weight.copy_(kernel[:, :, None] / slices)
