"""How large the networks are, without building them in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from schedplan.errors import UsageError
from schedplan_video.models.network import ClipSize
from schedplan_video.models.registry import build


@dataclass(frozen=True)
class NetworkSize:
    """What a network costs on one clip.

    Attributes:
        name: see `registry.names`.
        parameters: numbers that are trained, those of heads for training only included.
        multiply_adds: of all convolutions and matrix products in evaluation; None if the network
            cannot use a clip of this size.
        clip_size: the smallest clip that it can use.
    """

    name: str
    parameters: int
    multiply_adds: int | None
    clip_size: ClipSize


def measure(name: str, *, frames: int, size: int, classes: int) -> NetworkSize:
    """Return the size of a network, counted on tensors without content.

    Args:
        name: one of `registry.names()`.
        frames: of an RGB clip.
        size: its height and width in pixels.
        classes: logits per head.

    Raises:
        UsageError: unknown name, or a number below 1.

    Example:
        >>> network = measure("p3d_resnet50", frames=16, size=224, classes=400)
        >>> f"{network.parameters / 1e6:.1f} M, {network.multiply_adds / 1e9:.1f} GMACs"
        '28.1 M, 20.2 GMACs'
    """
    for what, number in {"frames": frames, "size": size}.items():
        if number < 1:
            raise UsageError(f"{what} is {number}", allowed="1 or more")
    with torch.device("meta"):
        network = build(name, classes).eval()
        clip = torch.empty(1, 3, frames, size, size)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    try:
        network.clip_size.check(frames, size, size)
    except UsageError:
        return NetworkSize(name, parameters, None, network.clip_size)
    return NetworkSize(name, parameters, multiply_adds(network, clip), network.clip_size)


@torch.no_grad()
def multiply_adds(network: nn.Module, clips: Tensor) -> int:
    """Count those of all convolutions and matrix products, for `clips` as they are."""
    with FlopCounterMode(display=False) as counter:
        network(clips)
    return counter.get_total_flops() // 2
