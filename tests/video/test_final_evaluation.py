"""Clips and crops of real, tiny videos: averaged as by hand, in bounded memory, shared exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from encoding import encode, noise

from schedplan.errors import UsageError
from schedplan_video import snapshots
from schedplan_video.data.decode import read_frames
from schedplan_video.data.loader import ClipLoader
from schedplan_video.data.manifest import Manifest, Video, read_manifest, write_manifest
from schedplan_video.data.sampling import consecutive, uniform
from schedplan_video.data.transforms import EvaluationTransform, normalize
from schedplan_video.data.view import View
from schedplan_video.evaluate import evaluation_clips, name_videos, score, score_snapshot
from schedplan_video.scores import Scores, merge
from schedplan_video.snapshots import SnapshotMeta
from schedplan_video.trainer import VideoTrainer

CPU = torch.device("cpu")
VIDEOS, FRAMES, SIDE = 7, 24, 36
SIZES = [(48, 64), (64, 48), (40, 80)]
STAGE = {"clip_length": 16, "learning_rate": 0.1, "batch_size": 2}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Make seven videos of several sizes and shapes; the last two are for training."""
    folder = tmp_path_factory.mktemp("videos")
    rows = []
    for number in range(VIDEOS + 2):
        height, width = SIZES[number % 3]
        pictures = [np.roll(p, 5 * number, axis=0) for p in noise(FRAMES, height, width)]
        encode(folder / f"{number}.mp4", "libx264", {"crf": "20"}, pictures=pictures)
        split = "test" if number < VIDEOS else ("train", "val")[number - VIDEOS]
        facts = {"frames": FRAMES, "height": height, "width": width}
        rows.append(Video(f"{number}.mp4", number % 2, "ab"[number % 2], split, **facts))
    write_manifest(Manifest(folder, tuple(rows)), folder / "manifest.csv")
    return read_manifest(folder / "manifest.csv")


def saved(videos: Manifest, folder: Path, sampling: str) -> Path:
    trainer = VideoTrainer(
        manifest=videos.folder / "manifest.csv",
        network="dg_p3d_resnet18",
        width=0.125,
        crop=32,
        short_side=(32, 40),
        evaluation_side=SIDE,
        workers=0,
        device="cpu",
    )
    trainer.begin(STAGE | {"sampling": sampling}, None, seed=0)
    trainer.save(folder)
    return folder


@pytest.fixture(scope="module")
def snapshot(videos: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(videos, tmp_path_factory.mktemp("snapshot"), "uniform")


def load(snapshot: Path) -> tuple[SnapshotMeta, torch.nn.Module]:
    meta = snapshots.read_meta(snapshot)
    model = meta.architecture.build()
    snapshots.load_model(snapshot, model, meta.architecture)
    return meta, model.eval()


def evaluate(snapshot: Path, videos: Manifest, clips: int, crops: int, size: int) -> Scores:
    return score_snapshot(
        snapshot, videos, "test", clips=clips, crops=crops, batch_size=size, device="cpu"
    )


def by_hand(snapshot: Path, videos: Manifest, row: int, clips: int, crops: int) -> np.ndarray:
    """Return the scores of a video, view by view, written straight from the protocol."""
    meta, model = load(snapshot)
    video = videos.split("test")[row]
    height, width = SIZES[row % 3]
    short = min(height, width)
    height, width = SIDE * height // short, SIDE * width // short
    frames = (
        consecutive(FRAMES, 16, clips=clips)
        if meta.settings.sampling == "consecutive"
        else uniform(FRAMES, 4, clips=clips)
    )
    found = []
    for clip in frames:
        whole = View(height, width, 0, 0, height, width)
        pictures = read_frames(videos.path(video), clip, view=whole)
        for crop in range(crops):
            top = (height - SIDE) * crop // (crops - 1)
            left = (width - SIDE) * crop // (crops - 1)
            view = pictures[:, :, top : top + SIDE, left : left + SIDE]
            with torch.inference_mode():
                heads = model(normalize(view[None]))
            found.append(sum(head.softmax(dim=1)[0] for head in heads) / len(heads))
    return torch.stack(found).double().mean(dim=0).numpy()


@pytest.mark.parametrize("sampling", ["consecutive", "uniform"])
@pytest.mark.parametrize(("clips", "crops"), [(3, 3), (1, 2)])
def test_scores_are_the_average_over_all_views(videos, tmp_path, sampling, clips, crops) -> None:
    snapshot = saved(videos, tmp_path, sampling)
    found = evaluate(snapshot, videos, clips, crops, size=32)
    assert found.rows.tolist() == list(range(VIDEOS))
    assert found.views.tolist() == [clips * crops] * VIDEOS
    assert found.labels.tolist() == [row % 2 for row in range(VIDEOS)]
    for row in (0, 1, 2):  # wide, tall, and wider
        expected = by_hand(snapshot, videos, row, clips, crops)
        np.testing.assert_allclose(found.scores[row], expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 4, 6, 20, 45])
