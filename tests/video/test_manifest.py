from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.manifest import (
    COLUMNS,
    STATUSES,
    Manifest,
    ManifestError,
    Video,
    corrupt,
    read_manifest,
    write_manifest,
)

GOOD = "path,label,split\na.mp4,0,train\nb.mp4,1,val\n"


def refusal(tmp_path: Path, text: str) -> str:
    file = tmp_path / "manifest.csv"
    file.write_bytes(text.encode())
    with pytest.raises(UsageError) as caught:
        read_manifest(file)
    return str(caught.value)


def test_the_required_columns_are_enough(tmp_path):
    file = tmp_path / "manifest.csv"
    file.write_text(GOOD)
    manifest = read_manifest(file)
    assert manifest.videos == (Video("a.mp4", 0, "0", "train"), Video("b.mp4", 1, "1", "val"))
    assert manifest.classes == ("0", "1")
    assert manifest.splits == ("train", "val")
    assert manifest.path(manifest.split("val")[0]) == tmp_path / "b.mp4"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip("\n"),
        GOOD.replace("\n", "\n\n"),
        "\ufeff" + GOOD,
        'label,split,path\n0,train,"a.mp4"\n1,val,b.mp4\n',
        "path,label,split,frames\na.mp4,0.0,train,\n,,,\nb.mp4,1.0,val,16.0\n",
        ",path,label,split,version\n0,a.mp4,0,train,1.0\n1,b.mp4,1,val,1.0\n",
        "path,label,split,,\na.mp4,0,train,,\nb.mp4,1,val,,\n",
        "Path, label ,SPLIT\na.mp4,0,train\nb.mp4,1,val\n",
        "path,label,split\n./a.mp4,0,train\n.//b.mp4/,1,val\n",
    ],
    ids=[
        "windows",
        "no final newline",
        "blank lines",
        "byte order mark",
        "other order",
        "empty rows and whole numbers as floats",
        "the index of a data frame",
        "columns without a name",
        "names of columns in other letters",
        "paths that can be shorter",
    ],
)
def test_variants_of_csv_read_alike(tmp_path, text):
    file = tmp_path / "manifest.csv"
    file.write_bytes(text.encode())
    assert [(v.path, v.label) for v in read_manifest(file).videos] == [("a.mp4", 0), ("b.mp4", 1)]


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ("", 1, ["empty"]),
        ("path,label\na.mp4,0\n", 1, ["'split' is missing"]),
        ("path,label,split,grup\na.mp4,0,train,\n", 1, ["'grup'", "did you mean 'group'"]),
        ("path,label,split,label\n", 1, ["'label' is there twice"]),
        ("path,label,split,Label\n", 1, ["'label' is there twice"]),
        (GOOD + "c.mp4,1\n", 4, ["2 columns", "the header 3"]),
        (GOOD + "c.mp4,1,train,\n", 4, ["4 columns"]),
        (GOOD + "c.mp4,one,train\n", 4, ["'one' is not an integer"]),
        (GOOD + "c.mp4,1.5,train\n", 4, ["'1.5' is not an integer"]),
        (GOOD + "c.mp4,nan,train\n", 4, ["'nan' is not an integer"]),
        (GOOD + "c.mp4,-1,train\n", 4, ["-1 is negative"]),
        (GOOD + "c.mp4,3,train\nd.mp4,4,train\n", 4, ["label 3", "no label 2"]),
        ("path,label,split\na.mp4,1,train\n", 2, ["no label 0"]),
        (GOOD + ",1,train\n", 4, ["path is empty"]),
        (GOOD + "./,1,train\n", 4, ["path is empty"]),
        (GOOD + "x/c.mp4,1,train\nx/.//c.mp4,1,val\n", 5, ["'x/c.mp4' is listed twice"]),
        (GOOD + "/c.mp4,1,train\n", 4, ["leaves"]),
        (GOOD + "x/../../c.mp4,1,train\n", 4, ["leaves"]),
        (GOOD + "C:\\c.mp4,1,train\n", 4, ["leaves"]),
        (GOOD + "c.mp4,1,valid\n", 4, ["'valid'", "train, val, test"]),
        (GOOD + "\n\na.mp4,1,train\n", 6, ["'a.mp4' is listed twice"]),
        (GOOD + '"c\nc.mp4",1,x\n', 5, ["'c\\nc.mp4'", "one line"]),
        (GOOD + "c\0.mp4,1,train\n", 4, ["one line"]),
        (GOOD + '"c.mp4,1,train\n', 4, []),
        ("path,label,split,frames\na.mp4,0,train,0\n", 2, ["frames 0"]),
        ("path,label,split,frames\na.mp4,0,train,1e300\n", 2, ["frames 1e+300", "1 to 2147483647"]),
        ("path,label,split,fps\na.mp4,0,train,fast\n", 2, ["'fast' is not a number"]),
        ("path,label,split,fps\na.mp4,0,train,0\n", 2, ["fps 0.0"]),
        ("path,label,split,duration\na.mp4,0,train,nan\n", 2, ["duration nan"]),
        ("path,label,split,rotation\na.mp4,0,train,360\n", 2, ["rotation 360"]),
        ("path,label,split,modality\na.mp4,0,train,rbg\n", 2, ["'rbg'", "rgb, flow"]),
        (
            "path,label,split,modality\na,0,train,rgb\nb,0,train,flow\n",
            3,
            ["'flow' among videos of 'rgb'"],
        ),
        ("path,label,split,status\na.mp4,0,train,okay\n", 2, ["'okay'", "ok, missing"]),
        (
            "path,label,split,what,version\na.mp4,0,train,x,2\n",
            2,
            ["version '2'", "allowed: 1", "update schedplan"],
        ),
        (
            "path,label,split,class_name\na,0,train,hug\nb,1,train,kick\nc,1,train,kick\nd,2,val,hug\n",
            5,
            ["class 'hug' has two labels, 0 and 2"],
        ),
        (
            "path,label,split,class_name\na,0,train,hug\nb,1,train,kick\nc,0,train,box\n",
            4,
            ["label 0 has two names", "'hug'", "'box'"],
        ),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path, text, line, parts):
    message = refusal(tmp_path, text)
    assert message.startswith(f"{tmp_path / 'manifest.csv'}:{line}: ")
    assert all(part in message for part in parts), message


