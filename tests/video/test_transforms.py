"""What is done to clips: sizes, draws, mirror images, normalisation."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.transforms import (
    AUGMENTS,
    FLOW_STD,
    MEAN,
    STD,
    EvaluationTransform,
    TrainingTransform,
    mirrored,
    normalize,
)


def clip(frames: int = 4, height: int = 32, width: int = 32) -> torch.Tensor:
    """Return a clip whose red rises to the right and whose green rises downwards."""
    red = torch.linspace(0, 255, width).expand(height, width)
    green = torch.linspace(0, 255, height)[:, None].expand(height, width)
    picture = torch.stack([red, green, torch.full((height, width), 90.0)]).to(torch.uint8)
    return picture.repeat(frames, 1, 1, 1)


def numbers(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("augment", AUGMENTS)
def test_training_clips_are_square_and_change_alike_in_every_frame(augment):
    transform = TrainingTransform(crop=32, short_side=(40, 60), augment=augment)
    seen = {}
    for seed in range(20):
        view = transform.view(60, 80, numbers(seed))
        assert (view.crop_height, view.crop_width) == (32, 32)
        (seen[seed],) = transform(clip(), numbers(seed))
        assert seen[seed].shape == (4, 3, 32, 32)
        assert seen[seed].dtype == torch.uint8
        assert type(seen[seed]) is torch.Tensor
        assert (seen[seed] == seen[seed][:1]).all()
    colours = {tuple(sorted(video.flatten().tolist())) for video in seen.values()}
    assert len(colours) == 1 if augment == "paper" else len(colours) > 10


@pytest.mark.parametrize("augment", AUGMENTS)
def test_a_transform_is_a_function_of_its_generator(augment):
    transform = TrainingTransform(crop=32, short_side=(40, 60), augment=augment)

    def seen(seed: int, global_seed: int) -> torch.Tensor:
        torch.manual_seed(global_seed)
        return transform(clip(), numbers(seed))

    before = seen(1, 1)
    state = torch.get_rng_state()
    assert torch.equal(transform(clip(), numbers(1)), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(seen(1, 2), before)
    assert any(not torch.equal(seen(seed, 1), before) for seed in range(2, 8))
    assert transform.view(60, 80, numbers(1)) == transform.view(60, 80, numbers(1))


@pytest.mark.parametrize("augment", AUGMENTS)
def test_clips_are_left_as_they_were(augment):
    original = clip()
    for seed in range(10):
        TrainingTransform(augment=augment)(original, numbers(seed))
    assert torch.equal(original, clip())


def test_the_paper_scales_the_shorter_side_and_the_others_crop_any_part():
    for seed in range(50):
        view = TrainingTransform().view(240, 320, numbers(seed))
        assert 256 <= view.height <= 340
        assert view.width == view.height * 320 // 240
    shapes = {TrainingTransform(augment="strong").view(240, 320, numbers(s)) for s in range(50)}
    assert min(view.height for view in shapes) < 256
    assert max(view.height for view in shapes) > 340


@pytest.mark.parametrize("augment", AUGMENTS)
def test_half_of_the_clips_are_mirrored_if_asked(augment):
    def reversed_clips(flip: bool) -> int:
        transform = TrainingTransform(flip=flip, augment=augment)
        rng = numbers()
        rows = [transform(clip(1, 8, 24), rng)[0, 0, 0, 4].float() for _ in range(200)]
        return sum(bool(row[:12].mean() > row[12:].mean()) for row in rows)

    assert 70 < reversed_clips(flip=True) < 130
    # Operations of RandAugment such as Solarize turn brightness round; nothing else does.
    assert reversed_clips(flip=False) <= (20 if augment == "randaugment" else 0)


def test_a_mirrored_picture_is_reversed_from_left_to_right():
    assert torch.equal(mirrored(clip()), clip().flip(-1))


def test_a_mirrored_flow_moves_the_other_way_in_x_alone():
    flow = torch.randint(256, (5, 2, 6, 7), dtype=torch.uint8)
    before, seen = flow.clone(), mirrored(flow)
    assert torch.equal(seen[:, 0], 255 - flow[:, 0].flip(-1))
    assert torch.equal(seen[:, 1], flow[:, 1].flip(-1))
    assert torch.equal(flow, before)
    assert torch.equal(mirrored(seen), flow)
    torch.testing.assert_close(normalize(seen[None])[0, 0], -normalize(flow[None])[0, 0].flip(-1))


@pytest.mark.parametrize("augment", AUGMENTS)
def test_flow_is_cropped_and_mirrored_but_has_no_colours(augment):
    flow = torch.randint(256, (3, 2, 32, 32), dtype=torch.uint8)
    transform = TrainingTransform(crop=32, short_side=(40, 60), augment=augment)
    seen = [transform(flow, numbers(seed))[0] for seed in range(20)]
    kept = [clip for clip in seen if torch.equal(clip, flow)]
    reversed_ = [clip for clip in seen if torch.equal(clip, mirrored(flow))]
    assert kept and reversed_
    assert len(kept) + len(reversed_) == len(seen)


@pytest.mark.parametrize("size", [(240, 320), (320, 240), (256, 256), (64, 900)])
def test_the_evaluation_view_is_the_centre_of_the_scaled_picture(size):
    transform = EvaluationTransform()
    view = transform.view(*size, numbers())
    assert min(view.height, view.width) == 256
    assert view.top == (view.height - 224) // 2
    assert view.left == (view.width - 224) // 2
    seen = clip(2, 224, 224)
    assert torch.equal(transform(seen, numbers()), seen[None])


def test_three_crops_lie_along_the_longer_side_from_end_to_end():
    transform = EvaluationTransform(crop=256, short_side=256, crops=3)
    view = transform.view(240, 320, numbers())
    assert (view.top, view.left, view.crop_height, view.crop_width) == (0, 0, 256, 341)
    strip = clip(2, 256, 341)
    crops = transform(strip, numbers())
    assert crops.shape == (3, 2, 3, 256, 256)
    for crop, left in zip(crops, (0, 42, 85), strict=True):
        assert torch.equal(crop, strip[..., left : left + 256])


def test_crops_of_an_upright_video_lie_above_one_another():
    transform = EvaluationTransform(crop=20, short_side=24, crops=2)
    view = transform.view(80, 60, numbers())
    assert (view.top, view.left, view.crop_height, view.crop_width) == (0, 2, 32, 20)
    strip = clip(2, 32, 20)
    crops = transform(strip, numbers())
    assert torch.equal(crops[0], strip[..., :20, :])
    assert torch.equal(crops[1], strip[..., 12:, :])


@settings(max_examples=25)
@given(st.integers(20, 900), st.integers(20, 900), st.integers(1, 4), st.integers(16, 20))
def test_crops_fit_into_pictures_of_any_size(height, width, crops, crop):
    transform = EvaluationTransform(crop, short_side=20, crops=crops)
    view = transform.view(height, width, numbers())
    shown = torch.zeros(1, 3, view.crop_height, view.crop_width, dtype=torch.uint8)
    assert transform(shown, numbers()).shape == (crops, 1, 3, crop, crop)


def test_normalize_centres_and_scales_the_colours():
    batch = torch.randint(256, (2, 4, 3, 8, 8), dtype=torch.uint8)
    seen = normalize(batch)
    assert seen.shape == (2, 3, 4, 8, 8)
    assert seen.is_contiguous()
    for colour in range(3):
        expected = (batch[1, 2, colour] / 255 - MEAN[colour]) / STD[colour]
        torch.testing.assert_close(seen[1, colour, 2], expected)


def test_normalize_puts_a_flow_that_stands_still_between_two_values():
    still = torch.tensor([127, 128], dtype=torch.uint8).view(1, 2, 1, 1, 1).expand(1, 2, 2, 4, 4)
    seen = normalize(still)
    assert seen.shape == (1, 2, 2, 4, 4)
    torch.testing.assert_close(seen[:, :, 0], torch.full((1, 2, 4, 4), -0.5 / 255 / FLOW_STD[0]))
    torch.testing.assert_close(seen[:, :, 1], -seen[:, :, 0])


@pytest.mark.parametrize("augment", AUGMENTS)
def test_transforms_can_be_sent_to_other_processes(augment):
    transform = TrainingTransform(crop=32, short_side=(40, 60), augment=augment)
    sent = pickle.loads(pickle.dumps(transform))
    assert torch.equal(sent(clip(), numbers(3)), transform(clip(), numbers(3)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TrainingTransform(224, (200, 340)), "crop cannot be 224; allowed: 1 to .* 200"),
        (lambda: TrainingTransform(224, (340, 256)), r"\(340, 256\) is empty"),
        (lambda: TrainingTransform(0), "crop cannot be 0"),
        (lambda: TrainingTransform(augment="stong"), "'stong'.*paper, strong.*mean 'strong'"),
        (lambda: EvaluationTransform(256, 224), "crop cannot be 256"),
        (lambda: EvaluationTransform(crops=0), "crops is 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_threads_do_not_change_each_others_clips():
    transform = TrainingTransform(crop=16, short_side=(16, 20), augment="strong")
    expected = [transform(clip(), numbers(seed)) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: transform(clip(), numbers(seed)), range(40)))
    assert all(map(torch.equal, found, expected))


def test_crops_too_small_to_be_blurred_are_refused():
    with pytest.raises(UsageError, match="7 or more"):
        TrainingTransform(crop=6, short_side=(6, 6), augment="strong")
    TrainingTransform(crop=7, short_side=(7, 7), augment="strong")
