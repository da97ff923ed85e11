"""Optical flow: what is computed, how it is stored and read, and going on after a break."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from encoding import encode, photo
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.check import Difference, check_videos
from schedplan_video.data.dataset import ClipDataset
from schedplan_video.data.decode import DecodeError, probe, read_frames
from schedplan_video.data.flow import MANIFEST, FlowSettings, compute_flow
from schedplan_video.data.manifest import Manifest, Video, read_manifest, write_manifest
from schedplan_video.data.transforms import TrainingTransform
from schedplan_video.data.view import View
from schedplan_video.evaluate import score_snapshot
from schedplan_video.metrics import measure
from schedplan_video.trainer import VideoTrainer

cv2 = pytest.importorskip("cv2")

HEIGHT, WIDTH, FRAMES = 48, 64, 6
LOSSLESS = {"crf": "0", "g": "12"}


def pan(path: Path, x: int, y: int, frames: int = FRAMES) -> Path:
    """Write a video in which everything moves by x to the right and y down from frame to frame."""
    land = photo(HEIGHT + 40, WIDTH + 40)
    tops, lefts = 20 - y * np.arange(frames), 20 - x * np.arange(frames)
    pictures = [
        land[t : t + HEIGHT, left : left + WIDTH] for t, left in zip(tops, lefts, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    return encode(path, "libx264", LOSSLESS, pictures=pictures, pix_fmt="yuv444p")


def listed(folder: Path, *paths: str, **facts: object) -> Manifest:
    splits = ("train", "val", "test")
    videos = (
        Video(path, row % 2, "ab"[row % 2], splits[row % 3], **facts)
        for row, path in enumerate(paths)
    )
    return Manifest(folder, tuple(videos))


@pytest.fixture
def videos(tmp_path: Path) -> Manifest:
    """Make a pan to the right and down, and one to the left and up."""
    pan(tmp_path / "videos" / "a" / "one.mp4", 3, 2)
    pan(tmp_path / "videos" / "b" / "two.mkv", -2, -1)
    return listed(tmp_path / "videos", "a/one.mp4", "b/two.mkv", fps=12.5)


@given(st.floats(-50, 50), st.floats(0.5, 40))
def test_levels_tell_movements_within_the_bound(movement, bound):
    settings = FlowSettings(bound)
    level = settings.levels(np.array(movement))
    assert settings.movement(level) == pytest.approx(
        np.clip(movement, -bound, bound), abs=bound / 255 * 1.001
    )
    assert abs(int(level) + int(settings.levels(np.array(-movement))) - 255) <= 1


def test_flow_is_the_movement_to_the_next_frame(videos, tmp_path):
    made = compute_flow(videos, tmp_path / "flow")
    assert [video.path for video in made.videos] == ["a/one.mp4.mp4", "b/two.mkv.mp4"]
    for video, moved in zip(made.videos, [(3, 2), (-2, -1)], strict=True):
        levels = read_frames(made.path(video), range(FRAMES - 1), modality="flow").numpy()
        assert levels.shape == (FRAMES - 1, 2, HEIGHT, WIDTH)
        inside = FlowSettings().movement(levels)[:, :, 8:-8, 8:-8]
        assert np.median(inside, axis=(0, 2, 3)) == pytest.approx(moved, abs=0.25)


def test_the_manifest_says_what_the_files_hold(videos, tmp_path):
    made = compute_flow(videos, tmp_path / "flow")
    assert (made.modality, made.channels) == ("flow", 2)
    for before, after in zip(videos.videos, made.videos, strict=True):
        info = probe(made.path(after))
        assert (info.frames, info.height, info.width) == (FRAMES - 1, HEIGHT, WIDTH)
        assert after == replace(
            before, path=f"{before.path}.mp4", modality="flow", **info._asdict()
        )
        assert after.fps == 12.5


def test_a_flow_manifest_is_written_and_read(videos, tmp_path):
    made = compute_flow(videos, tmp_path / "flow")
    write_manifest(made, tmp_path / "flow" / MANIFEST)
    assert read_manifest(tmp_path / "flow" / MANIFEST) == made


def test_the_rate_is_the_videos_where_the_manifest_has_none(videos, tmp_path):
    made = compute_flow(
        listed(videos.folder, "a/one.mp4", height=HEIGHT, width=WIDTH), tmp_path / "flow"
    )
    assert made.videos[0].fps == pytest.approx(probe(videos.folder / "a/one.mp4").fps)


def test_equal_settings_are_the_same_on_disk():
    assert FlowSettings(bound=20).comment == FlowSettings(bound=20.0).comment


def test_large_frames_are_scaled_down_first(videos, tmp_path):
    made = compute_flow(videos, tmp_path / "flow", FlowSettings(short_side=24))
    assert {(video.height, video.width) for video in made.videos} == {(24, 32)}
    levels = read_frames(made.path(made.videos[0]), [0], modality="flow").numpy()
    moved = FlowSettings().movement(levels)[0, :, 4:-4, 4:-4]
    assert np.median(moved, axis=(1, 2)) == pytest.approx((1.5, 1), abs=0.25)


def test_folders_of_frames_have_flow_too(tmp_path):
    land = photo(HEIGHT + 20, WIDTH + 20)
    folder = tmp_path / "videos" / "7"
    folder.mkdir(parents=True)
    for number in range(4):
        picture = land[10 : 10 + HEIGHT, 10 - 2 * number : 10 - 2 * number + WIDTH]
        cv2.imwrite(str(folder / f"{number + 1:05}.jpg"), picture[..., ::-1])
    made = compute_flow(listed(tmp_path / "videos", "7"), tmp_path / "flow")
    assert (made.videos[0].path, made.videos[0].frames) == ("7.mp4", 3)
    levels = read_frames(made.path(made.videos[0]), [1], modality="flow").numpy()
    moved = FlowSettings().movement(levels)[0, :, 8:-8, 8:-8]
    assert np.median(moved, axis=(1, 2)) == pytest.approx((2, 0), abs=0.25)


def test_an_image_that_changed_makes_new_flow(tmp_path):
    folder = tmp_path / "videos" / "7"
    folder.mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.jpg"), photo(HEIGHT, WIDTH))
    first = compute_flow(listed(tmp_path / "videos", "7"), tmp_path / "flow")
    file = first.path(first.videos[0])
    before = file.stat().st_mtime_ns
    later = time.time() + 10
    os.utime(folder / "1.jpg", (later, later))
    os.utime(folder, (1, 1))
    compute_flow(listed(tmp_path / "videos", "7"), tmp_path / "flow")
    assert file.stat().st_mtime_ns != before


def test_views_of_flow_change_its_place_and_not_its_values(videos, tmp_path):
    made = compute_flow(videos, tmp_path / "flow")
    file = made.path(made.videos[0])
    native = read_frames(file, [2], modality="flow")
    cut = read_frames(file, [2], modality="flow", view=View(HEIGHT, WIDTH, 5, 7, 31, 41))
    assert np.array_equal(cut, native[:, :, 5:36, 7:48])
    large = read_frames(file, [2], modality="flow", view=View(96, 128, 0, 0, 96, 128))
    middles = [
        np.median(levels.numpy()[..., 8:-8, 8:-8], axis=(0, 2, 3)) for levels in (native, large)
    ]
    assert middles[0] == pytest.approx(middles[1], abs=1)


def test_what_is_there_is_kept(videos, tmp_path):
    def written() -> list[int]:
        made = compute_flow(videos, tmp_path / "flow")
        return [made.path(video).stat().st_mtime_ns for video in made.videos]

    first = written()
    assert written() == first
    later = time.time() + 10
    os.utime(videos.path(videos.videos[0]), (later, later))
    one, two = written()
    assert (one != first[0], two) == (True, first[1])


@pytest.mark.parametrize("settings", [FlowSettings(bound=10), FlowSettings(short_side=20)])
def test_other_settings_are_not_mixed_in(videos, tmp_path, settings):
    first = compute_flow(videos, tmp_path / "flow")
    contents = [first.path(video).read_bytes() for video in first.videos]
    first.path(first.videos[0]).unlink()
    with pytest.raises(UsageError, match=r"flow: .*(bound|short_side) was .* is now .*--out"):
        compute_flow(videos, tmp_path / "flow", settings)
    assert not first.path(first.videos[0]).exists()
    assert first.path(first.videos[1]).read_bytes() == contents[1]
    made = compute_flow(videos, tmp_path / "other", settings)
    files = (first.path(first.videos[1]), made.path(made.videos[1]))
    one, other = (read_frames(file, range(FRAMES - 1), modality="flow").int() for file in files)
    assert other.shape != one.shape or (other - one).abs().max() > 10


def test_a_file_that_is_not_whole_is_computed_again(videos, tmp_path):
    made = compute_flow(videos, tmp_path / "flow")
    file = made.path(made.videos[1])
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert compute_flow(videos, tmp_path / "flow") == made
    assert probe(file).frames == FRAMES - 1


def test_videos_without_flow_keep_their_rows(tmp_path):
    folder = tmp_path / "videos"
    pan(folder / "good.mp4", 1, 0)
    pan(folder / "still.mp4", 0, 0, frames=1)
    (folder / "text.mp4").write_text("no video")
    manifest = listed(folder, "good.mp4", "still.mp4", "text.mp4", "gone.mp4", "lost.mp4")
    rows = (*manifest.videos[:4], replace(manifest.videos[4], status="missing"))
    made = compute_flow(Manifest(folder, rows, allow_missing=5), tmp_path / "flow", workers=2)
    good, still, text, gone, lost = made.videos
    assert good.status == "ok"
    assert still.status == "corrupt: it has but one frame, and so no movement"
    assert (text.problem, gone.problem, lost.status) == ("corrupt", "corrupt", "missing")
    assert sorted(path.name for path in (tmp_path / "flow").iterdir()) == [".lock", "good.mp4.mp4"]


def test_a_check_finds_what_cannot_be_used_as_it_is_listed(tmp_path):
    folder = tmp_path / "videos"
    pan(folder / "good.mp4", 1, 0)
    pan(folder / "short.mp4", 1, 0, frames=2)
    (folder / "text.mp4").write_text("no video")
    manifest = listed(folder, "good.mp4", "short.mp4", "text.mp4", "lost.mp4")
    good, short, text, lost = manifest.videos
    rows = (good, replace(short, status="short"), text, replace(lost, status="missing"))
    made = compute_flow(Manifest(folder, rows), tmp_path / "flow")
    assert [video.problem for video in made.videos] == [None, "short", "corrupt", "missing"]
    assert check_videos(made) == []
    made.path(good := made.videos[0]).unlink()
    with pytest.raises(UsageError, match=r"none of the 1 videos is there, such as good\.mp4\.mp4"):
        check_videos(made)
    made.path(good).write_text("no video")
    (found,) = check_videos(made)
    assert found == Difference(good.path, "status", "ok", found.found)
    assert found.found.startswith("corrupt: ")


def test_pictures_are_no_flow(videos):
    with pytest.raises(DecodeError, match=r"one\.mp4: frame 0: no optical flow: its pixels are"):
        read_frames(encode(videos.folder / "one.mp4", "libx264", LOSSLESS), [0], modality="flow")


def test_there_is_no_flow_of_flow(videos, tmp_path):
    made = compute_flow(videos, tmp_path / "flow")
    with pytest.raises(UsageError, match="are optical flow themselves"):
        compute_flow(made, tmp_path / "more")


def test_a_folder_is_written_by_one_process_at_a_time(videos, tmp_path):
    (tmp_path / "flow").mkdir()
    with FileLock(tmp_path / "flow" / ".lock"), pytest.raises(UsageError, match="another process"):
        compute_flow(videos, tmp_path / "flow")


def test_a_manifest_of_pictures_is_not_overwritten(videos, tmp_path):
    write_manifest(listed(tmp_path / "flow", "c.mp4"), tmp_path / "flow" / MANIFEST)
    with pytest.raises(UsageError, match="holds a manifest of other videos"):
        compute_flow(videos, tmp_path / "flow")


@pytest.mark.parametrize("out", [".", "videos", "videos/flow", "videos/b/flow", "link"])
def test_flow_is_kept_apart_from_the_videos(videos, tmp_path, out):
    (tmp_path / "link").symlink_to(videos.folder, target_is_directory=True)
    above = Manifest(tmp_path, tuple(replace(v, path=f"videos/{v.path}") for v in videos.videos))
    for manifest in (videos, above):
        with pytest.raises(UsageError, match=r"would be among the videos.*another folder"):
            compute_flow(manifest, tmp_path / out)
    assert not list(tmp_path.rglob("*.mp4.mp4"))
    assert compute_flow(above, tmp_path / "flow").videos[0].status == "ok"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_place_that_cannot_be_written_to_ends_it(videos, tmp_path, workers):
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / "a").write_text("in the way")
    with pytest.raises(UsageError, match=r"flow/a/one\.mp4\.mp4: File exists"):
        compute_flow(videos, tmp_path / "flow", workers=workers)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="file: File exists"):
        compute_flow(videos, tmp_path / "file", workers=workers)


@pytest.mark.parametrize(
    "wrong", [{"bound": 0}, {"bound": float("nan")}, {"bound": float("inf")}, {"short_side": 4}]
)
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(UsageError, match="allowed"):
        FlowSettings(**wrong)


def test_clips_of_flow_have_two_channels(videos, tmp_path):
    made = compute_flow(videos, tmp_path / "flow")
    transform = TrainingTransform(crop=32, short_side=(40, 48), augment="strong")
    drawn = ClipDataset(
        made, "train", sampling="uniform", length=8, transform=transform, seed=0, train=True
    )
    clips, label, row = drawn[0]
    assert (clips.shape, label, row) == ((1, 8, 2, 32, 32), 0, 0)


def test_a_network_trains_on_flow_and_takes_nothing_else(videos, tmp_path):
    flow, snapshot = tmp_path / "flow", tmp_path / "snapshot"
    write_manifest(compute_flow(videos, flow), flow / MANIFEST)
    trainer = VideoTrainer(
        manifest=flow / MANIFEST,
        network="p3d_resnet18",
        width=0.125,
        crop=32,
        short_side=(32, 40),
        evaluation_side=36,
        workers=0,
    )
    stage = {"sampling": "consecutive", "clip_length": 8, "learning_rate": 0.01, "batch_size": 1}
    trainer.begin(stage, None, seed=0)
    assert np.isfinite(trainer.train_epoch()["loss"])
    measured = trainer.evaluate()
    snapshot.mkdir()
    trainer.save(snapshot)
    manifest = read_manifest(flow / MANIFEST)
    found = score_snapshot(snapshot, manifest, "val", clips=1, crops=1, batch_size=1)
    assert measure(found) == measured
    with pytest.raises(UsageError, match="videos are rgb, of 3 channels"):
        score_snapshot(snapshot, videos, "val", clips=1, crops=1, batch_size=1)


def test_the_command_goes_on_where_it_was_interrupted(tmp_path):
    folder, out = tmp_path / "videos", tmp_path / "flow"
    names = [f"{number}.mp4" for number in range(5)]
    for name in names:
        pan(folder / name, 1, 1, frames=16)
    write_manifest(listed(folder, *names), folder / MANIFEST)
    command = [sys.executable, "-m", "schedplan", "video", "flow", folder / MANIFEST]
    command += ["--out", out, "--workers", "1"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("*.mp4")):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "what was computed is kept" in said
    kept = {file: file.stat().st_mtime_ns for file in out.glob("*.mp4")}
    assert not (out / MANIFEST).exists()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{out / MANIFEST}\n"), done.stderr
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert [video.frames for video in read_manifest(out / MANIFEST).videos] == [15] * 5


def test_without_opencv_the_command_says_what_to_install(videos, tmp_path):
    write_manifest(videos, videos.folder / MANIFEST)
    program = (
        "import sys; sys.modules['cv2'] = None\n"
        "from schedplan.cli import main\n"
        f"sys.argv[1:] = ['video', 'flow', {str(videos.folder / MANIFEST)!r}, '--out', 'x']\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 2
    assert "pip install 'schedplan[flow]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()
