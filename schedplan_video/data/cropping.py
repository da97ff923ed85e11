"""Which part of the picture a clip shows, and how large (paper, section 5).

Pure functions from a picture's size to a `View`, which the decoder carries out. Sizes are (height,
width) in pixels, as shown. A view is drawn once for a clip: all of its frames show the same.
"""

from __future__ import annotations

import math

import numpy as np

from .view import View

ATTEMPTS = 10
"""How often a crop of random shape is drawn before the picture counts as too long for any."""


def scaled(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Return the size of a picture whose shorter side is made `short_side`, rounded as torchvision
    does.

    Example:
        >>> scaled(240, 320, short_side=256)
        (256, 341)
    """
    if height <= width:
        return short_side, short_side * width // height
    return short_side * height // width, short_side


def centred(height: int, width: int, crop_height: int, crop_width: int) -> View:
    """Return the middle of a picture that has been scaled to (height, width)."""
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return View(height, width, top, left, crop_height, crop_width)


def jittered(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    crop: int,
    short_side: tuple[int, int],
) -> View:
    """Draw a scale and a square crop: the paper's way.

    Args:
        height: of the picture.
        width: of the picture.
        rng: draws the scale and the place, every one as likely.
        crop: side of the crop.
        short_side: bounds of the shorter side after scaling, both included.
    """
    low, high = short_side
    return _random_crop(*scaled(height, width, int(rng.integers(low, high + 1))), crop, rng)


def resized(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    crop: int,
    area: tuple[float, float] = (0.2, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> View:
    """Draw a crop of random size and shape, scaled to a square: the way of the released code.

    Args:
        height: of the picture.
        width: of the picture.
        rng: draws size, shape (evenly on a logarithmic scale) and place.
        crop: side of the square.
        area: bounds of the crop's share of the picture.
        aspect: bounds of the crop's width / height. Where no such crop fits, the largest one does.
    """
    for _ in range(ATTEMPTS):
        pixels = height * width * rng.uniform(*area)
        shape = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        rows, columns = math.sqrt(pixels / shape), math.sqrt(pixels * shape)
        if rows <= height and columns <= width:
            break
    else:
        rows, columns = min(height, width / aspect[0]), min(width, height * aspect[1])
    return _random_crop(round(height * crop / rows), round(width * crop / columns), crop, rng)


def _random_crop(height: int, width: int, crop: int, rng: np.random.Generator) -> View:
    top, left = int(rng.integers(height - crop + 1)), int(rng.integers(width - crop + 1))
    return View(height, width, top, left, crop, crop)
