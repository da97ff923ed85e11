"""Snapshots: what disks refuse, and what is in them if they are damaged."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from disks import full_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.toy import make_toy
from schedplan_video.snapshots import META, MODEL, OPTIMIZER, read_meta
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


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("architecture.width", "1", "a valid number"),
        ("architecture.width", -1, "greater than 0"),
        ("architecture.num_classes", "8", "a valid integer"),
        ("architecture.network", ["x"], "a valid string"),
        ("architecture.depth", 3, "not permitted"),
        ("architecture", None, "an object"),
        ("evaluation_side", "44", "a valid integer"),
        ("crop", None, "a valid integer"),
        ("crop", 0, "greater than or equal to 1"),
        ("classes", {"a": 1}, "a valid array"),
        ("classes", ["a"], "1 classes, but the network has 8"),
        ("classes.0", 1, "a valid string"),
        ("settings.clip_length", 0, "greater than or equal to 1"),
        ("settings.segments", 3, "a uniform clip of 4 frames has 1"),
        ("epoch", "x", "a valid integer"),
        ("epoch", -1, "greater than or equal to 0"),
    ],
)
def test_what_is_wrong_in_the_meta_data_is_named(
    copy: Path, path: str, value: Any, message: str
) -> None:
    values = json.loads((copy / META).read_text())
    *parents, field = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = values
    for key in parents:
        place = place[key]
    place[field] = value
    (copy / META).write_text(json.dumps(values))
    with pytest.raises(UsageError) as caught:
        read_meta(copy)
    told = str(caught.value)
    assert told.startswith(str(copy / META))
    assert path.removesuffix(".segments") in told
    assert message in told


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"epoch":' + b"[" * 10**5])
def test_what_is_no_meta_data_is_refused(copy: Path, content: bytes) -> None:
    (copy / META).write_bytes(content)
    with pytest.raises(UsageError, match=r"meta\.json: not a snapshot of a video model: "):
        read_meta(copy)


def test_meta_data_is_read_as_it_was_written(trainer: VideoTrainer, snapshot: Path) -> None:
    meta = read_meta(snapshot)
    assert meta.architecture == trainer.task.architecture
    assert meta.classes == trainer.task.manifest.classes
    assert (meta.crop, meta.evaluation_side, meta.epoch) == (32, 32, 1)
    assert meta.settings.model_dump(exclude_unset=True).items() >= STAGE.items()


REACH = 15_000
"""Bytes at either end of a file in which torch writes what else there is than numbers."""


@settings(max_examples=200)
@given(
    name=st.sampled_from(FILES),
    left=st.one_of(st.just(1.0), st.floats(0, 1)),
    flips=st.lists(st.tuples(st.integers(-REACH, REACH), st.integers(1, 255)), max_size=8),
)
def test_a_damaged_snapshot_is_loaded_or_refused(
    trainer: VideoTrainer, snapshot: Path, name: str, left: float, flips: list[tuple[int, int]]
) -> None:
    content = bytearray((snapshot / name).read_bytes())
    content = content[: int(left * len(content))]
    for place, bits in flips if content else []:
        content[place % len(content)] ^= bits
    with tempfile.TemporaryDirectory() as folder:
        damaged = shutil.copytree(snapshot, Path(folder), dirs_exist_ok=True)
        (damaged / name).write_bytes(content)
        with suppress(UsageError):
            trainer.restore(damaged)


def test_a_file_that_torch_stumbles_over_is_refused(trainer: VideoTrainer, copy: Path) -> None:
    (copy / MODEL).write_bytes(b"\x80\x02}}K\x01s.")  # a pickled {{}: 1}
    with pytest.raises(UsageError, match=r"model\.pt: cannot be read: .*unhashable"):
        trainer.restore(copy)


@pytest.mark.parametrize(
    "state", [{}, {"optimizer": 3, "scaler": {}}, {"optimizer": {"state": {0: {"step": 1}}}}]
)
def test_what_is_no_state_of_the_optimiser_is_refused(
    trainer: VideoTrainer, copy: Path, state: dict[str, Any]
) -> None:
    torch.save(state, copy / OPTIMIZER)
    with pytest.raises(UsageError, match=r"optimizer\.pt: no state of this optimiser"):
        trainer.restore(copy)


@pytest.mark.parametrize("weights", [{1: torch.zeros(1)}, {"trunk": 3}, [torch.zeros(1)], {}])
def test_what_holds_no_weights_is_refused(trainer: VideoTrainer, copy: Path, weights: Any) -> None:
    torch.save(weights, copy / MODEL)
    with pytest.raises(UsageError, match=r"model\.pt: .*weights"):
        trainer.restore(copy)
