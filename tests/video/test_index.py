from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from schedplan_video.data.index import index_folders, read_groups
from schedplan_video.data.manifest import ManifestError, read_manifest, write_manifest
from schedplan_video.data.toy import make_toy

DATA = os.environ.get("SCHEDPLAN_TEST_DATA")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Make two classes of ten videos each, recorded in five sessions."""
    base = tmp_path_factory.mktemp("index")
    toy = read_manifest(make_toy(base / "toy", per_class=(3, 0, 0), frames=16, size=32))
    root = base / "clips"
    groups = ["path,group"]
    for label, name in enumerate(("wave", "bow")):
        for number, video in enumerate(toy.videos[10 * label : 10 * label + 10]):
            target = root / name / f"{number}.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(toy.path(video), target)
            groups.append(f"clips/{name}/{number}.mp4,session {number // 2}")
    (root / "wave" / ".hidden").write_text("")
    (base / "groups.csv").write_text("\n".join([*groups, "clips/other.mp4,"]))
    return root


def test_classes_are_the_folders_in_order(folders):
    manifest = index_folders(folders)
    assert manifest.classes == ("bow", "wave")
    assert [video.path for video in manifest.videos][9:11] == ["bow/9.mp4", "wave/0.mp4"]
    first = manifest.videos[0]
    assert (first.frames, first.fps, first.width, first.height) == (16, 25, 32, 32)
    assert first.group is None
    counts = Counter((video.label, video.split) for video in manifest.videos)
    assert [counts[0, split] for split in ("train", "val", "test")] == [6, 2, 2]
    assert [counts[1, split] for split in ("train", "val", "test")] == [6, 2, 2]


def test_the_split_depends_on_the_seed_alone(folders):
    assert index_folders(folders, seed=1) == index_folders(str(folders), seed=1)
    assert index_folders(folders, seed=1) != index_folders(folders, seed=2)


def test_no_group_falls_on_both_sides(folders):
    manifest = index_folders(folders, read_groups(folders.parent / "groups.csv"))
    sides = {(video.group, video.split) for video in manifest.videos}
    assert Counter(split for _, split in sides) == {"train": 3, "val": 1, "test": 1}
    by_name = {video.path: video.group for video in manifest.videos}
    assert index_folders(folders, by_name) == manifest


def test_an_index_round_trips_through_its_file(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "clips")
    manifest = index_folders(tmp_path / "clips")
    write_manifest(manifest, tmp_path / "clips" / "manifest.csv")
    assert read_manifest(tmp_path / "clips" / "manifest.csv") == manifest
    assert index_folders(tmp_path / "clips") == manifest


def test_all_broken_files_are_named_at_once(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "clips")
    (tmp_path / "clips" / "bow" / "empty.mp4").write_bytes(b"")
    (tmp_path / "clips" / "wave" / "notes.mp4").write_text("none")
    with pytest.raises(ManifestError) as caught:
        index_folders(tmp_path / "clips")
    message = str(caught.value)
    assert message.startswith("cannot decode all files (2)")
    assert "empty.mp4: " in message
    assert "notes.mp4: " in message


def test_folders_that_cannot_be_indexed_are_refused(folders, tmp_path):
    with pytest.raises(ManifestError, match="no such folder"):
        index_folders(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match="no folder of videos"):
        index_folders(tmp_path)
    (tmp_path / "hug").mkdir()
    with pytest.raises(ManifestError, match="hug: the class has no video"):
        index_folders(tmp_path)
    with pytest.raises(ManifestError, match="without a group"):
        index_folders(folders, {"bow/0.mp4": "a"})


def test_groups_need_their_columns(tmp_path):
    (tmp_path / "groups.tsv").write_text("path\tsession\na.mp4\t1\n")
    with pytest.raises(ManifestError, match="'group'"):
        read_groups(tmp_path / "groups.tsv")
    with pytest.raises(ManifestError, match="No such file"):
        read_groups(tmp_path / "nowhere.tsv")
    (tmp_path / "groups.tsv").write_text("group\tpath\n1\ta b.mp4\n\tc.mp4\n")
    assert read_groups(tmp_path / "groups.tsv") == {tmp_path / "a b.mp4": "1"}


@pytest.mark.skipif(DATA is None, reason="SCHEDPLAN_TEST_DATA is not set")
def test_real_clips_split_by_recording():
    manifest = index_folders(
        Path(DATA) / "ut_interaction_set1", read_groups(Path(DATA) / "MANIFEST.tsv")
    )
    counts = Counter((video.class_name, video.split) for video in manifest.videos)
    assert len(manifest.videos) == 60
    assert len(manifest.classes) == 6
    assert min(counts[name, "train"] for name in manifest.classes) >= 5
    assert len({(video.group, video.split) for video in manifest.videos}) == 10


def test_files_that_are_named_as_no_videos_are_passed_over(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "clips")
    (tmp_path / "clips" / "wave" / "notes.txt").write_text("none")
    assert index_folders(tmp_path / "clips").videos == index_folders(folders).videos
