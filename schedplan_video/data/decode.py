"""Decoding: any frames of a video file as RGB, without decoding the rest of the file.

Frame `i` is always the i-th frame that decoding the whole file in order would give. Where a
stream's presentation times can be trusted, the frame is found by seeking to the keyframe before
it; everywhere else the frames are counted from the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from schedplan.errors import UsageError

# Containers that store a presentation time with every packet and can seek by it. AVI stores none,
# and transport streams have no index.
_TIMED_CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})

# Codecs whose every packet is one shown frame. MPEG-4 part 2 may pack two frames into a packet and
# VP8 has packets that show nothing, so that the n-th time is not the n-th frame.
_TIMED_CODECS = frozenset({"h264", "hevc", "vp9", "av1", "libdav1d", "libaom-av1"})

# Decoding up to this many unwanted frames costs less than a seek, which flushes the decoder.
_NEAR = 8

# All that PyAV is known to raise for broken files; UnicodeDecodeError is a ValueError.
_FAILURES = (av.FFmpegError, OSError, EOFError, ValueError, LookupError, MemoryError)


class DecodeError(UsageError):
    """A video file that cannot be read, or not as far as the frame asked for.

    It is a usage error, so it ends a search at once instead of failing transition by transition;
    the search can be resumed when the file is mended, or taken out of the manifest.

    Args:
        path: the video file.
        frame: index of the frame that could not be had, or None if it is the file as a whole.
        reason: why, as one sentence without a final full stop.

    Example:
        >>> print(DecodeError("hug/7.avi", 31, "the video ends after 30 frames"))
        hug/7.avi: frame 31: the video ends after 30 frames
    """

    def __init__(self, path: str | Path, frame: int | None, reason: str) -> None:
        what = reason if frame is None else f"frame {frame}: {reason}"
        super().__init__(what, where=str(path))
        self.file = Path(path)
        self.frame = frame
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[Path, int | None, str]]:
        """Survive the way out of a worker process."""
        return type(self), (self.file, self.frame, self.reason)


class VideoInfo(NamedTuple):
    """What a video really holds.

    Attributes:
        frames: number of frames that decode; the header's count is not believed.
        fps: average frames per second, or None if the file does not say.
        width: of the first frame, in pixels.
        height: of the first frame, in pixels.
    """

    frames: int
    fps: float | None
    width: int
    height: int


def probe(path: str | Path) -> VideoInfo:
    """Decode the whole of `path` once and say what it holds.

    Raises:
        DecodeError: the file is missing, is no video, is damaged anywhere or has no frame.
    """
    with _opened(Path(path)) as source:
        first = None
        for frame in source.decode():
            first = first or (frame.width, frame.height)
        if first is None:
            raise DecodeError(path, None, "no frame can be decoded")
        rate = source.stream.average_rate
        return VideoInfo(source.frame, float(rate) if rate else None, *first)


def read_frames(
    path: str | Path, indices: Sequence[int] | np.ndarray, *, frames: int | None = None
) -> torch.Tensor:
    """Decode the frames of `path` at `indices`.

    Rotation metadata is not applied: frames are as stored.

    Args:
        path: a video file that FFmpeg can read.
        indices: frame numbers from 0, in any order, repeats allowed; at least one.
        frames: number of frames that `probe` found, if known. A file that lists another number of
            packets hides frames or drops some, and is then read in order from its start.

    Returns:
        uint8 RGB of shape (len(indices), 3, H, W), channels last in memory.

    Raises:
        DecodeError: the file is missing, is no video, is damaged before the last frame wanted, ends
            before it, or its frames differ in size.
        UsageError: no index, or a negative one.

    Example:
        >>> read_frames("push/4.mp4", [0, 8, 8])  # doctest: +SKIP
    """
    order = np.unique(np.asarray(indices, dtype=np.int64))
    if order.size == 0 or order[0] < 0:
        raise UsageError(f"cannot read frames {list(indices)}", allowed="at least one, from 0 up")
    with _opened(Path(path)) as source:
        timed = _has_times(source)
        pictures = _by_time(source, order, frames) if timed else _in_order(source, order)
    if pictures is None:
        with _opened(Path(path)) as source:
            pictures = _in_order(source, order)
    if len({picture.shape for picture in pictures.values()}) > 1:
        raise DecodeError(path, None, "its frames differ in size")
    clip = np.stack([pictures[int(index)] for index in indices])
    return torch.from_numpy(clip).permute(0, 3, 1, 2)


@dataclass
class _Source:
    """An open video stream."""

    path: Path
    container: InputContainer
    stream: VideoStream
    frame: int = 0  # number of the frame decoded next, for messages
    reformatter: VideoReformatter = field(default_factory=VideoReformatter)

    def decode(self) -> Iterator[VideoFrame]:
        """Yield the frames from here on, in presentation order, and count them."""
        for frame in self.container.decode(self.stream):
            self.frame += 1
            yield frame

    def rgb(self, frame: VideoFrame) -> np.ndarray:
        """Return `frame` as uint8 of shape (H, W, 3)."""
        return self.reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    """Open the video stream of `path`; whatever fails inside ends in `DecodeError`."""
    source = None
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.best("video")
            if stream is None:
                raise DecodeError(path, None, "no video stream")
            if stream.codec_context is None:
                raise DecodeError(path, None, "no decoder for its video stream")
            stream.codec_context.thread_count = 1  # loaders run a process per core
            source = _Source(path, container, stream)
            yield source
    except _FAILURES as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DecodeError(path, source and source.frame, reason) from error


def _has_times(source: _Source) -> bool:
    """Return whether this kind of stream can be sought by presentation time."""
    container, codec = source.container.format.name, source.stream.codec_context.name
    return container in _TIMED_CONTAINERS and codec in _TIMED_CODECS


def _in_order(source: _Source, order: np.ndarray) -> dict[int, np.ndarray]:
    """Return the frames at `order`, counting from the start of the file."""
    wanted, last = set(order.tolist()), int(order[-1])
    pictures = {}
    for index, frame in enumerate(source.decode()):
        if index in wanted:
            pictures[index] = source.rgb(frame)
        if index == last:
            return pictures
    raise DecodeError(source.path, last, f"the video ends after {source.frame} frames")


class _Timeline(NamedTuple):
    """Presentation times in the stream's time base, rising, one for each frame."""

    times: np.ndarray
    keys: np.ndarray  # frame numbers of the keyframes, rising, the first is 0


