"""The commands `schedplan video ...`, and what the plug-in offers without importing torch."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from schedplan.errors import UsageError
from schedplan.plugins import import_attribute
from schedplan_video import plugin
from schedplan_video.commands import app
from schedplan_video.commands.common import tell
from schedplan_video.data.manifest import read_manifest
from schedplan_video.models import registry
from schedplan_video.models.registry import names
from schedplan_video.trainer import VideoTrainer

PLACES = ["--root", "x", "--annotations", "y", "-o", "z"]
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


@pytest.fixture
def clips(manifest: Path, tmp_path: Path) -> Path:
    """Make two classes of ten videos each."""
    videos = [manifest.parent / video.path for video in read_manifest(manifest).videos]
    for number, video in enumerate(videos[:20]):
        target = tmp_path / "clips" / ("a", "b")[number % 2] / f"{number}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(video.read_bytes())
    return tmp_path / "clips"


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "schedplan", "video", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_index_makes_a_manifest_of_class_folders(clips: Path, tmp_path: Path) -> None:
    recordings = [
        f"clips/{clip.parent.name}/{clip.name},{int(clip.stem) // 4}" for clip in clips.glob("*/*")
    ]
    groups, output = tmp_path / "groups.csv", tmp_path / "clips.csv"
    groups.write_text("\n".join(["path,group", *recordings]))
    (clips / "a" / "0.mp4").write_text("none")
    (clips / "a" / "2.mp4").write_bytes(b"")
    arguments = ("--root", clips, "--groups", groups, "-o", output, "--workers", 1)
    done = process("index", "folders", *arguments)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == output
    made = read_manifest(output, allow_missing="50%")
    assert made.classes == ("a", "b")
    sides = {(video.group, video.split) for video in made.videos}
    assert Counter(split for _, split in sides) == {"train": 3, "val": 1, "test": 1}
    assert "20 videos of 2 classes" in done.stderr
    assert "2 corrupt" in done.stderr
    assert "\ncorrupt: the file is empty: 1, such as a/2.mp4\n" in done.stderr
    assert "\nindex: 20 videos\n" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(".clips.csv.probed", "clips", "clips.csv", "groups.csv")
    ]


def test_index_finds_the_videos_of_official_annotations(manifest: Path, tmp_path: Path) -> None:
    rows = ["label,youtube_id,time_start,time_end,split,is_cc"]
    for number, video in enumerate(read_manifest(manifest).videos):
        split = "validate" if number % 4 == 0 else "train"
        rows.append(f'"class {number % 2}",-{number:010},{number},{number + 10},{split},0')
        name = f"-{number:010}_{number:06}_{number + 10:06}.mp4"
        target = tmp_path / "videos" / split / f"class {number % 2}" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((manifest.parent / video.path).read_bytes())
    (tmp_path / "k400.csv").write_text("\n".join([*rows, "class 1,gone,0,10,train,0"]))
    output = tmp_path / "videos" / "manifest.csv"
    done = process(
        *("index", "kinetics400", "--root", tmp_path / "videos"),
        *("--annotations", tmp_path / "k400.csv", "-o", output, "--workers", 1),
    )
    assert done.returncode == 0, done.stderr
    assert "have 2 classes, the whole of kinetics400 400" in done.stderr
    assert "missing: 1, such as gone_000000_000010.mp4" in done.stderr
    made = read_manifest(output)
    assert Counter(video.split for video in made.videos) == {"train": 13, "val": 6, "test": 6}
    check = run("check", output, "--workers", 1, "-f", "json")
    assert json.loads(check) == {
        "manifest": str(output),
        "videos": 25,
        "not_usable": {"missing": 1},
        "differences": [],
    }


UCF101 = {
    "classInd.txt": "1 a\n2 b\n",
    "trainlist02.txt": "a/0.avi 1\na/2.avi 1\na/4.avi 1\nb/1.avi 2\nb/3.avi 2\nb/5.avi 2\n",
    "testlist02.txt": "a/6.avi\nb/7.avi\n",
}
TABLE = {
    "t.csv": "file;no,action,split\n"
    + "".join(
        f"{'ab'[n % 2]}/{n}.mp4,{'ab'[n % 2]},{'train' if n < 6 else 'test'}\n" for n in range(8)
    )
}


@pytest.mark.parametrize(
    ("dataset", "files", "options"),
    [
        ("ucf101", UCF101, ["--fold", "2"]),
        ("csv", TABLE, ["--column", "path=file;no", "--column", "class=action"]),
    ],
)
def test_a_dataset_has_options_of_its_own(
    clips: Path, tmp_path: Path, dataset: str, files: dict[str, str], options: list[str]
) -> None:
    (tmp_path / "lists").mkdir()
    for name, text in files.items():
        (tmp_path / "lists" / name).write_text(text)
    output = tmp_path / "m.csv"
    places = ("--root", clips, "--annotations", tmp_path / "lists", "-o", output)
    run("index", dataset, *places, *options, "--validation", "34%", "--workers", 1)
    made = read_manifest(output)
    assert made.classes == ("a", "b")
    assert Counter(video.split for video in made.videos) == {"train": 4, "val": 2, "test": 2}
    assert [made.path(video).exists() for video in made.videos] == [True] * 8


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_index_goes_on_where_it_was_stopped(clips: Path, tmp_path: Path, how: int) -> None:
    last = clips / "b" / "1.mp4"
    content = last.read_bytes()
    last.unlink()
    os.mkfifo(last)  # opening it takes for ever
    output = tmp_path / "manifest.csv"
    arguments = ("index", "folders", "--root", clips, "-o", output, "--workers", 1)
    command = [sys.executable, "-m", "schedplan", "video", *map(str, arguments)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        log = tmp_path / ".manifest.csv.probed"
        while run.poll() is None and not (log.exists() and log.read_text().count("\n") == 11):
            time.sleep(0.05)
        os.killpg(run.pid, how)
        stderr = run.stderr.read()
    assert not output.exists()
    if how == signal.SIGINT:
        assert run.returncode == 130
        assert "the same command goes on from there" in stderr
        assert "Traceback" not in stderr
    last.unlink()
    last.write_bytes(content)
    done = process(*arguments)
    assert done.returncode == 0, done.stderr
    assert "decoding 10 videos, 10 are known" in done.stderr
    assert {video.status for video in read_manifest(output).videos} == {"ok"}
    again = process(*arguments, "--seed", 1)
    assert "decoding 0 videos, 20 are known" in again.stderr


def test_index_writes_over_no_other_file(clips: Path, tmp_path: Path) -> None:
    annotations = tmp_path / "listed.csv"
    annotations.write_text("path,class\na/0.mp4,a\n")
    done = process(
        *("index", "csv", "--root", clips, "--annotations", annotations, "-o", annotations)
    )
    assert (done.returncode, annotations.read_text()) == (2, "path,class\na/0.mp4,a\n")
    assert "there is another file" in done.stderr


def test_check_shows_what_is_not_as_the_manifest_says(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "manifest.csv"
    run("index", "folders", "--root", clips, "-o", output, "--workers", 1)
    (clips / "a" / "0.mp4").unlink()
    (clips / "a" / "2.mp4").write_text("none")
    output.write_text(re.sub(r"(b/1\.mp4,.*?),16,", r"\1,17,", output.read_text()))
    done = process("check", output, "--workers", 1, "-f", "json")
    assert (done.returncode, done.stderr) == (1, "check: 19 videos\n")
    found = json.loads(done.stdout)
    assert found["not_usable"] == {}
    differences = {each["path"]: each for each in found["differences"]}
    assert set(differences) == {"clips/a/0.mp4", "clips/a/2.mp4", "clips/b/1.mp4"}
    assert differences["clips/a/0.mp4"]["found"] == "missing"
    assert differences["clips/a/2.mp4"]["found"].startswith("corrupt: ")
    assert differences["clips/b/1.mp4"] == {
        "path": "clips/b/1.mp4",
        "what": "frames",
        "listed": 17,
        "found": 16,
    }
    assert "clips/a/0.mp4" in run("check", output, "--workers", 1)
    with pytest.raises(UsageError, match=r"none of the 20 videos is there.* --videos"):
        run("check", output, "--videos", tmp_path / "clips")


def test_check_says_what_is_not_usable(manifest: Path, tmp_path: Path) -> None:
    header, *rows = manifest.read_text().splitlines()
    (tmp_path / "m.csv").write_text("\n".join([header, rows[0].replace(",ok,", ",missing,")]))
    table = run("check", tmp_path / "m.csv", "--videos", manifest.parent)
    assert re.search(r"not usable .* 1 missing", table)


def test_where_there_is_no_terminal_a_line_tells_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("schedplan"), "propagate", True)
    caplog.set_level(logging.INFO)
    seconds = iter([0, *range(10, 1000, 10)])
    assert list(tell(range(2000), 2000, "flow: %s videos", lambda: next(seconds, 1000))) == [
        *range(2000)
    ]
    assert caplog.messages[0] == "flow: 3 of 2,000 videos, 5 h 32 min left"
    assert caplog.messages[1].startswith("flow: 6 of 2,000 videos")
    assert caplog.messages[-1] == "flow: 2,000 videos"


def test_the_datasets_are_listed_and_every_option_is_explained() -> None:
    listed = CliRunner().invoke(app, ["index"]).output
    datasets = ["kinetics400", "kinetics600", "ucf101", "hmdb51", "activitynet", "ssv1", "ssv2"]
    lines = [line.strip("│ ") for line in listed.splitlines()]
    for name in [*datasets, "folders", "csv"]:
        assert len([line for line in lines if line.startswith(f"{name} ")]) == 1
        command = get_command(app).commands["index"].commands[name]
        assert [option.name for option in command.params if not option.help] == []


def test_models_lists_sizes() -> None:
    report = json.loads(run("models", "p3d_resnet50", "torchvision/mvit_v2_s", "-f", "json"))
    assert {key: report[key] for key in ("frames", "size", "classes")} == {
        "frames": 16,
        "size": 224,
        "classes": 400,
    }
    p3d, mvit = report["models"]
    assert (p3d["name"], round(p3d["parameters"] / 1e6, 1)) == ("p3d_resnet50", 28.1)
    assert p3d["clip_size"] == {"frames": 4, "side": 1, "exact": False}
    assert round(mvit["multiply_adds"] / 1e9, 1) == 64.2
    table = run("models", "dg_p3d_resnet50", "torchvision/mvit_v2_s", "--frames", 64)
    (row, other) = [line for line in table.splitlines() if "_" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")][1:] == ["50.38", "94.49", "16", "1"]
    assert [cell.strip() for cell in other.strip("│").split("│")][2:] == [
        "-",
        "16 only",
        "224 only",
    ]


def test_models_lists_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    some = names()[::20]  # all of them take a while
    monkeypatch.setattr(registry, "names", lambda: some)
    arguments = ["models", "--frames", 1, "--size", 1, "--classes", 2, "-f", "json"]
    listed = [network["name"] for network in json.loads(run(*arguments))["models"]]
    assert listed == list(some)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["models", "p3d_resnet51"], r"did you mean 'p3d_resnet50'"),
        (["toy", "--out", "x", "--per-class", "1,2"], r"--per-class is '1,2'.*three numbers"),
        (["index", "folders", "--root", "x", "-o", "y"], r"x: there is no such folder"),
        (["index", "csv", "--root", "x", "--annotations", "y", "-o", "z"], r"y: there is no such"),
        (
            ["index", "csv", *PLACES, "--column", "class"],
            r"--column is class; allowed: NAME=HEADER",
        ),
        (["check", "m.csv"], r"no manifest m\.csv; `schedplan video index` makes one"),
        (["evaluate", "nowhere", "--manifest", "m.csv"], r"there is no manifest m\.csv"),
    ],
)
def test_bad_arguments_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(*arguments)


def test_a_manifest_that_is_a_folder_is_a_usage_error(clips: Path) -> None:
    arguments = ["index", "folders", "--root", str(clips), "-o", str(clips)]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, "Invalid value" in result.output) == (2, True)


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
