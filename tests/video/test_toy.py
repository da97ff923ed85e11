from __future__ import annotations

from collections import Counter

import av
import numpy as np
import pytest
import torch
from disks import full_disk

from schedplan.errors import UsageError
from schedplan_video.data.decode import probe, read_frames
from schedplan_video.data.manifest import read_manifest
from schedplan_video.data.toy import CLASSES, COLOURS, make_toy

SMALL = {"per_class": (2, 1, 1), "frames": 32, "size": 32}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return read_manifest(make_toy(tmp_path_factory.mktemp("toy") / "data", seed=3, **SMALL))


def frames_of(manifest, row: int) -> torch.Tensor:
    return read_frames(manifest.path(manifest.videos[row]), range(32))


def test_every_class_is_in_every_split(toy):
    counts = Counter((video.split, video.label) for video in toy.videos)
    assert counts == {
        (split, label): number
        for split, number in (("train", 2), ("val", 1), ("test", 1))
        for label in range(8)
    }
    assert toy.classes == CLASSES
    assert len(set(CLASSES)) == 8


def test_the_manifest_tells_the_truth_about_h264_files_of_short_gops(toy):
    for video in toy.videos[::5]:
        info = probe(toy.path(video))
        assert info[:4] == (video.frames, video.fps, video.width, video.height)
    with av.open(str(toy.path(toy.videos[0]))) as container:
        stream = container.streams.video[0]
        keys = sum(packet.is_keyframe for packet in container.demux(stream) if packet.size)
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert keys >= 3


def test_the_colour_at_the_start_names_the_class(tmp_path):
    manifest = read_manifest(make_toy(tmp_path / "toy", per_class=(4, 0, 0)))
    colours = np.array(list(COLOURS.values()))
    right = 0
    for video in manifest.videos:
        first = read_frames(manifest.path(video), [0])[0].permute(1, 2, 0).reshape(-1, 3).numpy()
        vivid = first[np.argsort(np.ptp(first.astype(int), axis=1))[-60:]]
        nearest = np.argmin(np.abs(colours - vivid.mean(axis=0)).sum(axis=1))
        right += list(COLOURS)[nearest] in video.class_name
    assert right >= 24  # of 32: a flash may hide the first colour


def test_the_same_seed_gives_the_same_frames(tmp_path, toy):
    again = read_manifest(make_toy(tmp_path / "again", seed=3, **SMALL))
    other = read_manifest(make_toy(tmp_path / "other", seed=4, **SMALL))
    assert again.videos == toy.videos == other.videos
    for row in range(32):
        assert torch.equal(frames_of(again, row), frames_of(toy, row))
        assert not torch.equal(frames_of(other, row), frames_of(toy, row))


def test_what_is_there_already_is_left_alone(tmp_path):
    first = make_toy(tmp_path / "toy", **SMALL)
    first.write_text(first.read_text() + "\n")
    assert make_toy(tmp_path / "toy", **SMALL) == first
    assert first.read_text().endswith("\n\n")
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_other_settings_and_other_folders_are_refused(tmp_path):
    make_toy(tmp_path / "toy", **SMALL)
    with pytest.raises(UsageError, match="other settings"):
        make_toy(tmp_path / "toy", seed=1, **SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="something else"):
        make_toy(tmp_path / "mine", **SMALL)
    with pytest.raises(UsageError, match="no folder"):
        make_toy(tmp_path / "mine" / "thesis.txt", **SMALL)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_an_empty_folder_and_missing_parents_will_do(tmp_path):
    (tmp_path / "empty").mkdir()
    assert make_toy(tmp_path / "empty", **SMALL).is_file()
    assert make_toy(tmp_path / "a" / "b", **SMALL).is_file()


def test_a_failed_build_leaves_nothing(tmp_path):
    with full_disk(), pytest.raises(OSError, match="File too large"):
        make_toy(tmp_path / "toy", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("per_class", (0, 0, 0)),
        ("per_class", (1, 2)),
        ("frames", 8),
        ("frames", 2**31),
        ("size", 33),
        ("seed", -1),
    ],
)
def test_arguments_out_of_bounds_are_refused(tmp_path, argument, value):
    with pytest.raises(UsageError, match=f"{argument} cannot be"):
        make_toy(tmp_path / "toy", **{**SMALL, argument: value})
