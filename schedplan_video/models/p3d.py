"""The ResNet form of P3D: stem, four stages of residual blocks, and one or more heads.

Facts from Qiu et al. 2021 ("Optimization Planning for 3D ConvNets") and its P3D predecessor; all
networks of that family (P3D, G-P3D, DG-P3D) differ only in what a `ResNet` names and in the heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from schedplan.errors import UsageError
from schedplan_video.models.blocks import Basic, Bottleneck, Residual, Unit

STEM_FRAMES = 4
"""Frames that the stem folds into one time step; the shortest clip of a single-head network."""

BLOCKS: dict[int, tuple[type[Residual], tuple[int, int, int, int]]] = {
    18: (Basic, (2, 2, 2, 2)),
    34: (Basic, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""Kind of block and blocks per stage, by depth."""


@dataclass(frozen=True)
class ResNet:
    """What a ResNet is made of; makes its stem and stages.

    Args:
        depth: a key of `BLOCKS`.
        units: forms of the 3x3x3 convolution; the block with global index i, counted across
            stages, has `units[i % len(units)]`.
        context: see `Residual`.
        channels: output channels of the stem; the stages are 1, 2, 4 and 8 times as wide.
    """

    depth: int
    units: tuple[Unit, ...]
    context: Callable[[int], nn.Module] = nn.Identity
    channels: int = 64

    def stem(self, in_channels: int) -> nn.Sequential:
        """Return the module (B, in_channels, T, H, W) -> (B, channels, T / 4, H / 4, W / 4)."""
        return nn.Sequential(
            nn.Conv3d(
                in_channels,
                self.channels,
                (STEM_FRAMES, 7, 7),
                (STEM_FRAMES, 2, 2),
                padding=(0, 3, 3),
                bias=False,
            ),
            nn.BatchNorm3d(self.channels),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
        )

    def stage(self, number: int, stride: int) -> nn.Sequential:
        """Return stage `number` (1 to 4), whose first block has the spatial `stride`."""
        block, counts = BLOCKS[self.depth]
        first = sum(counts[: number - 1])
        width = self.channels * 2 ** (number - 1)
        in_channels = self.channels if number == 1 else self.out_channels(number - 1)
        blocks = []
        for index in range(first, first + counts[number - 1]):
            unit = self.units[index % len(self.units)]
            blocks.append(block(in_channels, width, stride, unit, self.context))
            in_channels, stride = self.out_channels(number), 1
        return nn.Sequential(*blocks)

    def out_channels(self, number: int) -> int:
        """Return how many channels stage `number` puts out."""
        return self.channels * 2 ** (number - 1) * BLOCKS[self.depth][0].expansion

    def trunk(self, in_channels: int) -> nn.Sequential:
        """Return stem and stages 1 to 3, which all heads share."""
        return nn.Sequential(
            self.stem(in_channels), self.stage(1, 1), self.stage(2, 2), self.stage(3, 2)
        )


class Head(nn.Module):
    """Stage 4 in some form, global average pool, dropout and a linear classifier."""

    def __init__(self, stage: nn.Module, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.stage = stage
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.stage(x).mean(dim=(2, 3, 4))))


class VideoNetwork(nn.Module):
    """A trunk and its heads.

    `forward` maps clips (B, C, T, H, W) to a tuple with the logits (B, num_classes) of each head,
    in training as in evaluation. The loss is the sum over heads, the prediction the mean of their
    scores (`schedplan_video.evaluate.scores`).

    Args:
        trunk: what the heads share.
        heads: at least one.
        min_frames: the shortest clip that every head can use.

    Raises:
        UsageError: by `forward`, if the clips are shorter than `min_frames`.
    """

    def __init__(self, trunk: nn.Module, heads: Iterable[nn.Module], min_frames: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(heads)
        self.min_frames = min_frames
        self.apply(_initialise)

    def check_frames(self, frames: int) -> None:
        """Raise `UsageError` if clips of `frames` frames are too short."""
        if frames < self.min_frames:
            raise UsageError(
                f"this network cannot use clips of {frames} frames",
                allowed=f"{self.min_frames} frames or more",
            )

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        self.check_frames(clips.shape[2])
        features = self.trunk(clips)
        return tuple(head(features) for head in self.heads)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def single_head(
    resnet: ResNet, num_classes: int, *, in_channels: int = 3, dropout: float = 0.5
) -> VideoNetwork:
    """Return the plain network: one head on stage 4, T / 4 x H / 32 x W / 32 before its pool."""
    head = Head(resnet.stage(4, 2), resnet.out_channels(4), num_classes, dropout)
    return VideoNetwork(resnet.trunk(in_channels), [head], STEM_FRAMES)
