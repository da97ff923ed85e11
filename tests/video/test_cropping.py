"""Views as numbers: sizes, bounds, and how they are spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan_video.data.cropping import centred, jittered, resized, scaled
from schedplan_video.data.view import View

SIDES = st.integers(8, 2000)
SEEDS = st.integers(0, 2**32).map(np.random.default_rng)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [
        ((240, 320), 256, (256, 341)),
        ((320, 240), 256, (341, 256)),
        ((256, 256), 40, (40, 40)),
        ((720, 1280), 340, (340, 604)),
        ((100, 1000), 30, (30, 300)),
    ],
)
def test_the_shorter_side_is_scaled_and_the_longer_follows(size, short_side, expected):
    assert scaled(*size, short_side) == expected


def test_the_centre_is_in_the_middle():
    assert centred(256, 340, 224, 224) == View(256, 340, 16, 58, 224, 224)


@given(SIDES, SIDES, SEEDS)
def test_a_jittered_view_keeps_the_shape_of_the_picture(height, width, rng):
    view = jittered(height, width, rng, crop=16, short_side=(20, 30))
    assert 20 <= min(view.height, view.width) <= 30
    assert (view.height, view.width) == scaled(height, width, min(view.height, view.width))
    assert (view.crop_height, view.crop_width) == (16, 16)


def test_scales_and_places_of_a_jittered_view_reach_their_bounds():
    rng = np.random.default_rng(0)
    views = [jittered(60, 90, rng, crop=18, short_side=(20, 22)) for _ in range(500)]
    assert {view.height for view in views} == {20, 21, 22}
    for height, width in ((20, 30), (21, 31), (22, 33)):
        places = [(view.top, view.left) for view in views if view.height == height]
        tops, lefts = ({*side} for side in zip(*places, strict=True))
        assert tops == {*range(height - 18 + 1)}
        assert lefts == {*range(width - 18 + 1)}


@given(st.integers(200, 2000), st.integers(200, 2000), SEEDS)
def test_a_resized_view_shows_a_part_of_bounded_area_and_shape(height, width, rng):
    view = resized(height, width, rng, crop=64)
    assert (view.crop_height, view.crop_width) == (64, 64)
    rows, columns = 64 * height / view.height, 64 * width / view.width
    rounding = 1.02  # scaled sizes are whole pixels
    assert rows * columns <= height * width * rounding
    assert columns / rows <= 4 / 3 * rounding
    assert columns / rows >= 3 / 4 / rounding
    long = max(height / width, width / height)
    assert rows * columns >= min(0.2, 3 / 4 / long) * height * width / rounding


def test_areas_and_shapes_of_resized_views_are_spread_over_their_range():
    rng = np.random.default_rng(0)
    views = [resized(480, 480, rng, crop=224) for _ in range(2000)]
    areas = np.array([224**2 / (view.height * view.width) for view in views])
    shapes = np.array([view.height / view.width for view in views])
    assert areas.min() == pytest.approx(0.2, abs=0.01)
    assert areas.max() > 0.95
    assert (shapes.min(), shapes.max()) == pytest.approx((3 / 4, 4 / 3), abs=0.02)
    assert np.median(shapes) == pytest.approx(1, abs=0.03)
    assert np.median([view.top / max(view.height - 224, 1) for view in views]) == pytest.approx(
        0.5, abs=0.05
    )


def test_a_picture_too_long_for_any_shape_gives_all_that_fits():
    rng = np.random.default_rng(0)
    view = resized(100, 10_000, rng, crop=50)
    assert (view.height, view.width) == (50, 3750)
    view = resized(10_000, 100, rng, crop=50)
    assert (view.height, view.width) == (3750, 50)


@pytest.mark.parametrize("draw", [jittered, resized])
def test_the_same_generator_draws_the_same_view(draw):
    options = {"crop": 16} | ({"short_side": (20, 30)} if draw is jittered else {})
    one, again, other = (draw(60, 80, np.random.default_rng(n), **options) for n in (1, 1, 2))
    assert one == again != other
