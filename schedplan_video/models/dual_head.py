"""The dual head of DG-P3D (Qiu et al. 2021): one head fine in time, one fine in space."""

from __future__ import annotations

from torch import nn

from schedplan_video.models.p3d import STEM_FRAMES, Head, ResNet, VideoNetwork

POOLED_STEPS = 4
"""Time steps after the stem that the spatial head pools into one."""


def dual_head(
    resnet: ResNet, num_classes: int, *, in_channels: int = 3, dropout: float = 0.5
) -> VideoNetwork:
    """Return a network with a temporal and a spatial head on the output of stage 3.

    The temporal head is stage 4 as usual: T / 4 x H / 32 x W / 32 before its pool. The spatial head
    max-pools time by 4 and then has a stage 4 of its own at stride 1: T / 16 x H / 16 x W / 16.
    Clips need 16 frames at least.
    """
    temporal = resnet.stage(4, 2)
    spatial = nn.Sequential(nn.MaxPool3d((POOLED_STEPS, 1, 1)), resnet.stage(4, 1))
    heads = [
        Head(stage, resnet.out_channels(4), num_classes, dropout) for stage in (temporal, spatial)
    ]
    return VideoNetwork(resnet.trunk(in_channels), heads, STEM_FRAMES * POOLED_STEPS)
