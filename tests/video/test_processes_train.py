"""The video trainer and a whole search on two processes, on real, tiny videos."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from schedplan import solve
from schedplan.config import load_config
from schedplan.errors import UsageError
from schedplan_video.data.decode import DecodeError
from schedplan_video.data.toy import make_toy
from schedplan_video.trainer import VideoTrainer

STAGE = {
    "sampling": "uniform",
    "clip_length": 16,
    "learning_rate": 0.001,
    "batch_size": 2,
    "mixup": 0.2,
    "dropout": 0.2,
}

SMALL = {
    "network": "dg_p3d_resnet18",
    "width": 0.125,
    "crop": 32,
    "short_side": [32, 40],
    "evaluation_side": 32,
    "workers": 0,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "toy"
    return make_toy(folder, per_class=(2, 1, 1), frames=20, size=32)


@pytest.fixture(scope="module")
def both(manifest: Path) -> VideoTrainer:
    return VideoTrainer(manifest=manifest, processes=2, **SMALL)


def begun(trainer: VideoTrainer, accumulation: int, **settings: Any) -> VideoTrainer:
    trainer.begin(STAGE | {"accumulation": accumulation} | settings, None, seed=5)
    return trainer


def saved(trainer: VideoTrainer, folder: Path) -> Path:
    folder.mkdir()
    trainer.save(folder)
    return folder


def weights(folder: Path) -> torch.Tensor:
    """Return all weights and statistics of a snapshot in one row."""
    state = torch.load(folder / "model.pt", weights_only=True)
    return torch.cat([state[key].flatten() for key in state if "num_batches" not in key])


def test_two_processes_train_what_one_does_with_twice_the_accumulation(
    manifest: Path, both: VideoTrainer, tmp_path: Path
) -> None:
    reports, steps = [], []
    for name, trainer, accumulation in (
        ("one", VideoTrainer(manifest=manifest, **SMALL), 4),
        ("both", both, 2),
    ):
        begun(trainer, accumulation)
        before = weights(saved(trainer, tmp_path / f"{name}_before"))
        losses = [trainer.evaluate()["loss"], trainer.train_epoch()["loss"]]
        reports.append([*losses, *trainer.evaluate().values()])
        steps.append(weights(saved(trainer, tmp_path / name)) - before)
    assert reports[1] == pytest.approx(reports[0], rel=1e-3)
    assert (steps[1] - steps[0]).norm() < 1e-3 * steps[0].norm()


def test_a_snapshot_moves_between_numbers_of_processes(
    manifest: Path, both: VideoTrainer, tmp_path: Path
) -> None:
    one = VideoTrainer(manifest=manifest, **SMALL)
    begun(both, 2).train_epoch()
    snapshot = saved(both, tmp_path / "after_1")
    loss = both.train_epoch()["loss"]
    for trainer, accumulation in ((both, 2), (one, 4)):
        begun(trainer, accumulation).restore(snapshot)
        assert trainer.train_epoch()["loss"] == pytest.approx(loss, rel=1e-5)


def test_errors_of_the_other_processes_are_told_as_they_are(
    manifest: Path, both: VideoTrainer
) -> None:
    with pytest.raises(UsageError, match=r"8 frames.*16 frames or more"):
        begun(both, 1, clip_length=8)
    begun(both, 1)
    for video in (manifest.parent / "train").glob("*.mp4"):
        video.rename(video.with_suffix(".gone"))
    try:
        with pytest.raises(DecodeError, match=r"\.mp4"):
            both.train_epoch()
    finally:
        for video in (manifest.parent / "train").glob("*.gone"):
            video.rename(video.with_suffix(".mp4"))


@pytest.fixture
def config(manifest: Path, tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    defaults = {"sampling": "uniform", "clip_length": 4, "batch_size": 4}
    settings = {
        "name": "both",
        "metric": "loss",
        "mode": "min",
        "axes": {"learning_rate": [0.01, 0.001]},
        "knee": {"estimator": "fixed", "epochs": 4},
        "trainer": SMALL
        | {"use": "video", "manifest": str(manifest), "defaults": defaults}
        | {"processes": 2, "network": "p3d_resnet18"},
    }
    file.write_text(yaml.safe_dump(settings))
    return file


def alive(session: int) -> list[int]:
    """Return the processes of a session that run, and are no zombies."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = file.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its) == session and state != "Z":
            found.append(int(file.parent.name))
    return found


def eventually(true: Any, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def epochs_recorded(run: Path) -> list[str]:
    """Return the lines about epochs that were trained, of all transitions."""
    files = sorted(run.glob("transitions/*/*/epochs.jsonl"))
    return [line for file in files for line in file.read_text().splitlines(keepends=True)]


def test_a_search_on_two_processes_dies_with_its_driver_and_goes_on(
    config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "schedplan", "run", str(config), "--plugin", "video"]
    command += ["--out", str(run)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as driver:
        try:
            assert eventually(lambda: len(epochs_recorded(run)) > 1)
            assert len(alive(driver.pid)) >= 3
            os.kill(driver.pid, signal.SIGKILL)
        finally:
            driver.kill()
    assert eventually(lambda: not alive(driver.pid), seconds=20)
    before = {line for line in epochs_recorded(run) if line.endswith("\n")}
    setup = load_config(config, plugins=["video"])
    facts = {**setup.facts(), "data": setup.data}
    plan = solve(setup.problem, run, options=setup.options, config=facts)
    assert plan.complete
    assert before < set(epochs_recorded(run))
    assert [stage.params["learning_rate"] for stage in plan.stages] == [0.01, 0.001]
