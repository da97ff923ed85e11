"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from schedplan.errors import UsageError, did_you_mean
from schedplan_video.models.blocks import (
    GlobalContext,
    ParallelUnit,
    SerialUnit,
    SkipUnit,
    Unit,
)
from schedplan_video.models.dual_head import dual_head
from schedplan_video.models.p3d import BLOCKS, ResNet, VideoNetwork, single_head

CHANNELS = 64
"""Output channels of the stem at width 1."""

CHANNEL_STEP = 8
"""Scaled channel counts are multiples of this, and at least this."""

_MIXED = (SerialUnit, ParallelUnit, SkipUnit)


@dataclass(frozen=True)
class _Family:
    """What tells one family of networks from another, at every depth."""

    units: tuple[Unit, ...]
    context: Callable[[int], nn.Module] = nn.Identity
    heads: Callable[..., VideoNetwork] = single_head


_FAMILIES = {
    "p3d": _Family(_MIXED),
    "p3da": _Family((SerialUnit,)),
    "p3db": _Family((ParallelUnit,)),
    "p3dc": _Family((SkipUnit,)),
    "g_p3d": _Family(_MIXED, GlobalContext),
    "dg_p3d": _Family(_MIXED, GlobalContext, dual_head),
}

_NETWORKS = {
    f"{name}_resnet{depth}": (family, depth)
    for name, family in _FAMILIES.items()
    for depth in BLOCKS
}


def names() -> tuple[str, ...]:
    """Return the names that `build` knows, sorted."""
    return tuple(sorted(_NETWORKS))


def check_name(name: str) -> None:
    """Raise `UsageError` unless `build` knows `name`."""
    if name not in _NETWORKS:
        raise UsageError(
            f"unknown network {name!r}", allowed=names(), hint=did_you_mean(name, names())
        )


def build(
    name: str,
    num_classes: int,
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    width: float = 1.0,
) -> VideoNetwork:
    """Return a new network with random weights (Kaiming, fan-out) from torch's global generator.

    Args:
        name: one of `names()`.
        num_classes: logits per head.
        in_channels: 3 for RGB, 2 for optical flow.
        dropout: before each classifier, in [0, 1).
        width: scales all channel counts; they stay multiples of 8 (of 8 x 2^i in stage i + 1).

    Raises:
        UsageError: unknown name, or a number out of bounds.

    Example:
        >>> import torch
        >>> network = build("dg_p3d_resnet18", 10, width=0.125)
        >>> [tuple(logits.shape) for logits in network(torch.zeros(2, 3, 16, 32, 32))]
        [(2, 10), (2, 10)]
    """
    check_name(name)
    if num_classes < 1:
        raise UsageError(f"num_classes is {num_classes}", allowed="1 or more")
    if not 0 <= dropout < 1:
        raise UsageError(f"dropout is {dropout}", allowed="from 0 to below 1")
    if not width > 0:
        raise UsageError(f"width is {width}", allowed="above 0")
    family, depth = _NETWORKS[name]
    channels = max(round(CHANNELS * width / CHANNEL_STEP), 1) * CHANNEL_STEP
    resnet = ResNet(depth, family.units, family.context, channels)
    return family.heads(resnet, num_classes, in_channels=in_channels, dropout=dropout)
