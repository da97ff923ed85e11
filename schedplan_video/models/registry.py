"""The networks by name."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from math import inf
from typing import Protocol

from schedplan.errors import UsageError, did_you_mean
from schedplan_video.models.blocks import GlobalContext
from schedplan_video.models.csn import ChannelSeparated, preserved_unit, reduced_unit
from schedplan_video.models.densenet import DenseNet
from schedplan_video.models.dual_head import DualHead
from schedplan_video.models.i3d import RepeatingUnit
from schedplan_video.models.lgd import LocalGlobal
from schedplan_video.models.network import VideoNetwork
from schedplan_video.models.p3d import MIXED, STEM, ParallelUnit, SerialUnit, SkipUnit
from schedplan_video.models.r2plus1d import two_plus_one_unit
from schedplan_video.models.r3d import R3D, PreactivatedR3D, ResNeXt3D, WideR3D
from schedplan_video.models.resnet import CHANNELS, LAYERS, SPACE, ResNet
from schedplan_video.models.torchvision_video import NAMES, TorchvisionNetwork

CHANNEL_STEP = 8
"""Scaled channel counts are multiples of this, and at least this."""


class Design(Protocol):
    """What a network is made of: a frozen dataclass, whose fields are the network's options."""

    def network(self, num_classes: int, *, in_channels: int, dropout: float) -> VideoNetwork: ...


_COMPARED = {
    "p3d": partial(ResNet, units=MIXED),
    "p3da": partial(ResNet, units=(SerialUnit,)),
    "p3db": partial(ResNet, units=(ParallelUnit,)),
    "p3dc": partial(ResNet, units=(SkipUnit,)),
    "g_p3d": partial(ResNet, units=MIXED, context=GlobalContext),
    "dg_p3d": partial(DualHead, units=MIXED, context=GlobalContext),
    "lgd_p3d": partial(LocalGlobal, units=MIXED),
    "i3d": partial(ResNet, units=(RepeatingUnit,)),
    "r2plus1d": partial(ResNet, units=(two_plus_one_unit,)),
}
"""The families that Qiu et al. 2021 compare, with one stem and no stride in time after it."""

_NETWORKS: dict[str, Design] = {
    **{
        f"{family}_resnet{depth}": design(depth=depth, stem=STEM, stride=SPACE)
        for family, design in _COMPARED.items()
        for depth in (18, 34, 50, 101, 152)
    },
    **{
        f"{family}_{depth}": ChannelSeparated(depth=depth, units=(unit,))
        for family, unit in (("ircsn", reduced_unit), ("ipcsn", preserved_unit))
        for depth in (50, 101, 152)
    },
    **{f"r3d_resnet{depth}": R3D(depth=depth) for depth in LAYERS},
    "r3d_preact_resnet200": PreactivatedR3D(depth=200),
    "r3d_wide_resnet50": WideR3D(depth=50),
    "r3d_resnext101": ResNeXt3D(depth=101),
    "r3d_densenet121": DenseNet(layers=(6, 12, 24, 16)),
    "r3d_densenet201": DenseNet(layers=(6, 12, 48, 32)),
    **{f"torchvision/{name}": TorchvisionNetwork(name) for name in NAMES},
}


def names() -> tuple[str, ...]:
    """Return the names that `build` knows, family by family."""
    return tuple(_NETWORKS)


def design(name: str, *, width: float = 1.0, shortcut: str | None = None) -> Design:
    """Return what a network is made of; the arguments are those of `build`.

    Raises:
        UsageError: unknown name, an option that this network does not have, or a bad value.
    """
    if name not in _NETWORKS:
        raise UsageError(
            f"unknown network {name!r}",
            allowed="what `schedplan video models` lists",
            hint=did_you_mean(name, names()),
        )
    if not 0 < width < inf:
        raise UsageError(f"width is {width}", allowed="above 0")
    chosen, changes = _NETWORKS[name], {}
    if width != 1:
        if not _has(chosen, "channels"):
            raise UsageError(f"width is {width}, but {name} has one size only", allowed="1")
        changes["channels"] = max(round(CHANNELS * width / CHANNEL_STEP), 1) * CHANNEL_STEP
    if shortcut is not None:
        if not _has(chosen, "shortcut"):
            others = [other for other, kind in _NETWORKS.items() if _has(kind, "shortcut")]
            raise UsageError(
                f"shortcut is {shortcut!r}, but {name} has no choice of shortcuts",
                allowed=f"with {', '.join(others)}",
            )
        changes["shortcut"] = shortcut
    return replace(chosen, **changes)


def _has(kind: Design, option: str) -> bool:
    return option in {field.name for field in fields(kind)}


def build(
    name: str,
    num_classes: int,
    *,
    in_channels: int = 3,
    dropout: float = 0.5,
    width: float = 1.0,
    shortcut: str | None = None,
) -> VideoNetwork:
    """Return a new network with random weights from torch's global generator.

    Convolutions start with Kaiming's fan-out weights, but for torchvision's networks, which start
    as torchvision has them.

    Args:
        name: one of `names()`.
        num_classes: logits per head.
        in_channels: 3 for RGB, 2 for optical flow.
        dropout: before each classifier, in [0, 1).
        width: scales all channel counts; they stay multiples of 8 (of 8 x 2^i in stage i + 1).
            torchvision's networks have 1 only.
        shortcut: `A` or `B` (the default), for the ResNets among the `r3d_` networks only.

    Raises:
        UsageError: unknown name, an option that this network does not have, or a number out of
            bounds.

    Example:
        >>> import torch
        >>> network = build("dg_p3d_resnet18", 10, width=0.125)
        >>> [tuple(logits.shape) for logits in network(torch.zeros(2, 3, 16, 32, 32))]
        [(2, 10), (2, 10)]
    """
    chosen = design(name, width=width, shortcut=shortcut)
    for what, number in {"num_classes": num_classes, "in_channels": in_channels}.items():
        if number < 1:
            raise UsageError(f"{what} is {number}", allowed="1 or more")
    if not 0 <= dropout < 1:
        raise UsageError(f"dropout is {dropout}", allowed="from 0 to below 1")
    return chosen.network(num_classes, in_channels=in_channels, dropout=dropout)
