"""Display matrices: how stored pictures are turned to be shown."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame

from ..view import View


class Orientation(NamedTuple):
    """How a stored picture is turned to be shown: first transposed, then mirrored.

    That is all multiples of 90 degrees, with and without reflection. Other angles are not applied.

    Attributes:
        transposed: rows become columns.
        upside_down: the shown rows are in reverse.
        mirrored: the shown columns are in reverse.
    """

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """Read the display matrix of a frame; upright if it has none."""
        a, b, c, d = _display_matrix(frame)
        if a and d and not b and not c:
            return cls(transposed=False, upside_down=d < 0, mirrored=a < 0)
        if b and c and not a and not d:
            return cls(transposed=True, upside_down=b < 0, mirrored=c < 0)
        return cls()

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which the rows' direction turns."""
        if self.transposed:
            return 270 if self.upside_down else 90
        return 180 if self.mirrored else 0

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """Turn a stored picture (H, W, 3), without copying it."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]

    def shown_size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return (height, width) of a frame as shown."""
        size = frame.height, frame.width
        return size[::-1] if self.transposed else size

    def stored(self, view: View) -> View:
        """Return the view of the stored picture that, turned, is `view` of the shown one."""
        if not any(self):
            return view
        top, left = view.top, view.left
        if self.upside_down:
            top = view.height - top - view.crop_height
        if self.mirrored:
            left = view.width - left - view.crop_width
        if self.transposed:
            return View(view.width, view.height, left, top, view.crop_width, view.crop_height)
        return View(view.height, view.width, top, left, view.crop_height, view.crop_width)


# The matrices of FFmpeg's rotations, which are counterclockwise.
_ROTATIONS = {90: (0, -1, 1, 0), -90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), -180: (-1, 0, 0, -1)}
_UPRIGHT = (1, 0, 0, 1)


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Return a, b, c, d, by which column p and row q are shown at (a p + c q, b p + d q)."""
    try:
        # Not `frame.side_data`: that ties frames into cycles, which keep their memory for long.
        matrix = SideDataContainer(frame).get("DISPLAYMATRIX")
    except ValueError:  # PyAV lists no data at all if it does not know the name of one kind
        return _ROTATIONS.get(frame.rotation, _UPRIGHT)
    if matrix is None:
        return _UPRIGHT
    a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), dtype=np.int32).tolist()
    return a, b, c, d
