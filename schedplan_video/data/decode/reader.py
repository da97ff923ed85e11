"""Reading videos: what they hold, any frames of them, or all in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from schedplan.checks import require_choice
from schedplan.errors import UsageError

from ..view import View
from . import folder, video
from .clip import Clip
from .errors import DecodeError
from .info import VideoInfo
from .picture import RENDERERS, Renderer
from .progress import Progress, failures, guarded

if TYPE_CHECKING:
    import torch


# Clips are scaled by their shorter side: of longer pictures the other side would take all memory.
_LONGEST = 16


def probe(path: str | Path, *, time_limit: float = 600.0) -> VideoInfo:
    """Decode the whole of a video once and say what it holds.

    Args:
        path: a video file that FFmpeg can read, or a folder of numbered JPEG or PNG images, one for
            each frame.
        time_limit: seconds that this may take.

    Raises:
        DecodeError: the video is missing, is none, is damaged anywhere, has no frame, or takes
            longer than the time limit; one side of its pictures is over 16 times the other. In a
            folder, a number may be missing.
        UsageError: a time limit that is not above 0.

    Example:
        >>> probe("push/4.mp4")  # doctest: +SKIP
        VideoInfo(frames=250, fps=25.0, width=340, height=256, duration=10.0, rotation=0)
    """

    def work(progress: Progress) -> VideoInfo:
        info = (folder if progress.path.is_dir() else video).probe(progress)
        short, long = sorted((info.height, info.width))
        if long > _LONGEST * short:
            size = f"{info.width} x {info.height}"
            reason = f"its pictures of {size} pixels are too long: over {_LONGEST} to 1"
            raise DecodeError(path, None, reason)
        return info

    return guarded(path, time_limit, work)


def read_frames(
    path: str | Path,
    indices: Sequence[int] | np.ndarray,
    *,
    frames: int | None = None,
    view: View | None = None,
    modality: str = "rgb",
    time_limit: float = 120.0,
) -> torch.Tensor:
    """Decode the frames of a video at `indices`, upright, scaled and cropped as `view` says.

    Frame `i` is the i-th that decoding everything from the start gives, to the bit. Colours are
    those that the stream says; if it does not, BT.601 of limited range.

    Args:
        path: a video file that FFmpeg can read, or a folder of numbered JPEG or PNG images, one for
            each frame.
        indices: frame numbers from 0, in any order, repeats allowed; at least one.
        frames: number of frames that `probe` found. Without it, nobody knows whether a file hides
            frames or drops some, and it is read in order from its start: right, but slower.
        view: scale and crop, relative to the picture as shown. None is its native size.
        modality: `rgb`, or `flow` for optical flow as `data.flow` stores it.
        time_limit: seconds that this may take.

    Returns:
        uint8 of shape (len(indices), C, H, W), channels last in memory: red, green and blue, or
        the movement in x and y.

    Raises:
        DecodeError: the video is missing, is none, is damaged before the last frame wanted, ends
            before it, takes longer than the time limit, or its frames differ in size and there is
            no view. In a folder, a number may be missing. It holds no optical flow.
        UsageError: no index, or a negative one; an unknown modality; a time limit that is not
            above 0.

    Example:
        >>> view = View(256, 340, top=16, left=58, crop_height=224, crop_width=224)
        >>> read_frames("push/4.mp4", [0, 8, 8], frames=250, view=view).shape  # doctest: +SKIP
        torch.Size([3, 3, 224, 224])
    """
    wanted = np.asarray(indices)
    if wanted.size == 0 or wanted.dtype.kind not in "iu" or wanted.min() < 0:
        raise UsageError(
            f"cannot read frames {list(indices)}", allowed="one or more integers from 0 up"
        )

    require_choice("modality", modality, RENDERERS, error=UsageError)
    renderer = RENDERERS[modality](view)

    def work(progress: Progress) -> torch.Tensor:
        clip = Clip(progress.path, wanted, renderer)
        if progress.path.is_dir():
            folder.read(progress, clip)
        else:
            video.read(progress, clip, frames)
        return clip.tensor()

    return guarded(path, time_limit, work)


def each_frame(
    path: str | Path, *, view: View | None = None, time_limit: float = 120.0
) -> Iterator[np.ndarray]:
    """Decode all frames of a video in turn, as RGB, upright, scaled and cropped as `view` says.

    Args:
        path: a video file that FFmpeg can read, or a folder of numbered images.
        view: scale and crop, relative to the picture as shown. None is its native size.
        time_limit: seconds that each frame may take, in so far as the time can be looked at.

    Yields:
        uint8 of shape (H, W, 3).

    Raises:
        DecodeError: see `read_frames`.

    Example:
        >>> sum(1 for picture in each_frame("push/4.mp4"))  # doctest: +SKIP
        250
    """
    progress, renderer = Progress(Path(path), time_limit), Renderer(view)
    with failures(progress):
        for frame in (folder if progress.path.is_dir() else video).each(progress):
            yield renderer.picture(frame)
            progress.restart()
