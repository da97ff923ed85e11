"""Frame numbers of clips: tables written by hand, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.sampling import clip_sampler, consecutive, evenly_spaced, uniform

COUNTS = st.integers(1, 400)
LENGTHS = st.integers(1, 70)
STRIDES = st.integers(1, 5)
SEGMENTS = st.integers(1, 20)
CLIPS = st.integers(1, 12)
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
    assert consecutive(frames, length, stride).tolist() == [expected]


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
    assert uniform(frames, segments, per_segment).tolist() == [expected]


@pytest.mark.parametrize(
    ("frames", "length", "stride", "clips", "expected"),
    [
        (10, 4, 1, 2, [[0, 1, 2, 3], [6, 7, 8, 9]]),
        (10, 4, 1, 3, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]),
        (10, 4, 1, 4, [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 8, 9]]),
        (10, 3, 3, 2, [[0, 3, 6], [3, 6, 9]]),
        (6, 4, 1, 5, [[0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4], [2, 3, 4, 5]]),
        (4, 4, 1, 2, [[0, 1, 2, 3], [0, 1, 2, 3]]),
        (2, 3, 1, 2, [[0, 1, 0], [0, 1, 0]]),
    ],
)
def test_evenly_spaced_clips_of_consecutive_frames(frames, length, stride, clips, expected):
    assert consecutive(frames, length, stride, clips=clips).tolist() == expected


@pytest.mark.parametrize(
    ("frames", "segments", "per_segment", "clips", "expected"),
    [
        (12, 2, 2, 2, [[0, 1, 6, 7], [4, 5, 10, 11]]),
        (12, 2, 2, 3, [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]),
        (11, 2, 4, 2, [[0, 1, 2, 3, 5, 6, 7, 8], [1, 2, 3, 4, 7, 8, 9, 10]]),
        (8, 2, 4, 2, [[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]]),
    ],
)
def test_evenly_spaced_clips_of_uniform_sampling(frames, segments, per_segment, clips, expected):
    assert uniform(frames, segments, per_segment, clips=clips).tolist() == expected


@given(COUNTS, LENGTHS, STRIDES, CLIPS, RANDOM)
def test_consecutive_clips_lie_in_the_video(frames, length, stride, clips, rng):
    found = consecutive(frames, length, stride, clips=clips, rng=rng)
    assert found.dtype == np.int64
    assert found.shape == (clips, length)
    assert 0 <= found.min() <= found.max() < frames
    assert (np.diff(found) % frames == stride % frames).all()
    if (length - 1) * stride < frames:
        assert (np.diff(found) == stride).all()


@given(COUNTS, SEGMENTS, st.integers(1, 6), CLIPS, RANDOM)
def test_uniform_clips_take_a_run_from_every_part(frames, segments, per_segment, clips, rng):
    found = uniform(frames, segments, per_segment, clips=clips, rng=rng)
    assert found.dtype == np.int64
    assert found.shape == (clips, segments * per_segment)
    assert 0 <= found.min() <= found.max() < frames
    if frames >= segments * per_segment:
        assert (np.diff(found) > 0).all()
        runs = found.reshape(clips, segments, per_segment)
        assert (np.diff(runs) == 1).all()
        part = np.arange(segments)
        assert (runs[:, :, 0] >= part * frames // segments).all()
        assert (runs[:, :, -1] < -((part + 1) * frames // -segments)).all()
    else:
        expected = [index % frames for index in range(segments * per_segment)]
        assert found.tolist() == [expected] * clips


@given(COUNTS, LENGTHS, STRIDES, SEGMENTS)
def test_centre_clips_are_symmetric_within_a_frame(frames, length, stride, segments):
    found = []
    if (length - 1) * stride < frames:
        found += [*consecutive(frames, length, stride)]
    if segments * 4 <= frames:
        found += [*uniform(frames, segments)]
    for clip in found:
        assert (np.abs(clip + clip[::-1] - (frames - 1)) <= 1).all()


@given(st.integers(80, 400), st.sampled_from(["consecutive", "uniform"]), st.integers(2, 12))
def test_several_clips_reach_both_ends_in_even_steps(frames, sampling, clips):
    found = clip_sampler(sampling, 16, stride=2, clips=clips)(frames)
    assert found[0, 0] == 0
    assert found[-1, -1] == frames - 1
    steps = np.diff(found, axis=0)
    assert (steps >= 0).all()
    assert np.ptp(steps) <= 1


@given(st.integers(0, 500), st.integers(2, 20))
def test_even_spacing_includes_both_ends(room, count):
    starts = evenly_spaced(room, count)
    assert (starts[0], starts[-1], len(starts)) == (0, room, count)
    assert np.ptp(np.diff(starts)) <= 1


def test_random_clips_reach_both_ends():
    rng = np.random.default_rng(0)
    starts = consecutive(6, 4, clips=100, rng=rng)[:, 0]
    assert {*starts.tolist()} == {0, 1, 2}
    pairs = uniform(12, 2, clips=200, rng=rng)[:, ::4]
    assert {*map(tuple, pairs.tolist())} == {(a, b) for a in range(3) for b in range(6, 9)}


@given(COUNTS, st.sampled_from(["consecutive", "uniform"]), st.integers(1, 8), st.integers(0, 99))
def test_the_named_sampler_repeats_itself(frames, sampling, quarter, seed):
    sampler = clip_sampler(sampling, 4 * quarter, stride=2, clips=3)
    found = sampler(frames, rng=np.random.default_rng(seed))
    assert found.shape == (3, 4 * quarter)
    assert (found == sampler(frames, rng=np.random.default_rng(seed))).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: consecutive(0, 4), "frames cannot be 0"),
        (lambda: consecutive(4, 0), "length cannot be 0"),
        (lambda: consecutive(4, 4, -1), "stride cannot be -1"),
        (lambda: consecutive(4, 4, clips=0), "clips cannot be 0"),
        (lambda: uniform(4, 0), "segments cannot be 0"),
        (lambda: uniform(4, 1, 0), "per_segment cannot be 0"),
        (lambda: uniform(4, 1, clips=-1), "clips cannot be -1"),
        (lambda: clip_sampler("uniform", 10), "10 frames; allowed: multiples of 4"),
        (lambda: clip_sampler("unifrom", 16), "did you mean 'uniform'"),
        (lambda: clip_sampler("consecutive", 16, 0), "stride cannot be 0"),
        (lambda: clip_sampler("consecutive", 16, clips=0), "clips cannot be 0"),
    ],
)
def test_arguments_out_of_bounds_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()