def test_a_manifest_without_rows_is_refused(tmp_path):
    assert "no video" in refusal(tmp_path, "path,label,split\n")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"there is no manifest .*nowhere\.csv"):
        read_manifest(tmp_path / "nowhere.csv")
    with pytest.raises(UsageError, match="directory"):
        read_manifest(tmp_path)
    (tmp_path / "video.mp4").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UsageError, match="UTF-8"):
        read_manifest(tmp_path / "video.mp4")


def test_a_split_without_videos_is_refused_with_those_there_are(tmp_path):
    file = tmp_path / "manifest.csv"
    file.write_text(GOOD)
    with pytest.raises(ManifestError, match=r"/manifest\.csv: .*split 'test'.*allowed: train, val"):
        read_manifest(file).split("test")


TEXT = st.text() | st.text("ab./ \r\n\t\x85\u2028\0\ud800\",'\ufeff", max_size=5)


@st.composite
def manifests(draw):
    """Return the rows of a manifest, which may be refused."""
    paths = draw(st.lists(TEXT, min_size=1))
    positive = st.none() | st.integers(1, 2**31 - 1)
    labels = draw(st.integers(1, len(paths)))
    names = draw(st.lists(TEXT, min_size=labels, max_size=labels))
    statuses = st.sampled_from(STATUSES) | TEXT.map("corrupt: {}".format) | TEXT.map(corrupt)
    return [
        {
            "path": path,
            "label": row % labels,
            "class_name": names[row % labels],
            "split": draw(st.sampled_from(["train", "val", "test"])),
            "frames": draw(positive),
            "fps": draw(st.none() | st.floats(0.1, 240)),
            "width": draw(positive),
            "height": draw(positive),
            "duration": draw(st.none() | st.floats(0.01, 10**5)),
            "rotation": draw(st.none() | st.sampled_from([0, 90, 180, 270])),
            "group": draw(st.none() | TEXT),
            "status": draw(statuses),
        }
        for row, path in enumerate(paths)
    ]


