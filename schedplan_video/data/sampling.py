"""Which frames of a video make up a clip (paper, section 4 and Table 2).

Pure functions from a number of frames to frame numbers. With a random generator they draw a
training clip, without one they give the centre clip. A video shorter than the clip is looped: its
frames are numbered on past its end and taken modulo their number.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from schedplan.errors import UsageError, did_you_mean

SAMPLINGS = ("consecutive", "uniform")

FRAMES_PER_SEGMENT = 4
"""Frames in a row at each place of a uniform clip: the stem's temporal kernel and stride."""

Sampler = Callable[..., np.ndarray]
"""`sampler(frames, rng=None)`: from a video's number of frames to the frame numbers of a clip."""


def clip_sampler(sampling: str, length: int, stride: int = 1) -> Sampler:
    """Return the function that samples clips of `length` frames.

    Args:
        sampling: `consecutive` or `uniform`.
        length: network frames of a clip; a multiple of 4 for uniform sampling.
        stride: temporal stride of consecutive clips; uniform clips cover the video in any case.

    Raises:
        UsageError: an argument out of bounds.

    Example:
        >>> clip_sampler("uniform", 8)(64)
        array([14, 15, 16, 17, 46, 47, 48, 49])
    """
    _check_positive(length=length, stride=stride)
    if sampling == "consecutive":
        return partial(consecutive, length=length, stride=stride)
    if sampling != "uniform":
        hint = did_you_mean(sampling, SAMPLINGS)
        raise UsageError(f"unknown sampling {sampling!r}", allowed=SAMPLINGS, hint=hint)
    if length % FRAMES_PER_SEGMENT:
        raise UsageError(
            f"a uniform clip cannot have {length} frames",
            allowed=f"multiples of {FRAMES_PER_SEGMENT}",
        )
    return partial(uniform, segments=length // FRAMES_PER_SEGMENT)


def consecutive(
    frames: int, length: int, stride: int = 1, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Return one run of `length` frames, `stride` apart.

    Args:
        frames: number of frames of the video.
        length: number of frames of the clip.
        stride: distance from one to the next.
        rng: draws the start, every one as likely; None takes the middle of the video.

    Returns:
        int64 of shape (length,), in [0, frames), rising unless the video is looped.

    Raises:
        UsageError: a number below 1.

    Example:
        >>> consecutive(10, length=4, stride=2)
        array([1, 3, 5, 7])
        >>> consecutive(3, length=5)
        array([0, 1, 2, 0, 1])
    """
    _check_positive(frames=frames, length=length, stride=stride)
    room = max(frames - (length - 1) * stride - 1, 0)
    start = room // 2 if rng is None else rng.integers(room + 1)
    return (start + stride * np.arange(length, dtype=np.int64)) % frames


def uniform(
    frames: int,
    segments: int,
    per_segment: int = FRAMES_PER_SEGMENT,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return `per_segment` consecutive frames out of each of `segments` equal parts of the video.

    Args:
        frames: number of frames of the video.
        segments: number of parts, K in the paper: clip length / 4.
        per_segment: frames in a row.
        rng: draws each start within its part; None takes the middle of each part.

    Returns:
        int64 of shape (segments * per_segment,), in [0, frames), rising unless the video is looped.

    Raises:
        UsageError: a number below 1.

    Example:
        >>> uniform(24, segments=3, per_segment=2)
        array([ 3,  4, 11, 12, 19, 20])
    """
    _check_positive(frames=frames, segments=segments, per_segment=per_segment)
    covered = max(frames, segments * per_segment)
    part = np.arange(segments, dtype=np.int64)
    if rng is None:
        starts = ((2 * part + 1) * covered - segments * per_segment) // (2 * segments)
    else:
        first, end = part * covered // segments, (part + 1) * covered // segments
        starts = rng.integers(first, end - per_segment + 1)
    return (starts[:, None] + np.arange(per_segment)).ravel() % frames


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f"the {name} cannot be {number}", allowed="integers from 1 up")
