"""From decoded frames to what the network sees (paper, section 5; PAPER.md, section 7).

Geometry is done on uint8 clips, the same for every frame of a clip; normalisation on whole batches,
on the device that trains.
"""

from __future__ import annotations

import torch
from torchvision.transforms import v2

from schedplan.errors import UsageError

MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's red, green and blue, in [0, 1]."""

STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's red, green and blue, in [0, 1]."""


def training(
    crop: int = 224, short_side: tuple[int, int] = (256, 340), flip: bool = True
) -> v2.Transform:
    """Return the training view: a random scale, a random square crop and a random mirror image.

    Draws from torch's global generator.

    Args:
        crop: side of the crop, in pixels.
        short_side: bounds of the frames' shorter side after scaling, both included, in pixels.
        flip: whether to mirror half of the clips left to right; not where direction has a meaning.

    Returns:
        from uint8 `tv_tensors.Video` of shape (T, C, H, W) to (T, C, crop, crop).

    Raises:
        UsageError: the crop does not fit into the shorter side.

    Example:
        >>> from torchvision import tv_tensors
        >>> clip = tv_tensors.Video(torch.zeros(16, 3, 240, 320, dtype=torch.uint8))
        >>> training(crop=112, short_side=(128, 170))(clip).shape
        torch.Size([16, 3, 112, 112])
    """
    low, high = short_side
    _check_fit(crop, low)
    if low > high:
        raise UsageError(f"short_side {short_side} is empty", allowed="(low, high), low <= high")
    mirror = [v2.RandomHorizontalFlip()] if flip else []
    return v2.Compose(
        [
            v2.RandomShortestSize(list(range(low, high + 1)), antialias=True),
            v2.RandomCrop(crop),
            *mirror,
        ]
    )


def evaluation(crop: int = 224, short_side: int = 256) -> v2.Transform:
    """Return the evaluation view: one scale and the centre crop.

    Args:
        crop: side of the crop, in pixels.
        short_side: the frames' shorter side after scaling, in pixels.

    Returns:
        from uint8 `tv_tensors.Video` of shape (T, C, H, W) to (T, C, crop, crop).

    Raises:
        UsageError: the crop does not fit into the shorter side.
    """
    _check_fit(crop, short_side)
    return v2.Compose([v2.Resize(short_side, antialias=True), v2.CenterCrop(crop)])


def normalize(batch: torch.Tensor) -> torch.Tensor:
    """Return clips as the network takes them: normalised by ImageNet's mean and deviation.

    Args:
        batch: uint8 of shape (B, T, 3, H, W), on any device.

    Returns:
        float32 of shape (B, 3, T, H, W), contiguous, on the same device.

    Example:
        >>> normalize(torch.zeros(2, 16, 3, 112, 112, dtype=torch.uint8)).shape
        torch.Size([2, 3, 16, 112, 112])
    """
    clips = batch.transpose(1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    mean = torch.tensor(MEAN, device=batch.device).view(3, 1, 1, 1) * 255
    std = torch.tensor(STD, device=batch.device).view(3, 1, 1, 1) * 255
    return clips.sub_(mean).div_(std)


def _check_fit(crop: int, short_side: int) -> None:
    if not 1 <= crop <= short_side:
        raise UsageError(f"the crop cannot be {crop}", allowed=f"1 to the short side, {short_side}")