@settings(max_examples=300)
@given(rows=manifests())
def test_what_can_be_made_can_be_written_and_read_back(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp() / "manifest"
    try:
        manifest = Manifest(folder, tuple(Video(**row) for row in rows))
    except ManifestError:
        return
    write_manifest(manifest, folder / "manifest.csv")
    assert read_manifest(folder / "manifest.csv") == manifest
    assert [file.name for file in folder.iterdir()] == ["manifest.csv"]


@pytest.mark.parametrize("text", ["", "a\rb", "a\nb", "a\x85", "\n", "a\0", "\ud800"])
@pytest.mark.parametrize("name", ["path", "class_name", "group", "status"])
def test_names_are_one_line_of_text(name, text):
    facts = {"path": "a.mp4", "class_name": "hug", "group": None, "status": "ok"}
    facts[name] = f"corrupt: {text}" if name == "status" and text else text
    with pytest.raises(ManifestError, match=name.partition("_")[0]):
        Video(label=0, split="train", **facts)


def test_the_reason_of_a_status_becomes_one_line_of_text():
    assert corrupt("it\r\nhas \udcff") == "corrupt: it has \\udcff"


def test_all_columns_are_written_with_the_version_in_every_row(tmp_path):
    write_manifest(Manifest(tmp_path, (Video("a.mp4", 0, "hug", "train"),)), tmp_path / "m.csv")
    header, row = (tmp_path / "m.csv").read_text().splitlines()
    assert header == ",".join(COLUMNS)
    assert row == "a.mp4,0,hug,train,,,,,,,,rgb,ok,1"


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(ManifestError, match="UTF-8"):
        Video(b"h\xe9.mp4".decode(errors="surrogateescape"), 0, "hug", "train")


LOST = tuple(
    Video(f"{row}.mp4", 0, "hug", "train", status=status)
    for row, status in enumerate(["ok", "missing", "ok", "corrupt: no video stream"] + 196 * ["ok"])
)


def test_videos_that_cannot_be_used_are_not_in_a_split_unless_few_enough_are_allowed():
    with pytest.raises(ManifestError) as caught:
        Manifest(Path("clips"), LOST).split("train")
    assert str(caught.value) == (
        "clips: 1 missing, 1 corrupt of 200 videos of the split 'train', such as 1.mp4 (missing);"
        " allowed: 0 (allow_missing); mend them and index again, or allow more"
    )
    for few in (1, "0.9%"):
        with pytest.raises(ManifestError, match="1 missing, 1 corrupt"):
            Manifest(Path("clips"), LOST, few).split("train")
    for enough in (2, "1%"):
        manifest = Manifest(Path("clips"), LOST, enough)
        assert len(manifest.split("train")) == 198
        assert [video.path for video in manifest.unusable("train")] == ["1.mp4", "3.mp4"]


def test_several_splits_are_each_checked_and_given_in_the_files_order():
    rows = [("a", "val", "ok"), ("b", "train", "ok"), ("c", "val", "missing"), ("d", "val", "ok")]
    videos = tuple(Video(path, 0, "hug", split, status=status) for path, split, status in rows)
    manifest = Manifest(Path("clips"), videos, 1)
    assert [video.path for video in manifest.split("train", "val")] == ["a", "b", "d"]
    with pytest.raises(ManifestError, match="no video is in the split 'test'; allowed: train, val"):
        manifest.split("train", "test")
    with pytest.raises(ManifestError, match="1 missing of 3 videos of the split 'val'"):
        Manifest(Path("clips"), videos).split("train", "val")


def test_a_split_of_which_nothing_can_be_used_is_refused():
    with pytest.raises(ManifestError) as caught:
        Manifest(Path("clips"), LOST[1:2], "100%").split("train")
    assert str(caught.value) == (
        "clips: 1 missing of 1 videos of the split 'train', such as 1.mp4 (missing);"
        " so none is left; mend them and index again"
    )


def test_what_may_be_missing_is_checked_when_the_manifest_is_read(tmp_path):
    (tmp_path / "m.csv").write_text(GOOD)
    with pytest.raises(UsageError, match="allow_missing is 'some'"):
        read_manifest(tmp_path / "m.csv", allow_missing="some")


def test_a_manifest_above_the_videos_finds_them_by_itself(tmp_path):
    manifest = Manifest(tmp_path / "clips", (Video("a.mp4", 0, "hug", "train"),))
    write_manifest(manifest, tmp_path / "m.csv")
    moved = read_manifest(tmp_path / "m.csv")
    assert moved.videos[0].path == "clips/a.mp4"
    assert moved.path(moved.videos[0]) == manifest.path(manifest.videos[0])


def test_a_folder_that_has_none_of_the_videos_is_refused(tmp_path):
    manifest = Manifest(tmp_path / "clips", LOST)
    with pytest.raises(ManifestError) as caught:
        manifest.check_there(LOST)
    assert "none of the 200 videos is there, such as 0.mp4" in str(caught.value)
    assert f"relative to {tmp_path / 'clips'}" in str(caught.value)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "7.mp4").touch()
    manifest.check_there(LOST)


VIDEO = Video("a.mp4", 0, "hug", "train", frames=9, group="x")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"frames": 8, "status": "missing", "group": None}, True),
        ({"path": "b.mp4"}, False),
        ({"class_name": "kick"}, False),
        ({"split": "val"}, False),
    ],
)
def test_a_digest_is_of_what_there_is_to_learn(change, same):
    one, other = (Manifest(Path(), (video,)).digest for video in (VIDEO, replace(VIDEO, **change)))
    assert (one == other) == same


def test_a_manifest_elsewhere_is_told_where_the_videos_are(tmp_path):
    manifest = Manifest(tmp_path / "clips", (Video("a.mp4", 0, "hug", "train"),))
    (tmp_path / "elsewhere").mkdir()
    write_manifest(manifest, tmp_path / "elsewhere" / "m.csv")
    assert read_manifest(tmp_path / "elsewhere" / "m.csv", tmp_path / "clips") == manifest
