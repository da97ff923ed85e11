"""From decoded frames to RGB pictures: scaled, cropped, upright.

A frame is scaled as planar YUV, cut, and only then converted to RGB. For nearly all videos, which
are stored so, swscale does that several times faster than scaling to RGB in one pass, and it ends
closer to what torchvision makes of the RGB picture. Cutting before scaling as well would save
little, and could only come near the right grid of pixels. Frames of other pixel formats are
converted first.

The interpolation is bilinear, and where it shrinks it averages over all pixels that fall into one:
the kernel of `torchvision.transforms.v2.Resize(antialias=True)`, so that clips look alike whether
the decoder or a transform scales them.

A stream says which matrix (BT.601, BT.709, BT.2020) and which range its colours have. Where it does
not, they are taken for BT.601 of limited range whatever the size, as FFmpeg does.
"""

from __future__ import annotations

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from ..view import View
from .orientation import Orientation


class Renderer:
    """Makes RGB pictures (H, W, 3) of frames.

    Args:
        view: what is to be seen of each frame as shown; None is all of it in its own size.
    """

    def __init__(self, view: View | None) -> None:
        self.view = view
        self._scaler = VideoReformatter()  # each keeps its tables from frame to frame
        self._converter = VideoReformatter()

    def picture(self, frame: VideoFrame) -> np.ndarray:
        """Return uint8 of shape (H, W, C), which may share the frame's memory."""
        orientation = Orientation.of(frame)
        if self.view is None:
            return orientation.shown(self._pixels(frame))
        return orientation.shown(self._viewed(frame, orientation.stored(self.view)))

    def _viewed(self, frame: VideoFrame, view: View) -> np.ndarray:
        planar = _PLANAR.get(frame.format.name)
        scaled = self._scaler.reformat(
            frame if planar else self._converted(frame),
            width=view.width,
            height=view.height,
            format=planar,
            interpolation="BILINEAR",
            threads=1,
        )
        part, top, left = _cut(scaled, view) if planar else (scaled, view.top, view.left)
        rows, columns = slice(top, top + view.crop_height), slice(left, left + view.crop_width)
        return self._pixels(part)[rows, columns]

    def _pixels(self, frame: VideoFrame) -> np.ndarray:
        """Return all of a frame, (H, W, C)."""
        return self._converted(frame).to_ndarray()

    def _converted(self, frame: VideoFrame) -> VideoFrame:
        try:
            return self._converter.reformat(frame, format="rgb24", threads=1)
        except av.FFmpegError as error:
            name = frame.format.name
            raise ValueError(f"its pixels are {name}, which cannot be shown as RGB") from error


class FlowRenderer(Renderer):
    """Takes the two planes of optical flow, see `data.flow`, as they are."""

    def picture(self, frame: VideoFrame) -> np.ndarray:
        if frame.format.name not in _FLOW_FORMATS:
            raise ValueError(f"no optical flow: its pixels are {frame.format.name}")
        return super().picture(frame)

    def _pixels(self, frame: VideoFrame) -> np.ndarray:
        planes = [_lines(plane)[: frame.height, : frame.width] for plane in frame.planes[:2]]
        return np.stack(planes, axis=-1)


# The usual pixel formats, and in which they are scaled: those of which swscale turns a part into
# the same RGB as the whole, give or take 3 levels. How it converts others depends on the width.
_PLANAR = {
    "yuv420p": "yuv420p",
    "yuv422p": "yuv422p",
    "yuv444p": "yuv444p",
    "yuvj420p": "yuvj420p",
    "yuvj422p": "yuvj422p",
    "yuvj444p": "yuvj444p",
    "yuv420p10le": "yuv420p",
    "yuv422p10le": "yuv422p",
    "yuv444p10le": "yuv444p",
}

RENDERERS = {"rgb": Renderer, "flow": FlowRenderer}
"""What makes the pictures, by modality."""

_FLOW_FORMATS = ("yuv444p", "yuvj444p")  # the latter is FFmpeg's other name for full range


def _cut(frame: VideoFrame, view: View) -> tuple[VideoFrame, int, int]:
    """Copy what a view sees of a scaled frame of a planar format.

    Returns:
        the part, out to whole chroma pixels, and the crop's first row and column in it. Behind an
        odd edge of the frame follows a row or column of no meaning, so that the part's height is
        even: swscale has its fast path to RGB only for such.
    """
    down, across = 16 // frame.format.chroma_height(16), 16 // frame.format.chroma_width(16)
    top, left = view.top // down, view.left // across  # in chroma pixels
    bottom = -(-(view.top + view.crop_height) // down)
    right = -(-(view.left + view.crop_width) // across)
    part = VideoFrame((right - left) * across, (bottom - top) * down, frame.format.name)
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    for component, source, target in zip(
        frame.format.components, frame.planes, part.planes, strict=True
    ):
        row, column = (top, left) if component.is_chroma else (top * down, left * across)
        lines = _lines(source)[row : row + target.height]
        lines = lines[:, column : column + target.width]
        _lines(target)[: lines.shape[0], : lines.shape[1]] = lines
    return part, view.top - top * down, view.left - left * across


def _lines(plane: VideoPlane) -> np.ndarray:
    """Return the bytes of a plane, line by line with padding, without copying them."""
    return np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)
