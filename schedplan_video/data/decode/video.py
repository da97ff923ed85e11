"""Reading video files through FFmpeg.

Frame `i` is always the i-th frame that decoding the whole file in order gives. Where packets carry
presentation times that can be trusted, it is found by seeking to the keyframe before it; everywhere
else frames are counted from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from .clip import Clip
from .errors import DecodeError
from .info import VideoInfo
from .orientation import Orientation
from .picture import Renderer
from .progress import Progress
from .timeline import UNKNOWN, Timeline, TimelineCache
from .wholeness import Extent

# Containers that store a presentation time with every packet and can seek by it. AVI stores none,
# and transport streams have no index.
_TIMED_CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})

# Codecs whose every packet is one shown frame. MPEG-4 part 2 may pack two frames into a packet and
# VP8 has packets that show nothing, so that the n-th time is not the n-th frame.
_TIMED_CODECS = frozenset({"h264", "hevc", "vp9", "av1", "libdav1d", "libaom-av1"})

# The unit of an H.264 picture after which nothing refers to what was before it.
_IDR = 5

# Codecs that can leave out pictures: all of them, or those to which no other refers. What HEVC
# calls so may still be referred to from a higher temporal layer.
_SKIPPING_CODECS = frozenset({"h264"})

# A header may claim any size and gets memory for it: no picture is larger than 8K.
LIMITS = {"max_pixels": str(7680 * 4320)}

# While FFmpeg opens a file it decodes some frames, to learn how far they are out of order. That
# takes longer than the rest of opening, and frames that are known by their times do not need it.
_NO_TRIAL = {**LIMITS, "skip_frame": "all"}


def probe(progress: Progress) -> VideoInfo:
    """Decode the whole file once and say what it holds."""
    first, times = None, []
    with _opened(progress, LIMITS) as (container, stream):
        extent = Extent(container, stream)
        for frame in _in_order(extent.watch(container.demux()), stream, progress):
            first = first or frame
            times.append(frame.pts)
        if first is None:
            raise DecodeError(progress.path, None, "no frame can be decoded")
        duration = _duration(times, stream)
        if duration and extent.is_cut_off(duration / len(times)):
            lengths = f"{float(extent.found):.4g} of {float(extent.promised):.4g} seconds"
            raise DecodeError(progress.path, None, f"the file is cut off: it has {lengths}")
    Renderer(None).picture(first)  # whether it can be shown
    orientation = Orientation.of(first)
    height, width = orientation.shown_size(first)
    return VideoInfo(
        frames=len(times),
        fps=float(len(times) / duration) if duration else None,
        width=width,
        height=height,
        duration=float(duration) if duration else None,
        rotation=orientation.rotation,
    )


def each(progress: Progress) -> Iterator[VideoFrame]:
    """Yield all frames."""
    with _opened(progress, LIMITS) as (container, stream):
        yield from _in_order(container.demux(stream), stream, progress)


def _duration(times: list[int | None], stream: VideoStream) -> Fraction | None:
    """Return the seconds that frames with these times last, the last one as long as the mean."""
    known = [time for time in times if time is not None]
    if len(times) > 1 and known == times and max(known) > min(known) and stream.time_base:
        gaps = len(times) - 1
        return (max(known) - min(known)) * stream.time_base * len(times) / gaps
    return len(times) / stream.average_rate if stream.average_rate else None


def read(progress: Progress, clip: Clip, frames: int | None) -> None:
    """Put the frames that a clip wants into it.

    Args:
        progress: of this reading.
        clip: what is wanted.
        frames: number of frames that the file is known to have. If it has as many packets, then
            none is hidden or dropped, and the n-th time is that of the n-th frame.
    """
    if frames is None or not _by_time(progress, clip, frames):
        _by_count(progress, clip)


def _by_count(progress: Progress, clip: Clip) -> None:
    """Put frames into a clip, counting from the start of the file."""
    wanted, last, count = set(clip.frames.tolist()), int(clip.frames[-1]), 0
    with _opened(progress, LIMITS) as (container, stream):
        frames = _in_order(container.demux(stream), stream, progress)
        for count, frame in enumerate(frames, start=1):
            if count - 1 in wanted:
                clip.put(count - 1, frame)
            if count - 1 == last:
                return
    raise DecodeError(progress.path, last, f"the video ends after {count} frames")


def _by_time(progress: Progress, clip: Clip, frames: int) -> bool:
    """Put frames into a clip by seeking, and return whether that gave all of them."""
    missing = set(clip.frames.tolist())
    timeline = _timelines.get(progress.path)
    if timeline is None:
        return False
    try:
        with _opened(progress, _NO_TRIAL) as (container, stream):
            if timeline is UNKNOWN:
                timeline = _timeline(container, stream)
                _timelines.put(progress.path, timeline)
            if timeline is None or not len(timeline.times) == frames > clip.frames[-1]:
                return False
            container.seek(int(timeline.times[0]), stream=stream)
            _read_head(container, stream)
            for key_time, wanted in timeline.groups(clip.frames):
                container.seek(key_time, stream=stream)
                for frame in _at_times(wanted, container, stream, progress):
                    if frame.is_corrupt:
                        return False
                    clip.put(wanted[frame.pts], frame)
                    missing.discard(wanted[frame.pts])
    except av.FFmpegError:
        return False  # reading in order will tell what is the matter
    return not missing


def _read_head(container: InputContainer, stream: VideoStream) -> None:
    """Let the decoder see what only the file's first packet says, without decoding its picture.

    x264 states its version there, by which FFmpeg knows what it does differently from others:
    without that, 4:4:4 streams of before 2017 decode to noise from any later keyframe.
    """
    codec = stream.codec_context
    if codec.name in _SKIPPING_CODECS:
        codec.skip_frame = "ALL"
        codec.decode(next(container.demux(stream)))


_timelines = TimelineCache()


def _timeline(container: InputContainer, stream: VideoStream) -> Timeline | None:
    """Return the times of a file, or None where they cannot be trusted."""
    if container.format.name not in _TIMED_CONTAINERS:
        return None
    if stream.codec_context.name not in _TIMED_CODECS:
        return None
    if len(container.streams.video) > 1:  # without trial, FFmpeg may have chosen another one
        return None
    is_key = _is_idr(stream) if stream.codec_context.name == "h264" else _is_marked
    return Timeline.of(container.demux(stream), is_key) if is_key else None


def _is_marked(packet: Packet) -> bool:
    return packet.is_keyframe


def _is_idr(stream: VideoStream) -> Callable[[Packet], bool] | None:
    """Return the test whether an H.264 packet is a picture from which decoding may start.

    Others are marked as well: those at which a picture that is refreshed piece by piece begins to
    be repaired, and which are wrong at first. None if the packets are not as MP4 has them.
    """
    head = stream.codec_context.extradata
    if not head or len(head) < 5 or head[0] != 1:
        return None
    size = (head[4] & 3) + 1  # of the length before each unit

    def test(packet: Packet) -> bool:
        if not packet.is_keyframe:
            return False
        data, place = memoryview(packet), 0
        while place + size < len(data):
            if data[place + size] & 31 == _IDR:
                return True
            place += size + int.from_bytes(data[place : place + size], "big")
        return False

    return test


@contextmanager
def _opened(
    progress: Progress, trial: Mapping[str, str]
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its video stream; `trial` are the options of decoding while it is opened."""
    with av.open(
        str(progress.path),
        options=dict(trial),
        metadata_errors="replace",
        timeout=progress.time_limit,
    ) as container:
        stream = container.streams.best("video")
        if stream is None:
            raise DecodeError(progress.path, None, "no video stream")
        if stream.codec_context is None:
            raise DecodeError(progress.path, None, "no decoder for its video stream")
        stream.codec_context.options = LIMITS
        stream.codec_context.thread_count = 1  # loaders run a process per core
        yield container, stream


