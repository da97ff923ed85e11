"""Optical flow: computed once, stored as videos, read like any other.

The movement between two frames that follow each other, by TV-L1 (Zach, Pock and Bischof, "A duality
based approach for realtime TV-L1 optical flow", 2007) with OpenCV's parameters. The flow of a video
of N frames is a video of N - 1 frames, in H.264 without chroma subsampling and of full range: its
plane Y is the movement in x, positive to the right, its plane U that in y, positive downwards, its
plane V is constant. A movement of v pixels per frame is stored as level 127.5 + 127.5 v / bound,
rounded; larger ones are cut off. The pixels are those of the scaled frames that it was computed on.
x264 rounds levels a little further, and not always alike: equal flow may differ in its bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from filelock import FileLock, Timeout

from schedplan.errors import UsageError, missing

from .cropping import scaled
from .decode import DecodeError, VideoInfo, each_frame, probe
from .manifest import Manifest, Video, corrupt, read_manifest
from .paths import size_and_date
from .processes import Alive, Track, for_each, untracked
from .view import View

MANIFEST = "manifest.csv"
"""Name of the flow videos' manifest, in their folder."""

# On real clips this alters levels by 0.1 on average, far less than rounding does, in a quarter of
# the bytes of JPEGs that alter them as much. x264 gives chroma of 4:4:4 a coarser quantiser by 6.
_ENCODING = {"crf": "15", "x264-params": "chroma-qp-offset=-6", "preset": "medium"}
_KEYFRAME_INTERVAL = 12
_SUFFIX = ".mp4"
_PIXELS = "yuv444p"
_FULL_RANGE = 2
_NO_COLOUR = 128

_DEFAULT_RATE = Fraction(25)  # of folders of images


@dataclass(frozen=True)
class FlowSettings:
    """How flow is computed and stored.

    Args:
        bound: the largest movement that is stored, in pixels per frame.
        short_side: frames whose shorter side is longer, in pixels, are scaled down to this first.

    Raises:
        UsageError: a bound that is not above 0, or a short side below 16.

    Example:
        >>> FlowSettings(bound=20).levels(np.array([0.0, 10.0, -99.0]))
        array([128, 191,   0], dtype=uint8)
    """

    bound: float = 20.0
    short_side: int = 256

    def __post_init__(self) -> None:
        if not 0 < self.bound < float("inf"):
            raise UsageError(f"the bound is {self.bound:g}", allowed="pixels per frame, above 0")
        if self.short_side < 16:
            raise UsageError(f"the short side is {self.short_side}", allowed="16 pixels or more")

    def levels(self, movement: np.ndarray) -> np.ndarray:
        """Return movement in pixels per frame as it is stored, uint8 of the same shape."""
        part = np.clip(movement / self.bound, -1, 1)
        return np.rint(127.5 + 127.5 * part).astype(np.uint8)

    def movement(self, levels: np.ndarray) -> np.ndarray:
        """Return stored levels as pixels per frame, float32 of the same shape."""
        return (levels.astype(np.float32) - 127.5) * np.float32(self.bound / 127.5)

    @property
    def comment(self) -> str:
        """What a flow video says of itself."""
        return json.dumps(
            {
                "optical flow": "TV-L1",
                "x": "plane Y",
                "y": "plane U",
                "bound": float(self.bound),
                "short_side": self.short_side,
            }
        )


