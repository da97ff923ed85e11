"""Indexing: finding files, probing them, splits, and what is said of videos that cannot be used."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import av
import pytest
from disks import full_disk

from schedplan.errors import UsageError
from schedplan_video.data.decode import DecodeError
from schedplan_video.data.index import (
    ProbeLog,
    Row,
    index_videos,
    read_csv,
    read_folders,
    read_groups,
    read_kinetics,
    read_ssv1,
    read_ucf101,
    split_rows,
)
from schedplan_video.data.index.annotations import Annotations
from schedplan_video.data.index.locate import locate
from schedplan_video.data.manifest import Manifest, read_manifest, write_manifest
from schedplan_video.data.toy import make_toy

DATA = os.environ.get("SCHEDPLAN_TEST_DATA")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Make 24 videos of 16 frames."""
    toy = make_toy(
        tmp_path_factory.mktemp("index") / "toy", per_class=(3, 0, 0), frames=16, size=32
    )
    return [toy.parent / video.path for video in read_manifest(toy).videos]


@pytest.fixture
def clips(tmp_path: Path, videos: list[Path]) -> Path:
    """Make two classes of ten videos each, recorded in five sessions."""
    groups = ["path,group"]
    for number, video in enumerate(videos[:20]):
        name = f"{('wave', 'bow')[number % 2]}/{number}.mp4"
        copy(video, tmp_path / "clips" / name)
        groups.append(f"clips/{name},session {number // 4}")
    (tmp_path / "groups.csv").write_text("\n".join([*groups, "clips/other.mp4,"]))
    return tmp_path / "clips"


