from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan_video.data.manifest import (
    COLUMNS,
    Manifest,
    ManifestError,
    Video,
    read_manifest,
    write_manifest,
)

GOOD = "path,label,split\na.mp4,0,train\nb.mp4,1,val\n"


def refusal(tmp_path: Path, text: str) -> str:
    file = tmp_path / "manifest.csv"
    file.write_bytes(text.encode())
    with pytest.raises(ManifestError) as caught:
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
    ],
    ids=["windows", "no final newline", "blank lines", "byte order mark", "other order"],
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
        ("path,label,split,grup\n", 1, ["'grup'", "did you mean 'group'"]),
        ("path,label,split,label\n", 1, ["'label' is there twice"]),
        (GOOD + "c.mp4,1\n", 4, ["2 columns", "the header 3"]),
        (GOOD + "c.mp4,1,train,\n", 4, ["4 columns"]),
        (GOOD + "c.mp4,one,train\n", 4, ["'one' is not an integer"]),
        (GOOD + "c.mp4,1.0,train\n", 4, ["'1.0' is not an integer"]),
        (GOOD + "c.mp4,-1,train\n", 4, ["-1 is negative"]),
        (GOOD + "c.mp4,3,train\nd.mp4,4,train\n", 4, ["label 3", "no label 2"]),
        ("path,label,split\na.mp4,1,train\n", 2, ["no label 0"]),
        (GOOD + ",1,train\n", 4, ["path is empty"]),
        (GOOD + "/c.mp4,1,train\n", 4, ["leaves"]),
        (GOOD + "x/../../c.mp4,1,train\n", 4, ["leaves"]),
        (GOOD + "C:\\c.mp4,1,train\n", 4, ["leaves"]),
        (GOOD + "c.mp4,1,valid\n", 4, ["'valid'", "train, val, test"]),
        (GOOD + "\n\na.mp4,1,train\n", 6, ["'a.mp4' is listed twice"]),
        (GOOD + '"c\nc.mp4",1,x\n', 5, ["unknown split"]),
        (GOOD + '"c.mp4,1,train\n', 4, []),
        ("path,label,split,frames\na.mp4,0,train,0\n", 2, ["frames 0"]),
        ("path,label,split,fps\na.mp4,0,train,fast\n", 2, ["'fast' is not a number"]),
        (
            "path,label,split,class_name\na,0,train,hug\nb,1,train,kick\nc,0,train,kick\n",
            4,
            ["label 0 has two names", "'hug'", "'kick'"],
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
    with pytest.raises(ManifestError, match=r"nowhere\.csv: No such file"):
        read_manifest(tmp_path / "nowhere.csv")
    with pytest.raises(ManifestError, match="directory"):
        read_manifest(tmp_path)
    (tmp_path / "video.mp4").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ManifestError, match="UTF-8"):
        read_manifest(tmp_path / "video.mp4")


def test_a_split_without_videos_is_refused_with_those_there_are(tmp_path):
    file = tmp_path / "manifest.csv"
    file.write_text(GOOD)
    with pytest.raises(ManifestError, match=r"split 'test'.*allowed: train, val"):
        read_manifest(file).split("test")


@st.composite
def manifests(draw):
    characters = st.characters(codec="utf-8", exclude_characters="/\\:", exclude_categories=["Cc"])
    name = st.text(characters, min_size=1)
    paths = draw(st.lists(name.filter(lambda text: ".." not in text), min_size=1, unique=True))
    positive = st.none() | st.integers(1, 10**6)
    labels = draw(st.integers(1, len(paths)))
    names = draw(st.lists(name, min_size=labels, max_size=labels))
    return tuple(
        Video(
            path=path,
            label=row % labels,
            class_name=names[row % labels],
            split=draw(st.sampled_from(["train", "val", "test"])),
            frames=draw(positive),
            fps=draw(st.none() | st.floats(0.1, 240)),
            width=draw(positive),
            height=draw(positive),
            group=draw(st.none() | name),
        )
        for row, path in enumerate(paths)
    )


@settings(max_examples=50, deadline=None)
@given(videos=manifests())
def test_what_is_written_reads_back(tmp_path_factory, videos):
    folder = tmp_path_factory.mktemp("manifest")
    manifest = Manifest(folder, videos)
    write_manifest(manifest, folder / "manifest.csv")
    assert read_manifest(folder / "manifest.csv") == manifest
    assert [file.name for file in folder.iterdir()] == ["manifest.csv"]


def test_all_columns_are_written(tmp_path):
    write_manifest(Manifest(tmp_path, (Video("a.mp4", 0, "hug", "train"),)), tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_manifest_above_the_videos_finds_them_by_itself(tmp_path):
    manifest = Manifest(tmp_path / "clips", (Video("a.mp4", 0, "hug", "train"),))
    write_manifest(manifest, tmp_path / "m.csv")
    moved = read_manifest(tmp_path / "m.csv")
    assert moved.videos[0].path == "clips/a.mp4"
    assert moved.path(moved.videos[0]) == manifest.path(manifest.videos[0])


def test_a_manifest_elsewhere_is_told_where_the_videos_are(tmp_path):
    manifest = Manifest(tmp_path / "clips", (Video("a.mp4", 0, "hug", "train"),))
    (tmp_path / "elsewhere").mkdir()
    write_manifest(manifest, tmp_path / "elsewhere" / "m.csv")
    assert read_manifest(tmp_path / "elsewhere" / "m.csv", tmp_path / "clips") == manifest
