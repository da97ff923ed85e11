"""Every command that the documentation shows exists, and those to be typed in are run."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from commands import parse, tree
from documents import (
    ROOT,
    blocks,
    commands_in_blocks,
    commands_in_examples,
    commands_in_text,
)
from processes import schedplan_here

GROUP = tree()

SHORT = "--set knee.max_epochs=1 --set axes.learning_rate=[0.1]"
ALONE = f"{SHORT} --set axes.batch_size=[8]"
VIDEO = (
    f"{SHORT} --set axes.sampling=[uniform] --set axes.clip_length=[16] --set trainer.workers=0 "
    "--set trainer.crop=32 --set trainer.short_side=[32,32] --set trainer.evaluation_side=32 "
)
TOY = "--set 'trainer.toy={seed: 0, per_class: [1, 1, 1], frames: 16, size: 32}'"

WITHOUT_TORCH = {
    "run examples/simulated.yaml": SHORT,
    "run examples/digits.yaml": ALONE,
    "compare examples/digits.yaml --seeds 5 --searches 5 --epochs 16,32,64,128 "
    "--metric test_accuracy": f"{ALONE} --seeds 2 --searches 2 --epochs 2",
    "run mine.yaml --devices 0,1,2,3": "--set knee.max_epochs=1",
    "run mine.yaml --workers 2": f"{SHORT} --out runs/workers",
}
ON_A_CLUSTER = {"run mine.yaml --engine dask --scheduler tcp://10.0.0.1:8786": SHORT}
WITH_VIDEOS = {
    "run examples/video_toy.yaml --plugin video": f"{VIDEO} {TOY}",
    "video index folders --root clips --output manifest.csv": "--workers 1",
    "run examples/video_toy.yaml --plugin video --out runs/mine "
    "--set trainer.manifest=manifest.csv --set trainer.toy=null": VIDEO,
    "video evaluate runs/mine/model --manifest manifest.csv --split test": "--workers 0",
    "video index ucf101 --root UCF-101 --annotations ucfTrainTestlist --fold 1 -o ucf101.csv": (
        "--workers 1"
    ),
    "video check ucf101.csv": "--workers 1",
    "video flow ucf101.csv --out flow": "--workers 1",
    "run examples/video_toy.yaml --plugin video --out runs/flow "
    "--set trainer.toy=null --set trainer.manifest=flow/manifest.csv": VIDEO,
}
"""What is to be typed in, and what is added so that it takes seconds."""


@pytest.mark.parametrize(
    "line",
    dict.fromkeys([*commands_in_blocks(), *commands_in_text(), *commands_in_examples()]),
)
def test_a_command_that_is_shown_exists_with_its_options(line):
    parse(GROUP, line)


@pytest.mark.parametrize(
    "line", ["runn mine.yaml", "video toyy", "run a.yaml --sett x=1", "status a b", "show -z a"]
)
def test_what_does_not_exist_would_be_found(line):
    with pytest.raises(ValueError, match=line):
        parse(GROUP, line)


def test_every_command_to_be_typed_in_is_known_here():
    assert set(commands_in_blocks()) == {*WITHOUT_TORCH, *ON_A_CLUSTER, *WITH_VIDEOS}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with the examples and what readers of the README have by then."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0])
    (tmp_path / "my_module.py").write_text("from test_readme import MyTrainer\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_all(lines: dict[str, str], adapt: Callable[[str], str] = str) -> None:
    """Run the README's lines that are in a table, in the README's order."""
    for line in commands_in_blocks():
        if line in lines:
            assert schedplan_here(*shlex.split(f"{adapt(line)} {lines[line]}"))


def test_the_commands_without_torch_run(place):
    pytest.importorskip("sklearn")
    run_all(WITHOUT_TORCH)


def test_the_command_of_a_cluster_runs(place):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        resources={"device": 2},
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address=None,
        worker_dashboard_address=None,
    ) as cluster:
        address = cluster.scheduler_address
        run_all(ON_A_CLUSTER, lambda line: line.replace("tcp://10.0.0.1:8786", address))


def test_the_commands_for_videos_run(place):
    pytest.importorskip("cv2")
    videos = make_videos(place / "toy")
    copy(videos[:10], (place / "clips" / "ab"[n % 2] / f"{n}.mp4" for n in range(10)))
    copy(videos, (place / "UCF-101" / name for name in ucf101(place / "ucfTrainTestlist")))
    run_all(WITH_VIDEOS)


def make_videos(folder: Path) -> list[Path]:
    """Make the toy videos that the first of the commands makes otherwise."""
    from schedplan_video.data.toy import make_toy

    make_toy(folder, per_class=(1, 1, 1), frames=16, size=32)
    return sorted(folder.rglob("*.mp4"))


def copy(videos: list[Path], targets: Iterable[Path]) -> None:
    for video, target in zip(videos, targets, strict=False):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, target)


def ucf101(lists: Path) -> list[str]:
    """Write the lists of a UCF101 with two classes; return the videos' names."""
    groups = {"train": ("g08", "g09", "g10"), "test": ("g01",)}
    classes = ("ApplyEyeMakeup", "ApplyLipstick")
    lists.mkdir()
    (lists / "classInd.txt").write_text("".join(f"{n} {c}\n" for n, c in enumerate(classes, 1)))
    names = []
    for split, recordings in groups.items():
        listed = [f"{c}/v_{c}_{group}_c01.avi" for c in classes for group in recordings]
        numbered = (f"{name} {classes.index(name.split('/')[0]) + 1}\n" for name in listed)
        (lists / f"{split}list01.txt").write_text("".join(numbered))
        names += listed
    return names
