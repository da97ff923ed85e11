"""Which frames of a video make up a clip (paper, section 4 and Table 2).

Pure functions from a number of frames to frame numbers. With a random generator they draw clips for
training; without one they give the centre clip, or several that are evenly spaced over the video
and reach both of its ends.

A video shorter than the clip is looped: its frames are numbered on past its end and taken modulo
their number.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

import numpy as np

from schedplan.errors import UsageError, did_you_mean

SAMPLINGS = ("consecutive", "uniform")

FRAMES_PER_SEGMENT = 4
"""Frames in a row at each place of a uniform clip: the stem's temporal kernel and stride."""


class FrameSampler(Protocol):
    """From a video's number of frames to the frame numbers of clips, (clips, length)."""

    def __call__(self, frames: int, *, rng: np.random.Generator | None = None) -> np.ndarray: ...


def clip_sampler(sampling: str, length: int, stride: int = 1, clips: int = 1) -> FrameSampler:
    """Return the function that samples `clips` clips of `length` frames.

    Args:
        sampling: `consecutive` or `uniform`.
        length: network frames of a clip; a multiple of 4 for uniform sampling.
        stride: temporal stride of consecutive clips; uniform clips cover the video in any case.
        clips: clips of a video.

    Raises:
        UsageError: an argument out of bounds.

    Example:
        >>> clip_sampler("uniform", 8)(64)
        array([[14, 15, 16, 17, 46, 47, 48, 49]])
    """
    _check_positive(length=length, stride=stride, clips=clips)
    if sampling == "consecutive":
        return partial(consecutive, length=length, stride=stride, clips=clips)
    if sampling != "uniform":
        hint = did_you_mean(sampling, SAMPLINGS)
        raise UsageError(f"unknown sampling {sampling!r}", allowed=SAMPLINGS, hint=hint)
    if length % FRAMES_PER_SEGMENT:
        raise UsageError(
            f"a uniform clip cannot have {length} frames",
            allowed=f"multiples of {FRAMES_PER_SEGMENT}",
        )
    return partial(uniform, segments=length // FRAMES_PER_SEGMENT, clips=clips)


def consecutive(
    frames: int,
    length: int,
    stride: int = 1,
    *,
    clips: int = 1,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return runs of `length` frames, `stride` apart.

    Args:
        frames: number of frames of the video.
        length: number of frames of a clip.
        stride: distance from one to the next.
        clips: number of clips.
        rng: draws the starts, every one as likely. None takes the middle of the video for a single
            clip; several are evenly spaced, the first at the video's start and the last at its end.

    Returns:
        int64 of shape (clips, length), in [0, frames), rising unless the video is looped.

    Raises:
        UsageError: a number below 1.

    Example:
        >>> consecutive(10, length=4, stride=2)
        array([[1, 3, 5, 7]])
        >>> consecutive(10, length=4, clips=3)
        array([[0, 1, 2, 3],
               [3, 4, 5, 6],
               [6, 7, 8, 9]])
        >>> consecutive(3, length=5)
        array([[0, 1, 2, 0, 1]])
    """
    _check_positive(frames=frames, length=length, stride=stride, clips=clips)
    room = max(frames - (length - 1) * stride - 1, 0)
    starts = evenly_spaced(room, clips) if rng is None else rng.integers(room + 1, size=clips)
    return (starts[:, None] + stride * np.arange(length)) % frames


def uniform(
    frames: int,
    segments: int,
    per_segment: int = FRAMES_PER_SEGMENT,
    *,
    clips: int = 1,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return clips of `per_segment` consecutive frames out of each of `segments` equal parts.

    Args:
        frames: number of frames of the video.
        segments: number of parts, K in the paper: clip length / 4.
        per_segment: frames in a row.
        clips: number of clips.
        rng: draws each start within its part. None takes the middle of each part for a single clip;
            several are evenly spaced, the first at the start of each part and the last at its end.

    Returns:
        int64 of shape (clips, segments * per_segment), in [0, frames), rising unless the video is
        looped.

    Raises:
        UsageError: a number below 1.

    Example:
        >>> uniform(24, segments=3, per_segment=2)
        array([[ 3,  4, 11, 12, 19, 20]])
        >>> uniform(24, segments=3, per_segment=2, clips=2)
        array([[ 0,  1,  8,  9, 16, 17],
               [ 6,  7, 14, 15, 22, 23]])
    """
    _check_positive(frames=frames, segments=segments, per_segment=per_segment, clips=clips)
    covered = max(frames, segments * per_segment)
    part = np.arange(segments)
    if rng is None:
        room = covered - segments * per_segment
        starts = (part * covered + evenly_spaced(room, clips)[:, None]) // segments
    else:
        first, end = part * covered // segments, (part + 1) * covered // segments
        starts = rng.integers(first, end - per_segment + 1, size=(clips, segments))
    return (starts[:, :, None] + np.arange(per_segment)).reshape(clips, -1) % frames


def evenly_spaced(room: int, count: int) -> np.ndarray:
    """Return `count` starts from 0 to `room`, both included; one alone lies in the middle.

    Example:
        >>> evenly_spaced(10, 3), evenly_spaced(10, 1)
        (array([ 0,  5, 10]), array([5]))
    """
    if count == 1:
        return np.array([room // 2])
    return np.arange(count) * room // (count - 1)


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f"the {name} cannot be {number}", allowed="integers from 1 up")
