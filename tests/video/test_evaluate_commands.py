"""`schedplan video evaluate` and `fuse` as a person meets them: real processes, real files."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from schedplan.errors import UsageError
from schedplan.journal import RunFolder
from schedplan_video.commands import app
from schedplan_video.data.manifest import Manifest, read_manifest, write_manifest
from schedplan_video.data.toy import make_toy
from schedplan_video.streams import Stream
from schedplan_video.trainer import VideoTrainer


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make seven videos to test on; one class has none."""
    folder = tmp_path_factory.mktemp("videos") / "toy"
    toy = read_manifest(make_toy(folder, per_class=(1, 1, 1), frames=20, size=32))
    rows = tuple(v for v in toy.videos if (v.split, v.label) != ("test", 5))
    write_manifest(Manifest(folder, rows), folder / "seven.csv")
    return folder / "seven.csv"


@pytest.fixture(scope="module")
def trainer(manifest: Path) -> VideoTrainer:
    stage = {"sampling": "consecutive", "clip_length": 8, "learning_rate": 0.1, "batch_size": 4}
    new = VideoTrainer(
        manifest=manifest,
        network="p3d_resnet18",
        width=0.125,
        crop=28,
        short_side=(28, 32),
        evaluation_side=32,
        workers=0,
        device="cpu",
    )
    new.begin(stage, None, 0)
    return new


