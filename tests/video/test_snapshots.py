"""Snapshots: what disks refuse, and what is in them if they are damaged."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from disks import full_disk

from schedplan_video.data.toy import make_toy
from schedplan_video.snapshots import META, MODEL, OPTIMIZER
from schedplan_video.trainer import VideoTrainer

STAGE = {
    "sampling": "uniform",
    "clip_length": 4,
    "learning_rate": 0.01,
    "batch_size": 4,
    "optimizer": "adamw",  # which remembers twice as much as there are weights
}
FILES = (META, MODEL, OPTIMIZER)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> VideoTrainer:
    """Return a trainer that has trained, so that its optimiser has something to remember."""
    videos = tmp_path_factory.mktemp("videos") / "toy"
    new = VideoTrainer(
        manifest=make_toy(videos, per_class=(1, 1, 0), frames=16, size=32),
        network="p3d_resnet18",
        width=0.125,
        crop=32,
        short_side=(32, 32),
        evaluation_side=32,
        workers=0,
        device="cpu",
    )
    new.begin(STAGE, None, 0)
    new.train_epoch()
    return new


@pytest.fixture(scope="module")
def snapshot(trainer: VideoTrainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snapshot")
    trainer.save(folder)
    return folder


@pytest.fixture
def copy(snapshot: Path, tmp_path: Path) -> Path:
    return shutil.copytree(snapshot, tmp_path / "copy")


@pytest.mark.parametrize(
    ("file", "share"), [(MODEL, 0), (MODEL, 0.001), (MODEL, 0.5), (MODEL, 0.9999), (OPTIMIZER, 0.7)]
)
def test_what_the_disk_refuses_is_an_oserror_with_the_files_name(
    trainer: VideoTrainer, snapshot: Path, tmp_path: Path, file: str, share: float
) -> None:
    room = int(share * (snapshot / file).stat().st_size)
    with pytest.raises(OSError, match=re.escape(file)), full_disk(room):
        trainer.save(tmp_path)
