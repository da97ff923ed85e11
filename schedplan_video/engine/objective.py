"""What training minimises: the cross-entropy of all heads, of clips that may be mixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms import v2

from schedplan_video.data.loader import Batch
from schedplan_video.data.transforms import normalize
from schedplan_video.engine.devices import find_precision, memory_format

Mix: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From clips (B, C, T, H, W) and labels (B,) to mixed clips and probabilities (B, num_classes)."""


@dataclass(frozen=True)
class Objective:
    """The loss of a network on a batch.

    Args:
        device: where it is computed.
        dtype: in which precision, see `forward`.
        label_smoothing: the share of a label that is spread over all classes, in [0, 1].
        mix: mixes clips and labels, see `mixing`; None leaves them as they are.
    """

    device: torch.device
    dtype: torch.dtype | None = None
    label_smoothing: float = 0.0
    mix: Mix | None = None

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the loss, summed over heads and samples."""
        clips, labels = _moved(batch, self.device)
        if self.mix:
            clips, labels = self.mix(clips, labels)
        return summed_loss(_logits(model, clips, self.dtype), labels, self.label_smoothing)


def forward(
    model: nn.Module, batch: Batch, device: torch.device, dtype: torch.dtype | None = None
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return the float32 logits of each head, (B, num_classes), and the labels, (B,).

    Args:
        model: on `device`.
        batch: from a `ClipLoader`.
        device: where to compute.
        dtype: in which precision, where that is safe (autocast); by default the device's, see
            `find_precision`.
    """
    clips, labels = _moved(batch, device)
    return _logits(model, clips, dtype), labels


def summed_loss(logits: tuple[Tensor, ...], labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropies of all heads, summed over heads and samples.

    Args:
        logits: (B, num_classes) per head.
        labels: classes (B,), or probabilities (B, num_classes).
        label_smoothing: see `Objective`.
    """
    return sum(
        functional.cross_entropy(head, labels, reduction="sum", label_smoothing=label_smoothing)
        for head in logits
    )


def mixing(mixup: float, cutmix: float, num_classes: int) -> Mix | None:
    """Return what mixes the clips of a batch, each with the one before; None for nothing.

    It draws from torch's generator of the CPU.

    Args:
        mixup: alpha of Zhang et al. 2018: clips are blended, by shares from Beta(alpha, alpha).
        cutmix: alpha of Yun et al. 2019: a rectangle is pasted, the same in all frames, as large
            as such a share. With both above 0, each batch is treated by either.
        num_classes: for the labels, which are mixed by the same shares.

    Example:
        >>> mix = mixing(0.2, 1.0, num_classes=5)
        >>> clips, labels = mix(torch.zeros(2, 3, 4, 8, 8), torch.tensor([0, 4]))
        >>> clips.shape, labels.shape
        (torch.Size([2, 3, 4, 8, 8]), torch.Size([2, 5]))
    """
    kinds = {v2.MixUp: mixup, v2.CutMix: cutmix}
    chosen = [kind(alpha=alpha, num_classes=num_classes) for kind, alpha in kinds.items() if alpha]
    if not chosen:
        return None
    either = v2.RandomChoice(chosen)

    def mix(clips: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        clips, labels = either(tv_tensors.Video(clips), labels)
        return clips.as_subclass(Tensor), labels

    return mix


def _moved(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a batch's clips as the network takes them, and its labels, on `device`."""
    clips, labels, _ = batch
    clips = normalize(clips.to(device, non_blocking=True), memory_format(device))
    return clips, labels.to(device, non_blocking=True)


def _logits(model: nn.Module, clips: Tensor, dtype: torch.dtype | None) -> tuple[Tensor, ...]:
    dtype = dtype or find_precision("auto", clips.device)
    with torch.autocast(clips.device.type, dtype, enabled=dtype != torch.float32):
        logits = model(clips)
    return tuple(head.float() for head in logits)
