from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from encoding import FORMATS, FRAMES, decode_all, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.decode import DecodeError, probe, read_frames


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, tuple[Path, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("videos")
    made = {name: encode(folder / file, *rest) for name, (file, *rest) in FORMATS.items()}
    return {name: (path, decode_all(path)) for name, path in made.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_probe_says_what_decodes(videos, name):
    path, frames = videos[name]
    info = probe(path)
    assert info.frames == len(frames)
    assert (info.width, info.height, info.rotation) == (64, 48, 0)
    assert info.duration == pytest.approx(len(frames) / 25, abs=0.002)
    assert info.fps == pytest.approx(25, abs=0.02)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_frames_equal_a_full_decode_to_the_bit(videos, name, data):
    path, frames = videos[name]
    indices = data.draw(st.lists(st.integers(0, len(frames) - 1), min_size=1, max_size=8))
    known = data.draw(st.sampled_from([None, len(frames)]))
    clip = read_frames(path, indices, frames=known)
    assert clip.dtype == torch.uint8
    assert torch.equal(clip, frames[indices])


@pytest.mark.parametrize("start", [500, -300])
def test_uneven_times_do_not_matter(tmp_path, start):
    steps = np.random.default_rng(0).integers(1, 40, FRAMES)
    times = start + np.cumsum(steps)
    path = encode(tmp_path / "vfr.mkv", "libx264", {"g": "12", "bf": "2"}, times)
    frames = decode_all(path)
    assert len(frames) == FRAMES
    for index in range(0, FRAMES, 7):
        assert torch.equal(read_frames(path, [index], frames=FRAMES), frames[[index]])
    mean = (times[-1] - times[0]) / (FRAMES - 1) / 100
    assert probe(path).duration == pytest.approx(mean * FRAMES, abs=0.05)
    assert probe(path).fps == pytest.approx(1 / mean, rel=0.01)


def test_a_wrong_count_of_frames_makes_the_reader_count_for_itself(videos):
    path, frames = videos["h264, B-frames"]
    assert torch.equal(read_frames(path, [49, 3], frames=47), frames[[49, 3]])


def test_a_file_that_is_replaced_is_read_anew(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264", {"g": "12"})
    read_frames(path, [30], frames=FRAMES)
    encode(path, "libx264", {"g": "7"}, times=10 + 7 * np.arange(40))
    assert torch.equal(read_frames(path, [30], frames=40), decode_all(path)[[30]])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_a_frame_past_the_end_is_a_decode_error(videos, name, known):
    path, frames = videos[name]
    with pytest.raises(DecodeError, match=f"ends after {len(frames)} frames") as caught:
        read_frames(path, [0, len(frames) + 20], frames=len(frames) if known else None)
    assert caught.value.frame == len(frames) + 20
    assert caught.value.file == path


@pytest.mark.parametrize("indices", [[], [3, -1]])
def test_no_index_and_negative_indices_are_refused(videos, indices):
    with pytest.raises(UsageError, match="cannot read frames"):
        read_frames(videos["mpeg4, AVI"][0], indices)


@pytest.mark.parametrize("indices", [[1.7], [True], ["1"]])
def test_indices_that_are_no_integers_are_refused(videos, indices):
    with pytest.raises(UsageError, match="integers"):
        read_frames(videos["vp9"][0], indices)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_time_limit_is_above_0(videos, limit):
    with pytest.raises(UsageError, match="time limit"):
        probe(videos["mpeg4, AVI"][0], time_limit=limit)


def test_a_decode_error_survives_pickling():
    error = pickle.loads(pickle.dumps(DecodeError("a.mp4", 3, "it is damaged")))
    assert str(error) == "a.mp4: frame 3: it is damaged"
    assert (error.file, error.frame, error.reason) == (Path("a.mp4"), 3, "it is damaged")
