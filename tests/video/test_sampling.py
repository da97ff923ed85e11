from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.sampling import clip_sampler, consecutive, uniform

COUNTS = st.integers(1, 400)
LENGTHS = st.integers(1, 70)
STRIDES = st.integers(1, 5)
SEGMENTS = st.integers(1, 20)
RANDOM = st.none() | st.integers(0, 2**32).map(np.random.default_rng)


@pytest.mark.parametrize(
    ("frames", "length", "stride", "expected"),
    [
        (10, 4, 1, [3, 4, 5, 6]),
        (10, 4, 2, [1, 3, 5, 7]),
        (10, 3, 1, [3, 4, 5]),
        (4, 4, 1, [0, 1, 2, 3]),
        (1, 3, 1, [0, 0, 0]),
        (3, 5, 1, [0, 1, 2, 0, 1]),
        (5, 4, 2, [0, 2, 4, 1]),
        (300, 1, 1, [149]),
    ],
)
def test_the_centre_clip_of_consecutive_frames(frames, length, stride, expected):
    assert consecutive(frames, length, stride).tolist() == expected


@pytest.mark.parametrize(
    ("frames", "segments", "per_segment", "expected"),
    [
        (8, 2, 4, [0, 1, 2, 3, 4, 5, 6, 7]),
        (16, 2, 4, [2, 3, 4, 5, 10, 11, 12, 13]),
        (24, 3, 2, [3, 4, 11, 12, 19, 20]),
        (10, 1, 4, [3, 4, 5, 6]),
        (10, 2, 4, [0, 1, 2, 3, 5, 6, 7, 8]),
        (6, 2, 4, [0, 1, 2, 3, 4, 5, 0, 1]),
        (1, 1, 4, [0, 0, 0, 0]),
    ],
)
def test_the_centre_clip_of_uniform_sampling(frames, segments, per_segment, expected):
    assert uniform(frames, segments, per_segment).tolist() == expected


@given(COUNTS, LENGTHS, STRIDES, RANDOM)
def test_consecutive_clips_lie_in_the_video(frames, length, stride, rng):
    clip = consecutive(frames, length, stride, rng)
    assert clip.dtype == np.int64
    assert clip.shape == (length,)
    assert 0 <= clip.min() <= clip.max() < frames
    assert (np.diff(clip) % frames == stride % frames).all()
    if (length - 1) * stride < frames:
        assert (np.diff(clip) == stride).all()


@given(COUNTS, SEGMENTS, st.integers(1, 6), RANDOM)
def test_uniform_clips_take_a_run_from_every_part(frames, segments, per_segment, rng):
    clip = uniform(frames, segments, per_segment, rng)
    assert clip.dtype == np.int64
    assert clip.shape == (segments * per_segment,)
    assert 0 <= clip.min() <= clip.max() < frames
    if frames >= segments * per_segment:
        assert (np.diff(clip) > 0).all()
        runs = clip.reshape(segments, per_segment)
        assert (np.diff(runs, axis=1) == 1).all()
        part = np.arange(segments)
        assert (runs[:, 0] >= part * frames // segments).all()
        assert (runs[:, -1] < -((part + 1) * frames // -segments)).all()
    else:
        assert clip.tolist() == [index % frames for index in range(segments * per_segment)]


@given(COUNTS, LENGTHS, STRIDES, SEGMENTS)
def test_centre_clips_are_symmetric_within_a_frame(frames, length, stride, segments):
    clips = []
    if (length - 1) * stride < frames:
        clips.append(consecutive(frames, length, stride))
    if segments * 4 <= frames:
        clips.append(uniform(frames, segments))
    for clip in clips:
        assert (np.abs(clip + clip[::-1] - (frames - 1)) <= 1).all()


def test_random_clips_reach_both_ends():
    rng = np.random.default_rng(0)
    clips = [consecutive(6, 4, rng=rng).tolist() for _ in range(100)]
    assert {clip[0] for clip in clips} == {0, 1, 2}
    starts = {tuple(uniform(12, 2, rng=rng)[::4].tolist()) for _ in range(200)}
    assert starts == {(a, b) for a in range(3) for b in range(6, 9)}


@given(COUNTS, st.sampled_from(["consecutive", "uniform"]), st.integers(1, 8), st.integers(0, 99))
def test_the_named_sampler_repeats_itself(frames, sampling, quarter, seed):
    sampler = clip_sampler(sampling, 4 * quarter, stride=2)
    clip = sampler(frames, rng=np.random.default_rng(seed))
    assert clip.shape == (4 * quarter,)
    assert (clip == sampler(frames, rng=np.random.default_rng(seed))).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: consecutive(0, 4), "frames cannot be 0"),
        (lambda: consecutive(4, 0), "length cannot be 0"),
        (lambda: consecutive(4, 4, -1), "stride cannot be -1"),
        (lambda: uniform(4, 0), "segments cannot be 0"),
        (lambda: uniform(4, 1, 0), "per_segment cannot be 0"),
        (lambda: clip_sampler("uniform", 10), "10 frames; allowed: multiples of 4"),
        (lambda: clip_sampler("unifrom", 16), "did you mean 'uniform'"),
        (lambda: clip_sampler("consecutive", 16, 0), "stride cannot be 0"),
    ],
)
def test_arguments_out_of_bounds_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()
