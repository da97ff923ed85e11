"""Starting from other weights than random ones, through the trainer's option `pretrained`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from schedplan.errors import UsageError
from schedplan_video.data.toy import make_toy
from schedplan_video.trainer import VideoTrainer

STAGE = {"sampling": "uniform", "clip_length": 16, "learning_rate": 0.01, "batch_size": 3}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "toy"
    return make_toy(folder, per_class=(1, 1, 0), frames=16, size=32)


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as torchvision offers it."""
    file = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(torchvision.models.resnet18().state_dict(), file)
    return file


def trainer(manifest: Path, **options: Any) -> VideoTrainer:
    small = {
        "network": "dg_p3d_resnet18",
        "width": 0.125,
        "crop": 32,
        "short_side": (32, 40),
        "evaluation_side": 32,
        "workers": 0,
        "device": "cpu",
    }
    return VideoTrainer(manifest=manifest, **small | options)


def weights(source: VideoTrainer, folder: Path) -> dict[str, torch.Tensor]:
    folder.mkdir()
    source.save(folder)
    return torch.load(folder / "model.pt", weights_only=True)


@pytest.fixture
def snapshot(manifest: Path, tmp_path: Path) -> Path:
    first = trainer(manifest)
    first.begin(STAGE, None, 5)
    weights(first, tmp_path / "snapshot")
    return tmp_path / "snapshot"


def test_a_training_from_scratch_starts_from_a_2d_network(
    manifest: Path, resnet18: Path, tmp_path: Path
) -> None:
    new = trainer(manifest, network="p3d_resnet18", width=1.0, pretrained=resnet18)
    new.begin(STAGE, None, 0)
    stem = weights(new, tmp_path / "new")["trunk.0.0.weight"]
    kernel = torch.load(resnet18, weights_only=True)["conv1.weight"]
    assert torch.equal(stem[:, :, 2], kernel)


def test_a_training_from_scratch_starts_from_a_snapshot(
    manifest: Path, snapshot: Path, tmp_path: Path
) -> None:
    second = trainer(manifest, pretrained=snapshot)
    second.begin(STAGE, None, 6)
    old = torch.load(snapshot / "model.pt", weights_only=True)
    new = weights(second, tmp_path / "second")
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_other_classes_get_new_classifiers(manifest: Path, snapshot: Path, tmp_path: Path) -> None:
    meta = json.loads((snapshot / "meta.json").read_text())
    meta["classes"][0] = "cat"
    (snapshot / "meta.json").write_text(json.dumps(meta))
    second = trainer(manifest, pretrained=snapshot)
    second.begin(STAGE, None, 6)
    old = torch.load(snapshot / "model.pt", weights_only=True)
    new = weights(second, tmp_path / "second")
    changed = {key for key in old if not torch.equal(old[key], new[key])}
    assert changed == {key for key in old if ".classifier." in key}


def test_later_stages_start_from_the_stage_before(
    manifest: Path, snapshot: Path, tmp_path: Path
) -> None:
    other = trainer(manifest)
    other.begin(STAGE, None, 7)
    start = tmp_path / "start"
    expected = weights(other, start)
    later = trainer(manifest, pretrained=snapshot)
    later.begin(STAGE, start, 0)
    found = weights(later, tmp_path / "found")
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_torchvisions_video_networks_start_from_torchvisions_weights(
    manifest: Path, tmp_path: Path
) -> None:
    theirs = torchvision.models.video.mc3_18().state_dict()
    torch.save(theirs, tmp_path / "mc3_18.pth")
    options = {"network": "torchvision/mc3_18", "width": 1.0}
    new = trainer(manifest, **options, pretrained=tmp_path / "mc3_18.pth")
    new.begin(STAGE, None, 0)
    ours = weights(new, tmp_path / "new")
    assert all(
        torch.equal(ours[f"trunk.{key}"], value)
        for key, value in theirs.items()
        if not key.startswith("fc.")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"resnet18\.pth: the weight 'conv1.weight' has the shape .* for width 1"),
        ({"network": "r3d_resnet18"}, r"resnet18\.pth: this network cannot start from .*p3d"),
        ({"network": "torchvision/s3d", "width": 1.0}, r"resnet18\.pth: weights that do not fit"),
        ({"network": "p3d_resnet34", "width": 1.0}, r"resnet18\.pth: the weights have no 'layer1"),
        ({"pretrained": Path("nowhere.pth")}, r"nowhere\.pth: cannot be read: .*No such file"),
        ({"pretrained": Path(__file__)}, r"test_pretrained\.py: cannot be read"),
        ({"pretrained": Path(__file__).parent}, r"video: not a snapshot of a video model"),
    ],
)
def test_what_cannot_be_used_is_refused_before_training(
    manifest: Path, resnet18: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        trainer(manifest, **{"pretrained": resnet18} | options)


def test_a_snapshot_of_another_network_is_refused(manifest: Path, snapshot: Path) -> None:
    with pytest.raises(UsageError, match=r"another network: dg_p3d_resnet18.*: p3d_resnet18"):
        trainer(manifest, network="p3d_resnet18", pretrained=snapshot)


def test_code_among_the_weights_is_not_run(manifest: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    for content in ({"conv1.weight": print}, {"conv1.weight": 3}, [torch.zeros(1)]):
        torch.save(content, file)
        with pytest.raises(UsageError, match=r"weights\.pth: "):
            trainer(manifest, network="p3d_resnet18", width=1.0, pretrained=file)


@pytest.mark.filterwarnings("error")
def test_checking_warns_of_nothing(manifest: Path, snapshot: Path) -> None:
    trainer(manifest, pretrained=snapshot)
