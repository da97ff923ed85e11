"""Reading videos: what they hold, and any frames of them as RGB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from schedplan.errors import UsageError

from ..view import View
from . import folder, video
from .clip import Clip
from .info import VideoInfo
from .progress import Progress, guarded


def probe(path: str | Path, *, time_limit: float = 600.0) -> VideoInfo:
    """Decode the whole of a video once and say what it holds.

    Args:
        path: a video file that FFmpeg can read, or a folder of numbered JPEG or PNG images, one for
            each frame.
        time_limit: seconds that this may take.

    Raises:
        DecodeError: the video is missing, is none, is damaged anywhere, has no frame, or takes
            longer than the time limit. In a folder, a number may be missing.
        UsageError: a time limit that is not above 0.

    Example:
        >>> probe("push/4.mp4")  # doctest: +SKIP
        VideoInfo(frames=250, fps=25.0, width=340, height=256, duration=10.0, rotation=0)
    """

    def work(progress: Progress) -> VideoInfo:
        return (folder if progress.path.is_dir() else video).probe(progress)

    return guarded(path, time_limit, work)


def read_frames(
    path: str | Path,
    indices: Sequence[int] | np.ndarray,
    *,
    frames: int | None = None,
    view: View | None = None,
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
        time_limit: seconds that this may take.

    Returns:
        uint8 RGB of shape (len(indices), 3, H, W), channels last in memory.

    Raises:
        DecodeError: the video is missing, is none, is damaged before the last frame wanted, ends
            before it, takes longer than the time limit, or its frames differ in size and there is
            no view. In a folder, a number may be missing.
        UsageError: no index, or a negative one; a time limit that is not above 0.

    Example:
        >>> view = View(256, 340, top=16, left=58, crop_height=224, crop_width=224)
        >>> read_frames("push/4.mp4", [0, 8, 8], frames=250, view=view).shape  # doctest: +SKIP
        torch.Size([3, 3, 224, 224])
    """
    wanted = np.asarray(indices, dtype=np.int64)
    if wanted.size == 0 or wanted.min() < 0:
        raise UsageError(f"cannot read frames {list(indices)}", allowed="at least one, from 0 up")

    def work(progress: Progress) -> torch.Tensor:
        clip = Clip(progress.path, wanted, view)
        if progress.path.is_dir():
            folder.read(progress, clip)
        else:
            video.read(progress, clip, frames)
        return clip.tensor()

    return guarded(path, time_limit, work)