def test_micro_batches_of_views_change_nothing(snapshot, videos, size) -> None:
    whole = evaluate(snapshot, videos, clips=5, crops=3, size=1000)
    parted = evaluate(snapshot, videos, clips=5, crops=3, size=size)
    assert parted.views.tolist() == whole.views.tolist() == [15] * VIDEOS
    np.testing.assert_allclose(parted.scores, whole.scores, atol=1e-5)
    np.testing.assert_allclose(parted.losses, whole.losses, rtol=1e-4)


@pytest.mark.parametrize(("size", "most"), [(8, 6), (7, 6), (3, 3), (2, 3), (40, 36), (80, 72)])
def test_no_more_views_are_held_than_asked_for(snapshot, videos, size, most) -> None:
    """A video has 12 clips of 3 crops; 2 views at once are 3, the crops of one clip."""
    held = []

    def record(batches, total):
        for batch in batches:
            held.append(len(batch[0]))
            yield batch
        assert len(held) == total

    numbers = {"clips": 12, "crops": 3, "batch_size": size}
    score_snapshot(snapshot, videos, "test", **numbers, device="cpu", track=record)
    assert (max(held), sum(held)) == (most, VIDEOS * 36)


@pytest.mark.parametrize("ranks", [2, 3, VIDEOS + 2])
@pytest.mark.parametrize("at_once", [None, 2])
def test_shares_of_several_processes_merge_to_the_whole(snapshot, videos, ranks, at_once) -> None:
    meta, model = load(snapshot)
    clips = evaluation_clips(
        videos,
        "test",
        meta.settings,
        EvaluationTransform(SIDE, SIDE, crops=2),
        clips=3,
        clips_at_once=at_once,
    )
    shares = []
    for rank in range(ranks):
        with ClipLoader(clips, 2, rank=rank, world_size=ranks).epoch() as batches:
            shares.append(score(model, batches, CPU))
    assert any(len(share.rows) == 0 for share in shares) == (ranks > len(clips))
    whole = merge(reversed(shares))
    whole.check_complete(VIDEOS, views=6)
    expected = evaluate(snapshot, videos, clips=3, crops=2, size=32)
    np.testing.assert_allclose(whole.scores, expected.scores, atol=1e-5)


def test_one_view_is_the_one_that_planning_takes(videos, snapshot) -> None:
    meta, model = load(snapshot)
    planning = evaluation_clips(videos, "test", meta.settings, EvaluationTransform(32, SIDE))
    with ClipLoader(planning, 3).epoch() as batches:
        expected = score(model, batches, CPU)
    found = evaluate(snapshot, videos, clips=1, crops=1, size=3)
    assert np.array_equal(found.scores, expected.scores)


def test_scores_are_named_by_their_video(videos, snapshot) -> None:
    found = evaluate(snapshot, videos, clips=1, crops=1, size=3)
    stream = name_videos(found, videos, "test")
    assert stream.videos.tolist() == [f"{row}.mp4" for row in range(VIDEOS)]
    assert stream.classes.tolist() == ["a", "b"]
    np.testing.assert_allclose(stream.scores, found.scores, rtol=1e-6)


def test_a_flow_video_has_the_name_of_its_pictures(videos) -> None:
    rows = tuple(
        Video(f"{video.path}.mp4", video.label, video.class_name, video.split, modality="flow")
        for video in videos.videos
    )
    flow, row = Manifest(videos.folder, rows), np.array([3])
    found = Scores(row, row % 2, row, np.array([[0.5, 0.5]]), np.array([1.0]))
    assert name_videos(found, flow, "test").videos.tolist() == ["3.mp4"]


@pytest.mark.parametrize("option", ["clips", "crops", "batch_size"])
def test_numbers_below_1_are_refused(videos, snapshot, option) -> None:
    numbers = {"clips": 2, "crops": 2, "batch_size": 2} | {option: 0}
    with pytest.raises(UsageError, match=f"{option.replace('_', ' ')}.* 0; allowed|cannot be 0"):
        score_snapshot(snapshot, videos, "test", device="cpu", **numbers)
