"""Reading folders of numbered images, one for each frame.

The last number in a file's name counts, whatever its zero padding and where it starts: `00001.jpg`,
`img_1.jpg` and `clip7_frame12.png` are numbers 1, 1 and 12. Frame 0 is the lowest. Images are
decoded by the same FFmpeg as videos: for JPEGs of usual size that takes as long as libjpeg-turbo
does, or less, and all the rest of the way is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from .clip import Clip
from .errors import DecodeError, reason_of
from .info import VideoInfo
from .orientation import Orientation
from .progress import Progress
from .video import LIMITS

_CODECS = {".jpg": "mjpeg", ".jpeg": "mjpeg", ".png": "png"}

_NUMBER = re.compile(r"\d+(?=\D*$)")


def probe(progress: Progress) -> VideoInfo:
    """Decode all images of a folder and say what it holds."""
    frames, count = each(progress), 1
    first = next(frames)
    for _ in frames:
        count += 1
    orientation = Orientation.of(first)
    height, width = orientation.shown_size(first)
    return VideoInfo(count, None, width, height, None, orientation.rotation)


def each(progress: Progress) -> Iterator[VideoFrame]:
    """Yield all frames."""
    images = _Images(progress)
    return (images.frame(index) for index in range(len(images)))


def read(progress: Progress, clip: Clip) -> None:
    """Put the frames that a clip wants into it."""
    images = _Images(progress)
    for index in clip.frames.tolist():
        clip.put(index, images.frame(index))


class _Images:
    """The images of a folder, by frame number."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._files = _numbered(progress.path)
        self._decoders: dict[str, VideoCodecContext] = {}

    def __len__(self) -> int:
        return len(self._files)

    def frame(self, index: int) -> VideoFrame:
        """Decode the image of a frame."""
        self._progress.at(index)
        if index >= len(self):
            reason = f"the video ends after {len(self)} frames"
            raise DecodeError(self._progress.path, index, reason)
        file = self._files[index]
        try:
            packet = av.Packet(file.read_bytes())
            packet.is_keyframe = True  # or a PNG counts as the difference to the one before
            (frame,) = self._decoder(file).decode(packet)
        except (av.FFmpegError, OSError, ValueError) as error:  # the last: not just one picture
            reason = f"{file.name}: {reason_of(error)}"
            raise DecodeError(self._progress.path, index, reason) from error
        return frame

    def _decoder(self, file: Path) -> VideoCodecContext:
        name = _CODECS[file.suffix.lower()]
        if name not in self._decoders:
            decoder = VideoCodecContext.create(name, "r")
            # Without the last, half an image passes for one whose other half is grey.
            decoder.options = {**LIMITS, "err_detect": "explode"}
            decoder.thread_count = 1
            self._decoders[name] = decoder
        return self._decoders[name]


def _numbered(folder: Path) -> list[Path]:
    """Return the images of a folder by number.

    Raises:
        DecodeError: there is none, one without a number, a number twice, or one left out.
    """
    files: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in _CODECS or file.name.startswith("."):
            continue
        digits = _NUMBER.search(file.stem)
        if digits is None:
            raise DecodeError(folder, None, f"{file.name} has no number")
        other = files.setdefault(int(digits[0]), file)
        if other is not file:
            raise DecodeError(folder, None, f"{other.name} and {file.name} have the same number")
    if not files:
        raise DecodeError(folder, None, f"there is no image ({', '.join(_CODECS)})")
    first, last = min(files), max(files)
    if last - first >= len(files):
        lost = next(number for number in range(first, last) if number not in files)
        raise DecodeError(folder, None, f"the image with number {lost} is missing")
    return [files[number] for number in range(first, last + 1)]