def _timeline(source: _Source) -> _Timeline | None:
    """List the packets, without decoding, or return None where their times cannot be trusted."""
    packets = source.container.demux(source.stream)
    shown = [(p.pts, p.is_keyframe) for p in packets if p.size and not p.is_discard]
    if not shown or any(time is None for time, _ in shown):
        return None
    times = np.array(sorted(time for time, _ in shown), dtype=np.int64)
    keys = np.searchsorted(times, sorted(time for time, is_key in shown if is_key))
    if (np.diff(times) == 0).any() or not keys.size or keys[0] != 0:
        return None
    return _Timeline(times, keys)


def _by_time(
    source: _Source, order: np.ndarray, frames: int | None
) -> dict[int, np.ndarray] | None:
    """Return the frames at `order` by seeking, or None if that does not give them."""
    timeline = _timeline(source)
    if timeline is None or order[-1] >= len(timeline.times):
        return None
    if frames is not None and frames != len(timeline.times):
        return None
    return _seek_and_decode(source, timeline, order)


def _seek_and_decode(
    source: _Source, timeline: _Timeline, order: np.ndarray
) -> dict[int, np.ndarray] | None:
    """Return the frames at `order`, or None if one of them does not come at its time."""
    pictures = {}
    decoder = None
    for index in order.tolist():
        key = int(timeline.keys[np.searchsorted(timeline.keys, index, side="right") - 1])
        if decoder is None or key - source.frame > _NEAR:
            source.container.seek(int(timeline.times[key]), stream=source.stream)
            source.frame, decoder = key, source.decode()
        frame = _frame_at(decoder, int(timeline.times[index]))
        if frame is None:
            return None
        source.frame = index + 1  # a seek may have landed before the keyframe asked for
        pictures[index] = source.rgb(frame)
    return pictures


def _frame_at(decoder: Iterator[VideoFrame], time: int) -> VideoFrame | None:
    """Decode up to the frame of presentation `time`; None if it is passed over or never comes."""
    for frame in decoder:
        if frame.pts is None or frame.pts > time:
            return None
        if frame.pts == time:
            return frame
    return None
