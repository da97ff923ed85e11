"""Stored scores: they survive their file, and two streams are fused only where they agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schedplan.errors import UsageError
from schedplan_video.streams import Stream, fuse

CLASSES = ["hug", "kick", "wavé"]
RGB = Stream(
    ["a/1.avi", "a/2.avi", "b/3.avi"],
    [0, 1, 1],
    CLASSES,
    [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1]],
)
FLOW = Stream(
    ["b/3.avi", "a/1.avi", "a/2.avi"],
    [1, 0, 1],
    CLASSES,
    [[0.0, 0.4, 0.6], [0.2, 0.3, 0.5], [0.1, 0.7, 0.2]],
)


def equal(one: Stream, other: Stream) -> bool:
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_scores_survive_their_file(tmp_path: Path) -> None:
    RGB.save(tmp_path / "new" / "rgb.npz")
    assert equal(Stream.load(tmp_path / "new" / "rgb.npz"), RGB)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["rgb.npz"]


def test_the_file_is_as_documented(tmp_path: Path) -> None:
    RGB.save(tmp_path / "rgb.npz")
    with np.load(tmp_path / "rgb.npz", allow_pickle=False) as data:
        assert str(data["version"]) == "1"
        assert data["videos"].tolist() == ["a/1.avi", "a/2.avi", "b/3.avi"]
        assert (data["labels"].tolist(), data["labels"].dtype) == ([0, 1, 1], np.int64)
        assert data["classes"].tolist() == CLASSES
        assert (data["scores"].shape, data["scores"].dtype) == ((3, 3), np.float32)


@pytest.mark.parametrize(
    ("weights", "first"),
    [
        ((1, 1), [0.4, 0.3, 0.3]),
        ((2, 2), [0.4, 0.3, 0.3]),
        ((3, 1), [0.5, 0.3, 0.2]),
        ((0, 1), [0.2, 0.3, 0.5]),
    ],
)
def test_fusion_is_the_weighted_mean_for_each_video(weights, first) -> None:
    fused = fuse(RGB, FLOW, weights)
    np.testing.assert_allclose(fused.scores[0], first, rtol=1e-6)
    assert fused.videos.tolist() == RGB.videos.tolist()
    assert fused.labels.tolist() == RGB.labels.tolist()


def test_the_order_of_streams_and_of_videos_does_not_matter() -> None:
    one, other = fuse(RGB, FLOW, (1, 3)), fuse(FLOW, RGB, (3, 1))
    order = [other.videos.tolist().index(video) for video in one.videos]
    np.testing.assert_allclose(one.scores, other.scores[order], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"videos": ["b/3.avi", "a/1.avi", "a/9.avi"]},
            r"1 are in the first only, such as 'a/2.avi', 1 are in the second only.*'a/9.avi'",
        ),
        ({"labels": [1, 0, 0]}, r"other labels to 1 videos, such as a/2.avi: 'kick' .* 'hug'"),
        ({"classes": ["hug", "kick", "nod"]}, r"other classes: .*'wavé', .* such as 'nod'"),
        ({"classes": ["kick", "hug", "wavé"]}, r"number the same classes differently"),
    ],
)
def test_streams_that_do_not_match_are_refused(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fuse(RGB, replace(FLOW, **change))


def test_a_stream_with_fewer_videos_is_refused() -> None:
    fewer = Stream(FLOW.videos[:2], FLOW.labels[:2], CLASSES, FLOW.scores[:2])
    with pytest.raises(UsageError, match=r"1 are in the first only, such as 'a/2.avi'; evaluate"):
        fuse(RGB, fewer)


@pytest.mark.parametrize("weights", [(0, 0), (-1, 2), (1, float("inf")), (float("nan"), 1)])
def test_weights_are_numbers_from_0_up(weights: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="numbers from 0 up"):
        fuse(RGB, FLOW, weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"videos": ["a", "a", "b"]}, "twice"),
        ({"videos": ["a", "b"]}, "do not fit together"),
        ({"classes": ["hug", "kick"]}, "do not fit together"),
        ({"classes": "hug"}, "do not fit together"),
        ({"labels": [0, 1, 3]}, r"out of range; allowed: 0 to 2"),
        ({"labels": [0, 1, -1]}, "out of range"),
        ({"scores": np.full((3, 3), np.nan)}, "not finite"),
    ],
)
def test_arrays_that_are_no_stream_are_refused(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(RGB, **change)


def pickled(file: Path) -> None:
    np.savez(file, version="1", videos=np.array([{"a": 1}], dtype=object))


def newer(file: Path) -> None:
    np.savez(file, version="2", **vars(RGB))


def cut(file: Path) -> None:
    RGB.save(file)
    file.write_bytes(file.read_bytes()[:100])


def inconsistent(file: Path) -> None:
    np.savez(file, version="1", **{**vars(RGB), "labels": np.array([0, 1])})


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda file: None, r"s\.npz: there is no such file"),
        (lambda file: file.write_text("a,b"), r"s\.npz: the file holds no scores; .*--scores"),
        (lambda file: np.save(file.open("wb"), np.eye(2)), r"s\.npz: the file holds no scores"),
        (cut, r"s\.npz: the file holds no scores"),
        (pickled, r"s\.npz: the file holds no scores"),
        (newer, r"s\.npz: the scores have the version '2'; allowed: 1"),
        (inconsistent, r"s\.npz: .*do not fit together"),
    ],
)
def test_a_file_of_anything_else_is_refused(tmp_path: Path, write, message: str) -> None:
    write(tmp_path / "s.npz")
    with pytest.raises(UsageError, match=message):
        Stream.load(tmp_path / "s.npz")
