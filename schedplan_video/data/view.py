"""Views: which part of a video's picture a network sees, and how large."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from schedplan.errors import UsageError


@dataclass(frozen=True)
class View:
    """A scale and a crop: the shown picture is resized to (height, width), then cut out.

    It holds numbers only. Who draws a random scale or crop does so outside, and every frame of a
    clip gets the same view. All numbers are in pixels.

    Args:
        height: of the whole picture after scaling.
        width: of the whole picture after scaling.
        top: first row of the crop, in the scaled picture.
        left: first column of the crop, in the scaled picture.
        crop_height: rows of the crop.
        crop_width: columns of the crop.

    Raises:
        UsageError: a number below its bound, or a crop that leaves the scaled picture.

    Example:
        >>> centre = View(256, 340, top=16, left=58, crop_height=224, crop_width=224)
    """

    height: int
    width: int
    top: int
    left: int
    crop_height: int
    crop_width: int

    def __post_init__(self) -> None:
        for name in (column.name for column in fields(self)):
            bound = 0 if name in ("top", "left") else 1
            if getattr(self, name) < bound:
                raise UsageError(
                    f"the {name} of a view cannot be {getattr(self, name)}",
                    allowed=f"integers from {bound} up",
                )
        if self.top + self.crop_height > self.height or self.left + self.crop_width > self.width:
            raise UsageError(
                f"the crop leaves the picture: {self}",
                allowed="top + crop_height up to height, left + crop_width up to width",
            )

    def crop(self, picture: np.ndarray) -> np.ndarray:
        """Return the crop of a scaled picture (height, width, channels), without copying it."""
        rows = slice(self.top, self.top + self.crop_height)
        columns = slice(self.left, self.left + self.crop_width)
        return picture[rows, columns]
