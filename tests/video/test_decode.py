from __future__ import annotations

import csv
import os
import pickle
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.decode import DecodeError, probe, read_frames

FRAMES = 50

FORMATS = {
    "h264, short GOP": ("a.mp4", "libx264", {"g": "12", "bf": "0"}),
    "h264, B-frames": ("b.mp4", "libx264", {"g": "12", "bf": "3"}),
    "h264, open GOP": ("c.mkv", "libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "h264, one GOP": ("d.mp4", "libx264", {"g": "600"}),
    "h264, fragmented": ("e.mp4", "libx264", {"g": "12", "movflags": "frag_keyframe+empty_moov"}),
    "vp9": ("f.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    "mpeg4, AVI": ("g.avi", "mpeg4", {"g": "12", "bf": "2"}),
    "mpeg4, MP4": ("h.mp4", "mpeg4", {"g": "12", "bf": "2"}),
    "mjpeg, AVI": ("i.avi", "mjpeg", {}),
    "h264, transport stream": ("j.ts", "libx264", {"g": "12"}),
}

DATA = os.environ.get("SCHEDPLAN_TEST_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="SCHEDPLAN_TEST_DATA is not set")


def data_rows(prefix: str) -> list[dict[str, str]]:
    """Return the rows of the test data's list whose path starts with `prefix`; none without it."""
    if DATA is None:
        return []
    with (Path(DATA) / "MANIFEST.tsv").open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return [row for row in rows if row["path"].startswith(prefix)]


def encode(
    path: Path, codec: str, options: dict[str, str], times: np.ndarray | None = None
) -> Path:
    """Write moving noise; `times` are the frames' presentation times in units of 1/100 s."""
    times = 4 * np.arange(FRAMES) if times is None else times
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if "g" in options:
            stream.codec_context.gop_size = int(options["g"])
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, number, axis=1), format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decode_all(path: Path, limit: int | None = None) -> torch.Tensor:
    with av.open(str(path)) as container:
        frames = []
        for frame in container.decode(container.streams.best("video")):
            frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == limit:
                break
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, tuple[Path, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("videos")
    made = {name: encode(folder / file, *rest) for name, (file, *rest) in FORMATS.items()}
    return {name: (path, decode_all(path)) for name, path in made.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_probe_counts_the_frames_that_decode(videos, name):
    path, frames = videos[name]
    info = probe(path)
    assert info.frames == len(frames)
    assert (info.width, info.height) == (64, 48)
    assert info.fps == pytest.approx(25)


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


def test_uneven_times_do_not_matter(tmp_path):
    steps = np.random.default_rng(0).integers(1, 40, FRAMES)
    path = encode(tmp_path / "vfr.mkv", "libx264", {"g": "12", "bf": "2"}, 500 + np.cumsum(steps))
    frames = decode_all(path)
    assert len(frames) == FRAMES
    for index in range(0, FRAMES, 7):
        assert torch.equal(read_frames(path, [index]), frames[[index]])


def test_a_wrong_count_of_frames_makes_the_reader_count_for_itself(videos):
    path, frames = videos["h264, B-frames"]
    assert torch.equal(read_frames(path, [49, 3], frames=47), frames[[49, 3]])


@pytest.mark.parametrize("name", FORMATS)
def test_a_frame_past_the_end_is_a_decode_error(videos, name):
    path, frames = videos[name]
    with pytest.raises(DecodeError, match=f"ends after {len(frames)} frames") as caught:
        read_frames(path, [0, len(frames) + 20])
    assert caught.value.frame == len(frames) + 20
    assert caught.value.file == path


@pytest.mark.parametrize("indices", [[], [3, -1]])
def test_no_index_and_negative_indices_are_refused(videos, indices):
    with pytest.raises(UsageError, match="cannot read frames"):
        read_frames(videos["mpeg4, AVI"][0], indices)


@pytest.mark.parametrize("content", [None, b"", b"path,label\n", bytes(range(256)) * 40])
def test_what_is_no_video_is_a_decode_error(tmp_path, content):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    for read in (probe, lambda file: read_frames(file, [0])):
        with pytest.raises(DecodeError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert caught.value.reason


def test_a_folder_and_a_sound_are_decode_errors(tmp_path):
    with pytest.raises(DecodeError):
        probe(tmp_path)
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode())
    with pytest.raises(DecodeError, match="no video stream"):
        probe(sound)


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(FORMATS)), share=st.floats(0, 1), index=st.integers(0, 49))
def test_a_truncated_file_ends_in_true_frames_or_a_decode_error(videos, name, share, index):
    path, frames = videos[name]
    content = path.read_bytes()
    cut = path.with_name(f"cut-{path.name}")
    cut.write_bytes(content[: int(share * len(content))])
    try:
        clip = read_frames(cut, [index])
    except DecodeError as error:
        assert error.file == cut
    else:
        assert clip.shape == frames[[index]].shape


def test_a_decode_error_survives_pickling():
    error = pickle.loads(pickle.dumps(DecodeError("a.mp4", 3, "it is damaged")))
    assert str(error) == "a.mp4: frame 3: it is damaged"
    assert (error.file, error.frame, error.reason) == (Path("a.mp4"), 3, "it is damaged")


@needs_data
@pytest.mark.parametrize("row", data_rows("ut_interaction_set1/")[::12], ids=lambda r: r["path"])
def test_real_avi_files_read_to_the_bit(row):
    path = Path(DATA) / row["path"]
    frames = decode_all(path)
    assert probe(path).frames == len(frames) == int(row["frames_decoded"])
    indices = np.random.default_rng(0).integers(0, len(frames), 12)
    assert torch.equal(read_frames(path, indices), frames[indices])


@needs_data
@pytest.mark.parametrize("row", data_rows("torture/"), ids=lambda row: row["path"][8:])
def test_every_odd_file_ends_in_frames_or_a_decode_error(row):
    path = Path(DATA) / row["path"]
    count = int(row["frames_decoded"] or 0)
    indices = np.random.default_rng(0).integers(0, min(max(count, 1), 60), 3)
    try:
        clip = read_frames(path, indices)
    except DecodeError as error:
        assert error.reason
        assert count == 0 or "errors" in row["notes"]
    else:
        expected = decode_all(path, int(indices.max()) + 1)
        assert torch.equal(clip, expected[indices])