def compute_flow(
    manifest: Manifest,
    out: str | Path,
    settings: FlowSettings | None = None,
    *,
    workers: int = 0,
    track: Track[VideoInfo] = untracked,
) -> Manifest:
    """Compute the flow of every video of a manifest, and return the manifest of the flow videos.

    A video `a/b.avi` gets the file `out/a/b.avi.mp4`, which is there whole or not at all. Those
    that are there already, computed with the same settings and not older than the video, are kept,
    so that the work can be cut off and gone on with.

    Args:
        manifest: of RGB videos.
        out: folder of the flow videos.
        settings: by default `FlowSettings()`.
        workers: processes; see `for_each`.
        track: shows progress.

    Returns:
        the rows of `manifest` with the paths, sizes and status of the flow videos, in `out`. Videos
        that cannot be used keep the reason.

    Raises:
        MissingDependencyError: OpenCV with its contributed modules is not installed.
        UsageError: flow of flow; a folder that holds, or lies among, the videos, is for something
            else, or holds flow of other settings; or one in use by another process.

    Example:
        >>> compute_flow(read_manifest("toy/manifest.csv"), "flow", workers=2)  # doctest: +SKIP
    """
    _tv_l1()
    if manifest.modality != "rgb":
        raise UsageError("these videos are optical flow themselves", where=str(manifest.folder))
    out = Path(out).absolute()
    settings = settings or FlowSettings()
    _check_apart(out, manifest)
    _check_settings(out, manifest, settings)
    files = {manifest.path(video): video for video in manifest.videos if video.problem is None}
    task = partial(_compute, out, settings)
    with _held(out):
        found = dict(track(for_each(files, task, workers), len(files)))
    rows = [_row(video, found.get(manifest.path(video))) for video in manifest.videos]
    return Manifest(out, tuple(rows), manifest.allow_missing)


def _check_apart(out: Path, manifest: Manifest) -> None:
    """Raise `UsageError` if flow in `out` could be taken for a video of the manifest's dataset."""
    folders = {manifest.path(video).parent for video in manifest.videos}
    videos, place = Path(os.path.commonpath(folders)).resolve(), out.resolve()
    if place.is_relative_to(videos) or videos.is_relative_to(place):
        raise UsageError(
            f"flow would be among the videos in {videos}",
            where=str(out),
            hint="name another folder",
        )
    listed = out / MANIFEST
    if listed.exists() and read_manifest(listed).modality != "flow":
        raise UsageError("the folder holds a manifest of other videos", where=str(out))


def _check_settings(out: Path, manifest: Manifest, settings: FlowSettings) -> None:
    """Raise `UsageError` if the flow that is there, by its first video, is of other settings."""
    stored = (_stated(out / _flow_path(video)) for video in manifest.videos)
    old, new = next(filter(None, stored), None), json.loads(settings.comment)
    if old not in (None, new):
        changes = [
            f"{name} was {old.get(name)} and is now {value}"
            for name, value in new.items()
            if old.get(name) != value
        ]
        raise UsageError(
            f"the flow here was made with other settings: {', '.join(changes)}",
            where=str(out),
            hint="name another folder with --out, or remove this one first",
        )


def rgb_path(video: Video) -> str:
    """Return the path of a video of pictures; for optical flow, of the one it was computed from.

    Example:
        >>> rgb_path(Video("a/b.avi.mp4", 0, "hug", "test", modality="flow"))
        'a/b.avi'
    """
    return video.path.removesuffix(_SUFFIX) if video.modality == "flow" else video.path


def _row(video: Video, found: VideoInfo | DecodeError | None) -> Video:
    """Return the row of a video's flow; nothing was found where the video cannot be used."""
    facts: dict[str, Any] = dict.fromkeys(VideoInfo._fields)
    if isinstance(found, DecodeError):
        facts["status"] = corrupt(found.what)
    elif found is not None:
        facts = found._asdict()
    return replace(video, path=_flow_path(video), modality="flow", **facts)


def _flow_path(video: Video) -> str:
    return f"{video.path}{_SUFFIX}"  # after its own: a.avi and a.mp4 may be two videos


def _compute(
    out: Path, settings: FlowSettings, file: Path, video: Video, alive: Alive
) -> VideoInfo:
    """Write the flow of one video unless it is there; return what its file holds."""
    target = out / _flow_path(video)
    if not _is_current(target, file, settings):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            height, width, fps = _facts(file, video)
            if min(height, width) > settings.short_side:
                height, width = scaled(height, width, settings.short_side)
            movements = _movements(file, View(height, width, 0, 0, height, width), alive)
            _publish(target, movements, fps, settings)
        except (OSError, av.FFmpegError) as error:  # of writing; those of reading are DecodeErrors
            raise UsageError(error.strerror or str(error), where=str(target)) from None
    return _info(target)