def copy(video: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(video, target)


def index_folders(root: Path, groups: Path | None = None, **options: object) -> Manifest:
    log = ProbeLog(root.with_name("manifest.csv"))
    return index_videos(read_folders(root, groups), root, log, **options)


def test_classes_are_the_folders_in_order(clips):
    manifest = index_folders(clips)
    assert manifest.classes == ("bow", "wave")
    assert [video.path for video in manifest.videos[9:11]] == ["bow/9.mp4", "wave/0.mp4"]
    first = manifest.videos[0]
    assert (first.frames, first.fps, first.width, first.height) == (16, 25, 32, 32)
    assert (first.group, first.status) == (None, "ok")
    counts = Counter((video.label, video.split) for video in manifest.videos)
    assert [counts[0, split] for split in ("train", "val", "test")] == [6, 2, 2]
    assert [counts[1, split] for split in ("train", "val", "test")] == [6, 2, 2]


def test_the_split_depends_on_the_seed_alone(clips):
    assert index_folders(clips, seed=1) == index_folders(clips, seed=1)
    assert index_folders(clips, seed=1) != index_folders(clips, seed=2)


def test_no_group_falls_on_both_sides(clips):
    manifest = index_folders(clips, clips.parent / "groups.csv")
    sides = {(video.group, video.split) for video in manifest.videos}
    assert Counter(split for _, split in sides) == {"train": 3, "val": 1, "test": 1}


def test_an_index_round_trips_through_its_file(clips):
    manifest = index_folders(clips)
    write_manifest(manifest, clips / "manifest.csv")
    assert read_manifest(clips / "manifest.csv") == manifest
    assert index_folders(clips) == manifest


def test_files_that_are_named_as_no_videos_are_passed_over(clips):
    manifest = index_folders(clips)
    (clips / "wave" / "notes.txt").write_text("none")
    (clips / "wave" / ".hidden").write_text("none")
    copy(clips / "wave" / "0.mp4", clips / "wave" / ".trash" / "0.mp4")
    copy(clips / "wave" / "0.mp4", clips / ".cache" / "0.mp4")
    assert index_folders(clips).videos == manifest.videos


def test_what_cannot_be_used_says_why(clips):
    (clips / "bow" / "1.mp4").write_bytes(b"")
    (clips / "bow" / "3.mp4").write_text("none")
    content = bytearray((clips / "bow" / "7.mp4").read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    (clips / "bow" / "7.mp4").write_bytes(content)
    manifest = index_folders(clips, min_frames=17, workers=1)
    status = {video.path: video.status for video in manifest.videos}
    assert status["bow/1.mp4"] == "corrupt: the file is empty"
    assert status["bow/3.mp4"].startswith("corrupt: ")
    assert re.fullmatch(r"corrupt: frame \d+: .+", status["bow/7.mp4"])
    assert status["bow/5.mp4"] == "short: below 17 frames"
    write_manifest(manifest, clips / "manifest.csv")
    assert read_manifest(clips / "manifest.csv") == manifest


def test_what_cannot_be_used_does_not_change_the_splits(clips):
    before = {video.path: video.split for video in index_folders(clips).videos}
    (clips / "bow" / "1.mp4").write_bytes(b"")
    assert {video.path: video.split for video in index_folders(clips).videos} == before


def test_folders_that_cannot_be_indexed_are_refused(clips, tmp_path):
    with pytest.raises(UsageError, match="nowhere: there is no such folder"):
        read_folders(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no folder of videos"):
        read_folders(clips / "bow")
    (clips / "hug").mkdir()
    with pytest.raises(UsageError, match="hug: the class has no video"):
        read_folders(clips)
    (tmp_path / "one.csv").write_text("path,group\nclips/bow/1.mp4,a\n")
    (clips / "hug").rmdir()
    with pytest.raises(
        UsageError, match=r"one\.csv: videos without .*: bow/11\.mp4, .* and 14 more"
    ):
        read_folders(clips, tmp_path / "one.csv")


def test_groups_need_their_columns(tmp_path):
    (tmp_path / "groups.tsv").write_text("path\tsession\na.mp4\t1\n")
    with pytest.raises(UsageError, match=r"groups\.tsv:1: the column 'group' is missing"):
        read_groups(tmp_path / "groups.tsv")
    with pytest.raises(UsageError, match="No such file"):
        read_groups(tmp_path / "nowhere.tsv")
    (tmp_path / "groups.tsv").write_text("group\tpath\n1\ta b.mp4\n\tc.mp4\n")
    assert read_groups(tmp_path / "groups.tsv") == {(tmp_path / "a b.mp4").resolve(): "1"}


KINETICS = """label,youtube_id,time_start,time_end,split
air drumming,-3B32lodo2M,0,10,train
air drumming,_dbcJuKJQNs,5,15,train
waving,zzzzzzzzzzz,0,10,validate
"""


@pytest.mark.parametrize(
    "layout",
    [
        "{stem}.mp4",
        "{stem}.mkv",
        "{label}/{stem}.mp4",
        "{split}/{label}/{stem}.webm",
        "{split}/{label}/{stem}.mp4",
    ],
)
def test_videos_are_found_in_any_layout(tmp_path, videos, layout):
    (tmp_path / "k.csv").write_text(KINETICS)
    places = [
        layout.format(stem="-3B32lodo2M_000000_000010", label="air drumming", split="train"),
        layout.format(stem="zzzzzzzzzzz_000000_000010", label="waving", split="val"),
    ]
    for place in places:
        copy(videos[0], tmp_path / "root" / place)
    (tmp_path / "root" / "_dbcJuKJQNs_000005_000015.txt").write_text("unavailable")
    annotations = read_kinetics([tmp_path / "k.csv"])
    log = ProbeLog(tmp_path / "m.csv")
    manifest = index_videos(annotations, tmp_path / "root", log, validation="0")
    assert [(video.path, video.status) for video in manifest.videos] == [
        (places[0], "ok"),
        ("_dbcJuKJQNs_000005_000015.mp4", "missing"),
        (places[1], "ok"),
    ]
    assert manifest.classes == ("air drumming", "waving")


def write_frames(video: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0), start=1):
            frame.to_image().save(folder / f"{number:05}.jpg")


@pytest.mark.parametrize("layout", ["7", "20bn-something-something-v1/7"])
def test_folders_of_frames_are_videos(tmp_path, videos, layout):
    for name, text in (("labels", "Holding something\n"), ("train", "7;Holding something\n")):
        (tmp_path / f"v1-{name}.csv").write_text(text)
    (tmp_path / "v1-validation.csv").write_text("8;Holding something\n")
    write_frames(videos[0], tmp_path / "root" / layout)
    (tmp_path / "root" / layout / "notes.txt").write_text("none")
    log = ProbeLog(tmp_path / "m.csv")
    manifest = index_videos(read_ssv1([tmp_path]), tmp_path / "root", log, validation=0)
    first, second = manifest.videos
    assert (first.path, first.frames, first.width, first.status) == (layout, 16, 32, "ok")
    assert (second.path, second.status) == ("8", "missing")


def test_folders_of_frames_are_found_in_folders_of_classes(tmp_path, videos):
    write_frames(videos[0], tmp_path / "root" / "hug" / "one")
    write_frames(videos[1], tmp_path / "root" / "hug" / "two")
    copy(videos[0], tmp_path / "root" / "kick" / "three.mp4")
    (tmp_path / "root" / "kick" / "cover 1.jpg").write_text("none")
    rows = read_folders(tmp_path / "root").rows
    assert [row.path for row in rows] == ["hug/one", "hug/two", "kick/three.mp4"]


def test_two_files_of_one_name_are_refused(tmp_path, videos):
    (tmp_path / "k.csv").write_text(KINETICS)
    annotations = read_kinetics([tmp_path / "k.csv"])
    root, log = tmp_path / "root", ProbeLog(tmp_path / "m.csv")
    for folder in "ab":
        copy(videos[0], root / folder / "-3B32lodo2M_000000_000010.mp4")
    with pytest.raises(UsageError, match=r"k\.csv:2: .*a/-3B32lodo2M_.*, b/-3B32lodo2M_"):
        index_videos(annotations, root, log, validation=0)
    copy(videos[0], root / "-3B32lodo2M_000000_000010.mp4")  # where it is expected
    assert index_videos(annotations, root, log, validation=0).videos[0].status == "ok"


def test_two_rows_of_one_file_are_refused(tmp_path, videos):
    (tmp_path / "classInd.txt").write_text("1 A\n2 B\n")
    (tmp_path / "trainlist01.txt").write_text("A/v.avi 1\nB/v.avi 2\n")
    (tmp_path / "testlist01.txt").write_text("A/w.avi\n")
    copy(videos[0], tmp_path / "root" / "v.mp4")
    with pytest.raises(UsageError, match=r"trainlist01\.txt:2: .*v\.mp4 is the file .*txt:1"):
        index_videos(
            read_ucf101([tmp_path]), tmp_path / "root", ProbeLog(tmp_path / "m.csv"), validation=0
        )


def test_a_file_of_another_row_is_not_taken_for_a_missing_one(tmp_path, videos):
    (tmp_path / "classInd.txt").write_text("1 A\n2 B\n")
    (tmp_path / "trainlist01.txt").write_text("A/v.avi 1\nB/v.avi 2\n")
    (tmp_path / "testlist01.txt").write_text("A/w.avi\n")
    copy(videos[0], tmp_path / "root" / "B" / "v.avi")
    log = ProbeLog(tmp_path / "m.csv")
    manifest = index_videos(read_ucf101([tmp_path]), tmp_path / "root", log, validation=0)
    assert [video.status for video in manifest.videos] == ["missing", "ok", "missing"]


def test_videos_of_a_table_are_where_it_says(tmp_path, videos):
    (tmp_path / "t.csv").write_text("path,class\na/1.mp4,hug\nb/2.mp4,hug\n")
    copy(videos[0], tmp_path / "root" / "a" / "1.mp4")
    copy(videos[0], tmp_path / "root" / "c" / "2.mp4")
    annotations = read_csv([tmp_path / "t.csv"])
    manifest = index_videos(
        annotations, tmp_path / "root", ProbeLog(tmp_path / "m.csv"), validation=0, test=0
    )
    assert [video.status for video in manifest.videos] == ["ok", "missing"]


def test_a_root_without_any_of_the_videos_is_refused(tmp_path):
    (tmp_path / "k.csv").write_text(KINETICS)
    annotations = read_kinetics([tmp_path / "k.csv"])
    with pytest.raises(UsageError, match="none of the 3 videos is there, such as -3B32lodo2M_"):
        index_videos(annotations, tmp_path, ProbeLog(tmp_path / "m.csv"), validation=0)
    with pytest.raises(UsageError, match="no such folder"):
        index_videos(annotations, tmp_path / "no", ProbeLog(tmp_path / "m.csv"), validation=0)


def test_what_was_probed_is_kept(clips):
    annotations = read_folders(clips)
    (clips / "bow" / "1.mp4").write_bytes(b"")
    probed: list[str] = []

    def index(stop_after: int) -> Manifest:
        def track(results, total):
            for number, (file, found) in enumerate(results):
                if number == stop_after:
                    raise KeyboardInterrupt
                probed.append(file.relative_to(clips).as_posix())
                yield file, found

        return index_videos(annotations, clips, ProbeLog(clips / "m.csv"), track=track)

    with pytest.raises(KeyboardInterrupt):
        index(stop_after=13)
    log = ProbeLog(clips / "m.csv")
    assert len(log.file.read_text().splitlines()) == 14  # the first one says the versions
    log.file.write_text(log.file.read_text()[:-9])  # the last line was cut off
    os.utime(clips / probed[3], ns=(1, 1))
    first, again = probed.copy(), index(stop_after=99)
    assert sorted(probed[13:]) == sorted({first[3], first[12], *map(str, names(again, first))})
    assert again.videos == index_folders(clips).videos
    assert index(stop_after=0).videos == again.videos  # nothing is left to probe


def names(manifest: Manifest, known: list[str]) -> set[str]:
    return {video.path for video in manifest.videos} - set(known)


def test_a_log_that_cannot_be_written_is_said_before_anything_is_probed(clips):
    (clips / "file").write_text("")
    log = ProbeLog(clips / "file" / "m.csv")
    with pytest.raises(UsageError, match="file"):
        index_videos(read_folders(clips), clips, log)


def test_a_full_disk_is_said_of_the_log_and_what_it_holds_is_kept(clips):
    log = ProbeLog(clips / "m.csv")
    with full_disk(1000), pytest.raises(UsageError, match=r"\.m\.csv\.probed: File too large"):
        index_videos(read_folders(clips), clips, log)
    assert 0 < log.file.stat().st_size <= 1000
    assert index_videos(read_folders(clips), clips, log).videos == index_folders(clips).videos


def rows(**counts: int) -> list[Row]:
    """Return rows of two classes; a name is `SPLIT_CLASS`."""
    return [
        Row(f"{name}/{number}", name[-1], name[:-2] if name[:-2] != "open" else None, "here")
        for name, count in counts.items()
        for number in range(count)
    ]


def splits(rows: list[Row]) -> dict[str, int]:
    return dict(Counter(f"{row.split}_{row.class_name}" for row in rows))


def test_the_validation_set_is_as_large_as_the_test_set_and_stratified():
    listed = rows(train_a=30, train_b=60, test_a=6, test_b=3)
    made = split_rows(listed)
    assert splits(made) == {"train_a": 27, "train_b": 54, "val_a": 3, "val_b": 6, "test_a": 6} | {
        "test_b": 3
    }
    assert [row.path for row in made if row.split == "test"] == [
        row.path for row in listed if row.split == "test"
    ]
    assert splits(split_rows(listed, validation="10%")) == splits(made)
    assert splits(split_rows(listed, validation=0)) == splits(listed)
    assert split_rows(listed, seed=1) != made
    assert {row.path: row for row in split_rows(listed[::-1])} == {row.path: row for row in made}


def test_rows_without_splits_are_given_them():
    half = {"train_a": 30, "val_a": 10, "test_a": 10}
    assert splits(split_rows(rows(open_a=50))) == half
    other = {"train_b": 30, "val_b": 10, "test_b": 10}
    assert splits(split_rows(rows(open_a=50, open_b=50))) == half | other
    sizes = {"train_a": 20, "val_a": 20, "test_a": 10}
    assert splits(split_rows(rows(open_a=50), validation="50%", test=10)) == sizes


def test_a_validation_set_that_is_there_stays():
    listed = rows(train_a=9, val_a=2, test_a=5)
    assert split_rows(listed) == listed
    with pytest.raises(UsageError, match="have a split 'val'"):
        split_rows(listed, validation=3)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ({"train_a": 5}, {}, "no test set whose size"),
        (
            {"train_a": 5, "test_a": 5},
            {},
            "as large as the test set, 5 videos, would leave none of the 5 training videos; say",
        ),
        ({"train_a": 5, "test_a": 5}, {"validation": 5}, "the split 'val': 5 of 5 videos cannot"),
        ({"train_a": 5, "test_a": 1}, {"validation": "all"}, "size of the validation set is 'all'"),
        ({"train_a": 5, "open_a": 1}, {}, "here: the row has no split, others have"),
        ({"train_a": 5, "test_a": 1}, {"test": 2}, "the annotations have splits"),
        ({"open_a": 5}, {"test": "100%"}, "the split 'test': 5 of 5 videos"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(counts, options, message):
    with pytest.raises(UsageError, match=message):
        split_rows(rows(**counts), **options)


@pytest.mark.skipif(DATA is None, reason="SCHEDPLAN_TEST_DATA is not set")
def test_real_clips_split_by_recording(tmp_path):
    root = Path(DATA) / "ut_interaction_set1"
    annotations = read_folders(root, Path(DATA) / "MANIFEST.tsv")
    manifest = index_videos(annotations, root, ProbeLog(tmp_path / "m.csv"))
    counts = Counter((video.class_name, video.split) for video in manifest.videos)
    assert len(manifest.videos) == 60
    assert len(manifest.classes) == 6
    assert min(counts[name, "train"] for name in manifest.classes) >= 5
    assert len({(video.group, video.split) for video in manifest.videos}) == 10


def test_what_may_have_been_the_machines_fault_is_probed_again(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"")
    with ProbeLog(tmp_path / "m.csv") as log:
        log.add(file, DecodeError(file, None, "it takes longer than 600 seconds", passing=True))
    with ProbeLog(tmp_path / "m.csv") as log:
        assert log.get(file) is None
        log.add(file, DecodeError(file, None, "no video stream"))
    with ProbeLog(tmp_path / "m.csv") as log:
        assert log.get(file).reason == "no video stream"


def test_a_link_that_leads_back_is_not_followed(clips):
    (clips / "bow" / "up").symlink_to(clips, target_is_directory=True)
    (clips / "bow" / "self").symlink_to(clips / "bow", target_is_directory=True)
    places = [row.path for row in read_folders(clips).rows]
    assert (
        len(places) == len({(clips / place).resolve() for place in places if "bow" in place}) + 10
    )


def test_a_link_to_another_rows_file_is_refused(clips):
    (clips / "wave" / "again.mp4").symlink_to(clips / "bow" / "1.mp4")
    said = r"/wave/again\.mp4: .*/bow/1\.mp4 is the file of this row and of .*/bow/1\.mp4"
    with pytest.raises(UsageError, match=said):
        index_folders(clips)


def test_a_root_may_lead_over_its_parent(clips, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    root = Path("..") / "clips"
    made = index_videos(read_folders(root), root, ProbeLog(Path("m.csv")))
    write_manifest(made, Path("m.csv"))
    assert read_manifest("m.csv", videos=root).videos == made.videos
    write_manifest(made, Path("..") / "m.csv")
    again = read_manifest("../m.csv")
    assert all(again.path(video).exists() for video in again.videos)


def test_a_name_that_is_too_long_is_one_of_a_missing_video(clips):
    annotations = Annotations(
        (Row("a/" + "x" * 300, "a", None, "l:1"), Row("wave/0.mp4", "b", None, "l:2")), ("a", "b")
    )
    assert locate(annotations, clips) == {"wave/0.mp4": "wave/0.mp4"}


def test_a_validation_set_that_groups_make_smaller_is_said(caplog):
    def listed(*groups: str) -> list[Row]:
        return [Row(f"{n}.mp4", "a", None, "", group) for n, group in enumerate(groups)]

    split_rows(listed(*"aaabbbccc", *"ddddd"), validation=4, test=5)
    assert "3 videos are set aside as 'val', not 4" in caplog.text
    with pytest.raises(UsageError, match="no video can be set aside as 'test', where 2 should be"):
        split_rows(listed(*"aaabbb"), validation=0, test=2)


def test_what_was_found_for_another_manifest_is_known(tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"")
    with ProbeLog(tmp_path / "one.csv") as log:
        log.add(file, DecodeError(file, 7, "it is damaged"))
    with ProbeLog(tmp_path / "two.csv") as log:
        assert log.get(file).what == "frame 7: it is damaged"
        log.add(file, DecodeError(file, None, "the file is empty"))
    with ProbeLog(tmp_path / "two.csv") as log:
        assert log.get(file).what == "the file is empty"


def test_videos_outside_classes_are_counted_and_those_deep_inside_named(clips, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("schedplan"), "propagate", True)
    caplog.set_level(logging.INFO)
    copy(clips / "wave" / "0.mp4", clips / "stray.mp4")
    copy(clips / "wave" / "0.mp4", clips / "wave" / "one" / "day" / "0.mp4")
    listed = read_folders(clips)
    assert listed.left_out == {"videos outside the folders of classes": 1}
    assert caplog.messages == [
        "videos deeper than CLASS/FILE: 1; their class is the uppermost folder"
    ]


def test_what_another_decoder_found_is_probed_again(tmp_path, monkeypatch):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"")
    with ProbeLog(tmp_path / "m.csv") as log:
        log.add(file, DecodeError(file, None, "no video stream"))
    with ProbeLog(tmp_path / "m.csv") as log:
        assert log.get(file)
    monkeypatch.setitem(av.library_versions, "libavcodec", (1, 2, 3))
    with ProbeLog(tmp_path / "m.csv") as log:
        assert log.get(file) is None
        log.add(file, DecodeError(file, None, "no video stream"))
        assert len(log.file.read_text().splitlines()) == 2
    with ProbeLog(tmp_path / "m.csv") as log:
        assert log.get(file)


def test_an_image_that_changes_in_its_folder_is_noticed(tmp_path, videos):
    folder, log = tmp_path / "frames", ProbeLog(tmp_path / "m.csv")
    write_frames(videos[0], folder)
    with log:
        log.add(folder, DecodeError(folder, None, "damaged"))
    image = sorted(folder.iterdir())[3]
    os.utime(image, ns=(1, image.stat().st_mtime_ns + 10**9))
    with ProbeLog(tmp_path / "m.csv") as again:
        assert again.get(folder) is None


def test_a_video_of_two_groups_is_refused(tmp_path):
    groups = tmp_path / "groups.csv"
    groups.write_text("path,group\na.mp4,one\na.mp4,one\na.mp4,two\n")
    with pytest.raises(
        UsageError, match=r"groups\.csv:4: a\.mp4 is in the group 'two', and in 'one'"
    ):
        read_groups(groups)


def test_a_column_that_is_named_must_be_there(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("path,class,recording\na.mp4,a,1\n")
    with pytest.raises(UsageError, match="'recordng'"):
        read_csv([table], {"group": "recordng"})
