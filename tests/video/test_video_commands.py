"""The commands `schedplan video ...`, and what the plug-in offers without importing torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schedplan.errors import UsageError
from schedplan.plugins import import_attribute
from schedplan_video import plugin
from schedplan_video.commands import app
from schedplan_video.data.manifest import read_manifest
from schedplan_video.trainer import VideoTrainer

TOY = ["toy", "--per-class", "1,1,1", "--frames", "16", "--size", "32", "--out"]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    if isinstance(result.exception, Exception):
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(run(*TOY, tmp_path_factory.mktemp("videos") / "toy").strip())


def test_toy_prints_the_manifest_it_wrote(manifest: Path) -> None:
    assert len(read_manifest(manifest).videos) == 24


def test_index_makes_a_manifest_of_class_folders(manifest: Path, tmp_path: Path) -> None:
    videos = [manifest.parent / video.path for video in read_manifest(manifest).videos]
    recordings = ["path,group"]
    for number, video in enumerate(videos):
        target = tmp_path / "clips" / ("a", "b")[number % 2] / f"{number}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(video.read_bytes())
        recordings.append(f"clips/{target.parent.name}/{target.name},{number // 4}")
    groups, output = tmp_path / "groups.csv", tmp_path / "clips.csv"
    groups.write_text("\n".join(recordings))
    printed = run(
        "index", "folders", "--root", tmp_path / "clips", "--groups", groups, "-o", output
    )
    assert Path(printed.strip()) == output
    made = read_manifest(output)
    assert made.classes == ("a", "b")
    assert {video.group for video in made.split("train")}.isdisjoint(
        video.group for video in made.split("test")
    )


def test_evaluate_prints_metrics_as_json(manifest: Path, tmp_path: Path) -> None:
    trainer = VideoTrainer(
        manifest=manifest,
        network="p3d_resnet18",
        width=0.125,
        crop=32,
        short_side=(32, 32),
        evaluation_side=32,
        workers=0,
        device="cpu",
    )
    stage = {"sampling": "consecutive", "clip_length": 8, "learning_rate": 0.1, "batch_size": 4}
    trainer.begin(stage, None, 0)
    trainer.save(tmp_path)
    command = ("evaluate", tmp_path, "--manifest", manifest, "--device", "cpu", "--split")
    report = json.loads(run(*command, "val", "-f", "json"))
    assert report | trainer.evaluate() == report
    assert report["split"] == "val"
    assert "top1" in run(*command, "test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy", "--out", "x", "--per-class", "1,2"], r"--per-class is '1,2'.*three numbers"),
        (["index", "folders", "--root", "x", "-o", "y", "--split", "a,b,c"], r"--split is 'a,b,c'"),
        (["evaluate", "nowhere", "--manifest", "m.csv"], r"m\.csv: No such file"),
    ],
)
def test_bad_arguments_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(*arguments)


def test_what_is_no_snapshot_is_said_to_be_none(manifest: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: not a snapshot"):
        run("evaluate", "nowhere", "--manifest", manifest)


def test_the_plugin_and_its_commands_load_without_torch() -> None:
    code = (
        "import sys; from schedplan_video import commands, plugin; "
        "print([name for name in ('torch', 'torchvision', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_what_the_plugin_names_can_be_imported() -> None:
    assert import_attribute(plugin.schedplan_trainers()["video"]) is VideoTrainer
    assert import_attribute(plugin.schedplan_commands()["video"]) is app
