"""Clips: pictures of some frames, in some order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from av.video.frame import VideoFrame

from .errors import DecodeError
from .picture import Renderer


class Clip:
    """The pictures of a clip, put in as its frames come.

    Args:
        path: the video, for messages.
        indices: frame numbers in the clip's order, repeats allowed.
        renderer: makes the pictures.

    Attributes:
        frames: the frame numbers without repeats, rising.
    """

    def __init__(self, path: Path, indices: np.ndarray, renderer: Renderer) -> None:
        self.path = path
        self.frames = np.unique(indices)
        self._indices = indices
        self._renderer = renderer
        self._pictures: np.ndarray | None = None

    def put(self, index: int, frame: VideoFrame) -> None:
        """Show `frame` wherever the clip wants frame number `index`.

        Raises:
            DecodeError: its picture differs in size from an earlier one.
        """
        picture = self._renderer.picture(frame)
        if self._pictures is None:
            self._pictures = np.empty((len(self._indices), *picture.shape), dtype=np.uint8)
        if picture.shape != self._pictures.shape[1:]:
            raise DecodeError(self.path, index, "its frames differ in size")
        for place in np.flatnonzero(self._indices == index):
            self._pictures[place] = picture

    def tensor(self) -> torch.Tensor:
        """Return uint8 of shape (T, C, H, W), channels last in memory, once all frames are in."""
        assert self._pictures is not None
        return torch.from_numpy(self._pictures).permute(0, 3, 1, 2)