def _facts(file: Path, video: Video) -> tuple[int, int, float | None]:
    """Return a video's height, width and rate, by its row if that has them."""
    if video.height and video.width and (video.fps or file.is_dir()):
        return video.height, video.width, video.fps
    info = probe(file)
    return info.height, info.width, video.fps or info.fps


def _movements(file: Path, view: View, alive: Alive) -> Iterator[np.ndarray]:
    """Yield the movement from each frame to the next, float32 (H, W, 2)."""
    import cv2

    algorithm, before = _tv_l1(), None
    for picture in each_frame(file, view=view):
        after = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
        if before is not None:
            yield algorithm.calc(before, after, None)
        before = after
        alive()


def _publish(
    target: Path, movements: Iterator[np.ndarray], fps: float | None, settings: FlowSettings
) -> None:
    """Let the file of a flow appear once it is whole."""
    part = target.with_name(f".{target.name}.part")
    try:
        _write(part, movements, fps, settings)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _write(
    file: Path, movements: Iterator[np.ndarray], fps: float | None, settings: FlowSettings
) -> None:
    """Encode flow as a video.

    Raises:
        DecodeError: there is none.
    """
    first = next(movements, None)
    if first is None:
        raise DecodeError(file, None, "it has but one frame, and so no movement")
    rate = Fraction(fps).limit_denominator(1001) if fps else _DEFAULT_RATE
    with av.open(str(file), "w", format="mp4") as container:
        container.metadata["comment"] = settings.comment
        stream = container.add_stream("libx264", rate=rate, options=_ENCODING)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = _PIXELS
        stream.codec_context.color_range = _FULL_RANGE
        stream.codec_context.gop_size = _KEYFRAME_INTERVAL
        stream.codec_context.thread_count = 1  # there is a process for each core
        for movement in chain((first,), movements):
            container.mux(stream.encode(_frame(settings.levels(movement))))
        container.mux(stream.encode())


def _frame(levels: np.ndarray) -> av.VideoFrame:
    """Return levels (H, W, 2) as the first two planes of a frame."""
    height, width = levels.shape[:2]
    frame = av.VideoFrame(width, height, _PIXELS)
    frame.color_range = _FULL_RANGE
    for plane, content in zip(
        frame.planes, (levels[..., 0], levels[..., 1], _NO_COLOUR), strict=True
    ):
        lines = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)
        lines[:, :width] = content
    return frame


def _is_current(target: Path, source: Path, settings: FlowSettings) -> bool:
    """Return whether the flow of a video is there and need not be computed again."""
    try:
        if target.stat().st_mtime_ns < size_and_date(source)[1]:
            return False
    except OSError:
        return False
    return _stated(target) == json.loads(settings.comment)


def _stated(file: Path) -> dict[str, Any] | None:
    """Return what a flow video says of itself; None if it is none, or not there."""
    try:
        with av.open(str(file)) as container:
            said = json.loads(container.metadata.get("comment", ""))
    except (OSError, ValueError):  # PyAV's errors are of these kinds
        return None
    return said if isinstance(said, dict) else None


def _info(file: Path) -> VideoInfo:
    """Return what a file holds that was written here and whole, whose header can be believed."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        fps = float(stream.average_rate or _DEFAULT_RATE)
        return VideoInfo(stream.frames, fps, stream.width, stream.height, stream.frames / fps, 0)


def _tv_l1() -> Any:
    """Return OpenCV's algorithm, for one core."""
    try:
        import cv2

        cv2.setNumThreads(1)
        return cv2.optflow.DualTVL1OpticalFlow_create()
    except (ImportError, AttributeError) as error:  # the latter without the contributed modules
        raise missing("opencv-contrib-python-headless", "flow") from error


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other processes from writing flow into a folder."""
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UsageError("another process writes flow here", where=str(folder)) from None
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(folder)) from None
    try:
        yield
    finally:
        lock.release()
