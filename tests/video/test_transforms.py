from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors

from schedplan.errors import UsageError
from schedplan_video.data.transforms import MEAN, STD, evaluation, normalize, training


def clip(frames: int = 4, height: int = 60, width: int = 80) -> tv_tensors.Video:
    """Return a clip whose red rises to the right and whose green rises downwards."""
    red = torch.linspace(0, 255, width).expand(height, width)
    green = torch.linspace(0, 255, height)[:, None].expand(height, width)
    picture = torch.stack([red, green, torch.zeros(height, width)]).to(torch.uint8)
    return tv_tensors.Video(picture.repeat(frames, 1, 1, 1))


@settings(max_examples=25)
@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 2**31))
def test_views_are_square_crops_alike_in_every_frame(height, width, seed):
    torch.manual_seed(seed)
    for view in (training(crop=16, short_side=(18, 24)), evaluation(crop=16, short_side=20)):
        seen = view(clip(4, height, width))
        assert seen.shape == (4, 3, 16, 16)
        assert seen.dtype == torch.uint8
        assert (seen == seen[:1]).all()


def test_training_views_vary_and_repeat_with_torch_s_seed():
    view = training(crop=32, short_side=(40, 60))

    def seen(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return view(clip())

    assert (seen(1) == seen(1)).all()
    assert any((seen(1) != seen(seed)).any() for seed in range(2, 5))


def test_half_of_the_views_are_mirrored_if_asked():
    def mirrored(view) -> int:
        torch.manual_seed(0)
        seen = [view(clip())[0, 0, 0] for _ in range(100)]
        return sum(bool(row[0] > row[-1]) for row in seen)

    assert 30 < mirrored(training(crop=32, short_side=(40, 60))) < 70
    assert mirrored(training(crop=32, short_side=(40, 60), flip=False)) == 0


def test_the_evaluation_view_is_the_centre_of_the_scaled_video():
    seen = evaluation(crop=30, short_side=30)(clip(1, 60, 80)).float()
    columns, rows = seen[0, 0].mean(dim=0), seen[0, 1].mean(dim=1)
    assert columns.mean().item() == pytest.approx(127.5, abs=1.5)
    assert columns[0].item() == pytest.approx(255 * 5 / 40, abs=4)
    assert rows[0].item() == pytest.approx(0, abs=5)
    assert rows[-1].item() == pytest.approx(255, abs=5)


def test_normalize_centres_and_scales_the_colours():
    batch = torch.randint(256, (2, 4, 3, 8, 8), dtype=torch.uint8)
    seen = normalize(batch)
    assert seen.shape == (2, 3, 4, 8, 8)
    assert seen.is_contiguous()
    for colour in range(3):
        expected = (batch[1, 2, colour] / 255 - MEAN[colour]) / STD[colour]
        torch.testing.assert_close(seen[1, colour, 2], expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda: training(crop=224, short_side=(200, 340)),
        lambda: training(crop=224, short_side=(340, 256)),
        lambda: training(crop=0),
        lambda: evaluation(crop=256, short_side=224),
    ],
)
def test_sizes_that_do_not_fit_are_refused(call):
    with pytest.raises(UsageError, match="allowed"):
        call()
