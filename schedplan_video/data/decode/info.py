"""What there is to know about a video."""

from __future__ import annotations

from typing import NamedTuple


class VideoInfo(NamedTuple):
    """What a video really holds, found by decoding it; a header is believed only where stated.

    Attributes:
        frames: number of frames that decode.
        fps: average frames per second: `frames` / `duration`; the header's rate where frames have
            no presentation times; None for a folder of images and where nothing says.
        width: of the first frame as shown, after rotation, in pixels.
        height: of the first frame as shown, after rotation, in pixels.
        duration: seconds from the start of the first frame to the end of the last; None where
            `fps` is None.
        rotation: degrees clockwise, 0, 90, 180 or 270, by which `read_frames` turns the stored
            frames to show them. It mirrors them as well where the file says so.
    """

    frames: int
    fps: float | None
    width: int
    height: int
    duration: float | None
    rotation: int