@pytest.fixture(scope="module")
def snapshot(trainer: VideoTrainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snapshot")
    trainer.save(folder)
    return folder


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "schedplan", "video", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def here(*arguments: object) -> Result:
    """Run a command in this process, which has imported torch already."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_evaluate_prints_and_writes_what_it_found(manifest, snapshot, tmp_path) -> None:
    scores, confusion = tmp_path / "new" / "scores.npz", tmp_path / "confusion.csv"
    one_more = manifest.with_name("eight.csv")
    name = read_manifest(manifest).classes[5]
    gone = f"gone.mp4,5,{name},test,,,,,,,,rgb,missing,1\n"
    one_more.write_text(manifest.read_text() + gone)
    places = ("evaluate", snapshot, "--manifest", one_more, "--device", "cpu", "--workers", 1)
    files = ("--scores", scores, "--confusion", confusion)
    done = run(*places, *files, "--allow-missing", 1, "-f", "json")
    report = json.loads(done.stdout)
    assert (report["videos"], report["skipped"]) == (7, 1)
    assert (report["split"], report["clips"], report["crops"]) == ("test", 10, 3)
    classes = read_manifest(manifest).classes
    assert [row["class"] for row in report["by_class"]] == list(classes)
    assert [row["videos"] for row in report["by_class"]] == [1, 1, 1, 1, 1, 0, 1, 1]
    right = [row["top1"] for row in report["by_class"]]
    assert right[5] is None
    assert sum(share or 0 for share in right) == pytest.approx(7 * report["top1"])

    stored = Stream.load(scores)
    listed = [video for video in read_manifest(manifest).videos if video.split == "test"]
    assert stored.videos.tolist() == [video.path for video in listed]
    assert stored.labels.tolist() == [video.label for video in listed]
    assert stored.classes.tolist() == list(classes)
    assert (stored.scores.argmax(axis=1) == stored.labels).mean() == report["top1"]

    with confusion.open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["true class", *classes]
    assert [row[0] for row in rows] == list(classes)
    counts = [[int(cell) for cell in row[1:]] for row in rows]
    assert [sum(row) for row in counts] == [row["videos"] for row in report["by_class"]]
    for video, predicted in zip(listed, stored.scores.argmax(axis=1), strict=True):
        assert counts[video.label][predicted] == 1


def test_the_model_of_a_run_is_evaluated(manifest, snapshot, tmp_path) -> None:
    folder = RunFolder(tmp_path / "demo")
    folder.configure({"name": "demo"})
    options = ("--manifest", manifest, "--clips", 1, "--crops", 1, "--device", "cpu")
    assert "no model yet" in run("evaluate", folder.path, *options, code=2).stderr
    shutil.copytree(snapshot, folder.model)
    done = run("evaluate", folder.path, *options, "-f", "json")
    assert json.loads(done.stdout)["snapshot"] == str(folder.model)
    assert f"the run's model is {folder.model}" in done.stderr
    assert "Warning" not in done.stderr


def test_evaluate_measures_as_planning_does_on_request(manifest, snapshot, trainer) -> None:
    planning = ("--clips", 1, "--crops", 1, "--split", "val", "--batch-size", 4)
    places = ("evaluate", snapshot, "--manifest", manifest, "--device", "cpu", "--workers", 0)
    report = json.loads(here(*places, *planning, "-f", "json").stdout)
    expected = trainer.evaluate()
    assert {name: report[name] for name in expected} == pytest.approx(expected)
    table = here(*places, *planning).stdout
    assert "val: 1 x 1 views" in table
    assert re.search(r"videos +│ 8 .*\n.*skipped +│ 0 ", table)
    assert "mean_top135" in table
    assert "vertical_red_first" in table


def stream(rows: list[tuple[str, int, list[float]]]) -> Stream:
    videos, labels, scores = zip(*rows, strict=True)
    return Stream(videos, labels, ["hug", "kick"], scores)


def test_fuse_shows_each_stream_and_both(tmp_path) -> None:
    rgb, flow = tmp_path / "rgb.npz", tmp_path / "flow.npz"
    stream([("a", 0, [0.4, 0.6]), ("b", 1, [0.1, 0.9]), ("c", 0, [0.3, 0.7])]).save(rgb)
    stream([("c", 0, [0.6, 0.4]), ("a", 0, [0.9, 0.1]), ("b", 1, [0.6, 0.4])]).save(flow)
    report = json.loads(run("fuse", rgb, flow, "-f", "json").stdout)
    assert report["videos"] == 3
    found = {row["stream"]: row["top1"] for row in report["streams"]}
    assert found == {
        str(rgb): pytest.approx(1 / 3),
        str(flow): pytest.approx(2 / 3),
        "fused": pytest.approx(2 / 3),
    }
    weighted = json.loads(run("fuse", rgb, flow, "--weights", "1,4", "-f", "json").stdout)
    assert weighted["streams"][2]["top1"] == pytest.approx(2 / 3)
    assert [row["weight"] for row in weighted["streams"]] == [1, 4, None]
    doubled = json.loads(run("fuse", rgb, flow, "--weights", "1,2", "-f", "json").stdout)
    assert doubled["streams"][2]["top1"] == 1
    assert "fused" in run("fuse", rgb, flow).stdout


def test_fuse_refuses_what_does_not_belong_together(tmp_path) -> None:
    rgb, flow = tmp_path / "rgb.npz", tmp_path / "flow.npz"
    stream([("a", 0, [0.4, 0.6]), ("b", 1, [0.1, 0.9])]).save(rgb)
    stream([("a", 0, [0.4, 0.6]), ("x", 1, [0.1, 0.9])]).save(flow)
    done = run("fuse", rgb, flow, code=2)
    assert f"{rgb}, {flow}: the streams are of other videos" in done.stderr
    assert done.stdout == ""
    weights = run("fuse", rgb, rgb, "--weights", "1", code=2)
    assert "--weights is '1'; allowed: two numbers" in weights.stderr
    lost = run("fuse", rgb, tmp_path / "none.npz", code=2).stderr
    assert "none.npz: there is no such file; `schedplan video evaluate --scores FILE`" in lost


def test_fuse_needs_no_torch(tmp_path) -> None:
    file = tmp_path / "rgb.npz"
    stream([("a", 0, [0.4, 0.6])]).save(file)
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from schedplan.cli import main\n"
        f"sys.argv[1:] = ['video', 'fuse', {str(file)!r}, {str(file)!r}]\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split", "tset"), "no video is in the split 'tset'"),
        (("--clips", 0), "--clips"),
        (("--allow-missing", "x"), "allow_missing is 'x'"),
        (("--device", "gpu"), "device 'gpu'"),
    ],
)
def test_bad_options_are_one_message(manifest, snapshot, options, message) -> None:
    done = here("evaluate", snapshot, "--manifest", manifest, *options)
    refused = isinstance(done.exception, UsageError) or done.exit_code == UsageError.exit_code
    assert refused
    assert message in f"{done.exception} {done.output}"
