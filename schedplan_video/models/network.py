"""What every network is: a trunk and its heads, for clips of at least some size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from schedplan.errors import UsageError


@dataclass(frozen=True)
class ClipSize:
    """The smallest clips that a network can use.

    Args:
        frames: the shortest.
        side: smallest height and width in pixels.
        exact: larger clips cannot be used either.

    Example:
        >>> ClipSize(16).check(16, 224, 224)
        >>> ClipSize(16).check(8, 224, 224)
        Traceback (most recent call last):
        schedplan.errors.UsageError: this network cannot use clips of 8 frames; allowed: 16 frames \
or more
    """

    frames: int
    side: int = 1
    exact: bool = False

    def check(self, frames: int, height: int, width: int) -> None:
        """Raise `UsageError` if clips of this size cannot be used."""
        more = "" if self.exact else " or more"
        if frames < self.frames or (self.exact and frames > self.frames):
            raise UsageError(
                f"this network cannot use clips of {frames} frames",
                allowed=f"{self.frames} frames{more}",
            )
        if min(height, width) < self.side or (self.exact and max(height, width) > self.side):
            raise UsageError(
                f"this network cannot use clips of {height} x {width} pixels",
                allowed=f"{self.side} x {self.side} pixels{more}",
            )


class Head(nn.Module):
    """The network's last stage, global average pool, dropout and a linear classifier.

    Args:
        stage: what this head has for itself; puts out features (B, C, T, H, W), or (B, C) if they
            are pooled already.
        channels: C.
    """

    def __init__(self, stage: nn.Module, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.stage = stage
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Return what is classified, (B, C)."""
        x = self.stage(x)
        return x.mean(dim=(2, 3, 4)) if x.ndim == 5 else x

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(x)))


class VideoNetwork(nn.Module):
    """A trunk and its heads.

    `forward` maps clips (B, C, T, H, W) to a tuple with the logits (B, num_classes) of each head:
    in evaluation those of `heads`, in training those of `auxiliary` after them. The loss is the
    sum over the tuple, the prediction the mean of its scores (`schedplan_video.evaluate.scores`).

    Args:
        trunk: what the heads share.
        heads: at least one.
        clip_size: the smallest clips that every head can use.
        auxiliary: heads that take part in training only.

    Raises:
        UsageError: by `forward`, if the clips do not fit `clip_size`.
    """

    def __init__(
        self,
        trunk: nn.Module,
        heads: Iterable[Head],
        clip_size: ClipSize,
        auxiliary: Iterable[Head] = (),
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(heads)
        self.auxiliary = nn.ModuleList(auxiliary)
        self.clip_size = clip_size

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        self.clip_size.check(*clips.shape[2:])
        features = self.trunk(clips)
        heads = [*self.heads, *self.auxiliary] if self.training else self.heads
        return tuple(head(features) for head in heads)
