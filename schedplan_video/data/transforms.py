"""From decoded frames to what the network sees (paper, section 5; PAPER.md, section 7).

A transform first draws a `View`, numbers that the decoder carries out while it decodes; what is
left is done on uint8 clips, the same for all frames of a clip. Normalisation comes last, on whole
batches, on the device that trains.

All randomness is the clip's own: the same generator gives the same clip, in any process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from schedplan.errors import UsageError, did_you_mean

from . import cropping
from .sampling import evenly_spaced
from .view import View

MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's red, green and blue, in [0, 1]."""

STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's red, green and blue, in [0, 1]."""

FLOW_MEAN = (0.5, 0.5)
"""What no movement in x and in y is stored as, in [0, 1]."""

FLOW_STD = (0.229, 0.229)
"""What optical flow is divided by in the released code, in [0, 1]."""

_SCALES = {len(MEAN): (MEAN, STD), len(FLOW_MEAN): (FLOW_MEAN, FLOW_STD)}


class Transform(Protocol):
    """How the clips of a video are seen."""

    def view(self, height: int, width: int, rng: np.random.Generator) -> View:
        """Choose what the decoder is to deliver of pictures of this size, in pixels."""

    def __call__(self, clip: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Turn a clip that shows the view, uint8 (T, C, H, W), into crops (crops, T, C, h, w)."""


@dataclass(frozen=True)
class TrainingTransform:
    """A random scale, a random square crop and a random mirror image; on request, random colours.

    Args:
        crop: side of the crop, in pixels.
        short_side: bounds of the frames' shorter side after scaling, both included, in pixels; for
            the paper's augmentation alone.
        flip: whether to mirror half of the clips left to right; not where direction has a meaning.
        augment: `paper`: a scale drawn from `short_side`; `strong`, the released code's default: a
            crop of 20% to 100% of the picture, colour jitter, grey and blur; `randaugment`, its
            other choice: such a crop and two random operations of RandAugment. Optical flow is
            cropped and mirrored only.

    Raises:
        UsageError: the crop does not fit into the shorter side or is too small to be blurred, or
            an unknown augmentation.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> transform = TrainingTransform(crop=112, short_side=(128, 170))
        >>> view = transform.view(240, 320, rng)
        >>> view.crop_height, view.crop_width
        (112, 112)
        >>> transform(torch.zeros(16, 3, 112, 112, dtype=torch.uint8), rng).shape
        torch.Size([1, 16, 3, 112, 112])
    """

    crop: int = 224
    short_side: tuple[int, int] = (256, 340)
    flip: bool = True
    augment: str = "paper"

    def __post_init__(self) -> None:
        low, high = self.short_side
        _check_fit(self.crop, low)
        if low > high:
            raise UsageError(
                f"short_side {self.short_side} is empty", allowed="(low, high), low <= high"
            )
        if self.augment not in AUGMENTS:
            raise UsageError(
                f"unknown augment {self.augment!r}",
                allowed=AUGMENTS,
                hint=did_you_mean(self.augment, AUGMENTS),
            )
        if self.augment == "strong" and self.crop <= _BLUR // 2:
            raise UsageError(
                f"crops of {self.crop} pixels cannot be blurred",
                allowed=f"{_BLUR // 2 + 1} or more",
            )

    def view(self, height: int, width: int, rng: np.random.Generator) -> View:
        if self.augment == "paper":
            return cropping.jittered(height, width, rng, crop=self.crop, short_side=self.short_side)
        return cropping.resized(height, width, rng, crop=self.crop)

    def __call__(self, clip: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        if clip.shape[-3] == len(MEAN):
            with _seeded(rng):
                video = _COLOURS[self.augment](tv_tensors.Video(clip))
            clip = video.as_subclass(torch.Tensor)
        if self.flip and rng.random() < 0.5:
            clip = mirrored(clip)
        return clip[None]


@dataclass(frozen=True)
class EvaluationTransform:
    """One scale, and the centre crop or several along the longer side.

    Args:
        crop: side of the square crops, in pixels.
        short_side: the frames' shorter side after scaling, in pixels.
        crops: how many; one is the centre, several are evenly spaced from end to end.

    Raises:
        UsageError: the crop does not fit into the shorter side, or there is none.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> final = EvaluationTransform(crop=256, short_side=256, crops=3)
        >>> view = final.view(240, 320, rng)
        >>> view.crop_height, view.crop_width
        (256, 341)
        >>> final(torch.zeros(64, 3, 256, 341, dtype=torch.uint8), rng).shape
        torch.Size([3, 64, 3, 256, 256])
    """

    crop: int = 224
    short_side: int = 256
    crops: int = 1

    def __post_init__(self) -> None:
        _check_fit(self.crop, self.short_side)
        if self.crops < 1:
            raise UsageError(f"crops is {self.crops}", allowed="1 or more")

    def view(self, height: int, width: int, rng: np.random.Generator) -> View:
        size = cropping.scaled(height, width, self.short_side)
        if self.crops == 1:
            return cropping.centred(*size, self.crop, self.crop)
        shown = (self.crop, size[1]) if height <= width else (size[0], self.crop)
        return cropping.centred(*size, *shown)

    def __call__(self, clip: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        if self.crops == 1:
            return clip[None]
        axis = -1 if clip.shape[-2] == self.crop else -2
        starts = evenly_spaced(clip.shape[axis] - self.crop, self.crops).tolist()
        return torch.stack([clip.narrow(axis, start, self.crop) for start in starts])


def mirrored(clip: torch.Tensor) -> torch.Tensor:
    """Return a clip as a mirror shows it, left for right.

    Args:
        clip: uint8 of shape (..., C, H, W). With 3 channels it is a picture. With 2 it is optical
            flow in x and y, no movement between 127 and 128: what moves to the left moves to the
            right in a mirror, so x changes its sign.

    Example:
        >>> flow = torch.tensor([[[0, 255]], [[3, 4]]], dtype=torch.uint8)
        >>> mirrored(flow).tolist()
        [[[0, 255]], [[4, 3]]]
    """
    clip = v2.functional.horizontal_flip(clip)
    if clip.shape[-3] == len(FLOW_MEAN):
        x = clip[..., 0, :, :]
        torch.sub(255, x, out=x)
    return clip


def normalize(
    batch: torch.Tensor, memory_format: torch.memory_format = torch.contiguous_format
) -> torch.Tensor:
    """Return clips as the network takes them: centred and scaled.

    Args:
        batch: uint8 of shape (B, T, C, H, W), on any device. With 3 channels it is RGB and scaled
            by ImageNet's mean and deviation, with 2 optical flow and scaled by `FLOW_MEAN`
            and `FLOW_STD`.
        memory_format: of what is returned.

    Returns:
        float32 of shape (B, C, T, H, W), on the same device.

    Example:
        >>> normalize(torch.zeros(2, 16, 3, 112, 112, dtype=torch.uint8)).shape
        torch.Size([2, 3, 16, 112, 112])
    """
    clips = batch.transpose(1, 2).to(torch.float32, memory_format=memory_format)
    mean, std = (
        torch.tensor(scale, device=batch.device).view(-1, 1, 1, 1) * 255
        for scale in _SCALES[batch.shape[2]]
    )
    return clips.sub_(mean).div_(std)


_BLUR = 13
"""Length of the kernel that blurs, in pixels."""


def _blurred(clip: torch.Tensor) -> torch.Tensor:
    """Blur by a Gaussian whose deviation is drawn from 0.1 to 2 pixels."""
    sigma = [torch.empty(()).uniform_(0.1, 2.0).item()] * 2
    for kernel in ([_BLUR, 1], [1, _BLUR]):  # one direction at a time is far less work
        clip = v2.functional.gaussian_blur(clip, kernel, sigma)
    return clip


# Augmentations by name: what they do to colours.
_COLOURS: dict[str, v2.Transform] = {
    "paper": v2.Identity(),
    "strong": v2.Compose(
        [
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(p=0.2),
            v2.RandomApply([v2.Lambda(_blurred)], p=0.5),
        ]
    ),
    "randaugment": v2.RandAugment(),
}

AUGMENTS = tuple(_COLOURS)


_TURN = Lock()


@contextmanager
def _seeded(rng: np.random.Generator) -> Iterator[None]:
    """Let torchvision draw from `rng`, and leave torch's own generator as it was.

    There is one such generator for all threads, so they take turns.
    """
    with _TURN, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(rng.integers(2**63)))
        yield


def _check_fit(crop: int, short_side: int) -> None:
    if not 1 <= crop <= short_side:
        raise UsageError(f"the crop cannot be {crop}", allowed=f"1 to the short side, {short_side}")