def _in_order(
    packets: Iterable[Packet], stream: VideoStream, progress: Progress
) -> Iterator[VideoFrame]:
    """Yield all frames of a stream.

    Raises:
        DecodeError: FFmpeg marks one as damaged.
    """
    count = 0
    for packet in packets:
        if packet.stream is not stream:  # the index is not set where a stream is to be emptied
            continue
        progress.at(count)
        for frame in packet.decode():
            if frame.is_corrupt:
                raise DecodeError(progress.path, count, "it is damaged")
            count += 1
            yield frame
        if packet.is_corrupt:
            raise DecodeError(progress.path, None, f"the file is damaged near frame {count}")


def _at_times(
    wanted: Mapping[int, int],
    container: InputContainer,
    stream: VideoStream,
    progress: Progress,
) -> Iterator[VideoFrame]:
    """Yield the frames of the times in `wanted`, from here on, decoding as little as they need."""
    codec, first = stream.codec_context, min(wanted.values())
    waiting = set(wanted)
    for packet in container.demux(stream):
        progress.at(first)
        if codec.name in _SKIPPING_CODECS:
            codec.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        yield from (frame for frame in codec.decode(packet) if frame.pts in wanted)
        waiting.discard(packet.pts)
        if not waiting:
            # What is still in the decoder comes out now, without decoding the frames behind it.
            yield from (frame for frame in codec.decode(None) if frame.pts in wanted)
            return
