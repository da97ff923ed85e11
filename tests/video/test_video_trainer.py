"""The video trainer on real, tiny videos: repeatable, resumable, and clear about bad input."""

from __future__ import annotations

import inspect
import json
import logging
import math
import re
import shutil
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from schedplan.errors import UsageError
from schedplan.knees import Scale
from schedplan.trainer import Trainer, data_of, scale_of
from schedplan_video.data.decode import DecodeError
from schedplan_video.data.manifest import read_manifest
from schedplan_video.data.toy import make_toy
from schedplan_video.evaluate import score_snapshot
from schedplan_video.metrics import METRICS, measure
from schedplan_video.trainer import VideoTrainer

STAGE = {"sampling": "uniform", "clip_length": 16, "learning_rate": 0.01, "batch_size": 3}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "toy"
    return make_toy(folder, per_class=(1, 1, 1), frames=20, size=32)


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


def begun(manifest: Path, seed: int = 0, **options: Any) -> VideoTrainer:
    new = trainer(manifest, **options)
    new.begin(STAGE, None, seed)
    return new


def saved(source: VideoTrainer, folder: Path) -> Path:
    folder.mkdir()
    source.save(folder)
    return folder


def weights(source: VideoTrainer, folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(saved(source, folder) / "model.pt", weights_only=True)


def test_keeps_the_protocol(manifest: Path) -> None:
    assert isinstance(trainer(manifest), Trainer)
    assert trainer(manifest).metrics == METRICS


def test_states_what_guessing_scores_by_the_classes_of_its_manifest(manifest: Path) -> None:
    classes = len(read_manifest(manifest).classes)
    two_heads = trainer(manifest)
    assert set(two_heads.scales) <= set(METRICS)
    assert scale_of(two_heads, "top1") == Scale(1 / classes, 1.0)
    assert scale_of(two_heads, "loss") == Scale(2 * math.log(classes), 0.0)
    one_head = trainer(manifest, network="p3d_resnet18")
    assert scale_of(one_head, "loss") == Scale(math.log(classes), 0.0)
    one_predicts = trainer(manifest, network="lgd_p3d_resnet18")
    assert scale_of(one_predicts, "loss") == Scale(math.log(classes), 0.0)


def test_videos_that_cannot_be_used_are_skipped_on_request_only(
    manifest: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("schedplan"), "propagate", True)
    header, first, *rest = manifest.read_text().splitlines()
    lost = first.replace(",ok,", ",corrupt: no video stream,")
    damaged = tmp_path / "manifest.csv"
    damaged.write_text("\n".join([header, lost, *rest]))
    with pytest.raises(UsageError, match="1 corrupt of 8 videos of the split 'train'"):
        trainer(damaged, videos=manifest.parent, allow_missing="10%")
    assert trainer(damaged, videos=manifest.parent, allow_missing=1)
    assert caplog.messages == ["skipped in the split 'train': 1 corrupt"]


def test_says_what_manifest_it_trains_on(manifest: Path, tmp_path: Path) -> None:
    header, first, *rest = manifest.read_text().splitlines()
    told = trainer(manifest).data
    assert told == {"manifest manifest.csv": told["manifest manifest.csv"]}
    assert re.fullmatch("24 videos of 8 classes, sha256 [0-9a-f]{12}", *told.values())
    changed = tmp_path / "manifest.csv"
    for old, new, same in [(",ok,", ",short,", True), (",train,", ",val,", False)]:
        changed.write_text("\n".join([header, first.replace(old, new), *rest]))
        other = trainer(changed, videos=manifest.parent, allow_missing=1)
        assert (data_of(other) == told) == same


def test_what_does_not_matter_for_the_result_is_among_its_options() -> None:
    assert set(VideoTrainer.incidental) < set(inspect.signature(VideoTrainer).parameters)


def test_a_folder_without_the_videos_is_refused(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"none of the 8 videos .* {tmp_path}: .*trainer.videos"):
        trainer(manifest, videos=tmp_path)


def test_options_can_be_read_from_the_signature() -> None:
    parameters = inspect.signature(VideoTrainer, eval_str=True).parameters
    assert parameters["manifest"].annotation is Path
    assert parameters["short_side"].annotation == tuple[int, int]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())


def test_trains_and_evaluates(manifest: Path) -> None:
    new = begun(manifest)
    trained = new.train_epoch()
    assert min(trained.values()) > 0
    assert trained.keys() == {"loss", "data_seconds", "compute_seconds"}
    report = new.evaluate()
    assert tuple(report) == METRICS
    assert 0 <= report["top1"] <= report["top5"] <= 1


def test_the_same_seed_gives_the_same_weights(manifest: Path, tmp_path: Path) -> None:
    results = []
    for number, seed in enumerate([3, 3, 4]):
        torch.manual_seed(number)  # the global generator must not matter
        new = begun(manifest, seed)
        new.train_epoch()
        results.append(weights(new, tmp_path / str(number)))
    same = [all(torch.equal(results[0][key], other[key]) for key in other) for other in results[1:]]
    assert same == [True, False]


def test_leaves_the_global_generator_alone(manifest: Path) -> None:
    before = torch.get_rng_state()
    begun(manifest).train_epoch()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "defaults",
    [{}, {"optimizer": "adamw", "mixup": 0.2, "cutmix": 1.0, "dropout": 0.5, "accumulation": 2}],
)
def test_a_resumed_transition_continues_bit_equal(
    manifest: Path, tmp_path: Path, defaults: dict
) -> None:
    whole = begun(manifest, defaults=defaults)
    whole.train_epoch()
    snapshot = saved(whole, tmp_path / "after_1")
    whole.train_epoch()
    resumed = begun(manifest, defaults=defaults)
    resumed.restore(snapshot)
    resumed.train_epoch()
    one, other = weights(whole, tmp_path / "whole"), weights(resumed, tmp_path / "resumed")
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert whole.evaluate() == resumed.evaluate()


def test_float16_resumes_with_the_scale_it_had(manifest: Path, tmp_path: Path) -> None:
    whole = begun(manifest, precision="float16")
    whole.train_epoch()
    snapshot = saved(whole, tmp_path / "after_1")
    loss = whole.train_epoch()["loss"]
    resumed = begun(manifest, precision="float16")
    resumed.restore(snapshot)
    assert resumed.train_epoch()["loss"] == loss


def test_a_compiled_network_computes_the_same(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = partialmethod(nn.Module.compile, backend="aot_eager")  # no C++ is made of the graph
    monkeypatch.setattr(nn.Module, "compile", quick)
    losses, models = [], []
    for compiled in (False, True):
        new = trainer(manifest, compile=compiled, network="p3d_resnet18")
        new.begin(STAGE | {"batch_size": 4}, None, 0)  # all alike, or each size is compiled
        losses.append([new.train_epoch()["loss"], new.evaluate()["loss"]])
        models.append(weights(new, tmp_path / str(compiled)))
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert models[0].keys() == models[1].keys()


def test_a_new_stage_takes_the_model_over_with_a_fresh_optimiser(
    manifest: Path, tmp_path: Path
) -> None:
    first = begun(manifest)
    first.train_epoch()
    start = saved(first, tmp_path / "first")
    second = trainer(manifest)
    second.begin(STAGE | {"clip_length": 20, "learning_rate": 0.001}, start, 1)
    kept = weights(second, tmp_path / "second")
    old = torch.load(start / "model.pt", weights_only=True)
    assert all(torch.equal(old[key], kept[key]) for key in old)
    state = torch.load(tmp_path / "second" / "optimizer.pt", weights_only=True)
    assert state["optimizer"]["state"] == {}
    assert state["optimizer"]["param_groups"][0]["lr"] == 0.001


def test_freezing_lasts_for_one_transition(manifest: Path, tmp_path: Path) -> None:
    new = trainer(manifest, defaults={"batch_size": 4})
    for number, frozen in enumerate([True, False]):
        new.begin(STAGE | {"freeze_batchnorm": frozen}, None, 0)
        before = weights(new, tmp_path / f"before_{number}")
        new.train_epoch()
        new.evaluate()
        after = weights(new, tmp_path / f"after_{number}")
        means = [key for key in before if key.endswith("running_mean")]
        changed = [not torch.equal(before[key], after[key]) for key in means]
        assert changed == [True] + [not frozen] * (len(means) - 1)


@pytest.mark.parametrize("augment", ["strong", "randaugment"])
def test_training_clips_are_augmented_as_asked(manifest: Path, augment: str) -> None:
    losses = [begun(manifest, augment=name).train_epoch()["loss"] for name in ("paper", augment)]
    assert losses[0] != losses[1]


def test_checkpointing_trains_the_same_model(manifest: Path, tmp_path: Path) -> None:
    models = []
    for checkpointing in (False, True):
        new = trainer(manifest, defaults={"checkpointing": checkpointing})
        new.begin(STAGE, None, 0)
        new.train_epoch()
        models.append(weights(new, tmp_path / str(checkpointing)))
    assert all(torch.equal(models[0][key], value) for key, value in models[1].items())


def test_workers_change_no_clip(manifest: Path, tmp_path: Path) -> None:
    one, other = begun(manifest), begun(manifest, workers=1)
    losses = [new.train_epoch()["loss"] for new in (one, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert one.evaluate()["top5"] == other.evaluate()["top5"]


def test_makes_the_toy_videos_itself(tmp_path: Path) -> None:
    file = tmp_path / "toy" / "manifest.csv"
    toy = {"per_class": [1, 1, 0], "frames": 16, "size": 32}
    begun(file, toy=toy).evaluate()
    begun(file, toy=toy)


def test_a_snapshot_can_be_evaluated_alone(manifest: Path, tmp_path: Path) -> None:
    new = begun(manifest)
    new.train_epoch()
    folder = saved(new, tmp_path / "model")
    planning = {"clips": 1, "crops": 1, "batch_size": STAGE["batch_size"], "device": "cpu"}
    scored = score_snapshot(folder, read_manifest(manifest), "val", **planning)
    assert measure(scored) == new.evaluate()


def test_a_snapshot_of_another_network_is_refused(manifest: Path, tmp_path: Path) -> None:
    start = saved(begun(manifest), tmp_path / "model")
    other = trainer(manifest, network="p3d_resnet18")
    with pytest.raises(
        UsageError, match=r"dg_p3d_resnet18 of width 0.125 with 8 .*: p3d_resnet18 of"
    ):
        other.begin(STAGE, start, 0)


def test_code_in_a_snapshot_is_not_run(manifest: Path, tmp_path: Path) -> None:
    start = saved(begun(manifest), tmp_path / "model")
    torch.save({"model": inspect.signature(print)}, start / "model.pt")
    with pytest.raises(UsageError, match=r"model.pt: cannot be read"):
        trainer(manifest).begin(STAGE, start, 0)


@pytest.mark.parametrize("file", ["meta.json", "model.pt"])
def test_a_damaged_snapshot_is_refused(manifest: Path, tmp_path: Path, file: str) -> None:
    start = saved(begun(manifest), tmp_path / "model")
    (start / file).write_bytes(b"{}")
    with pytest.raises(UsageError, match="model"):
        trainer(manifest).begin(STAGE, start, 0)


def test_a_manifest_with_other_classes_is_refused(manifest: Path, tmp_path: Path) -> None:
    folder = saved(begun(manifest), tmp_path / "model")
    meta = json.loads((folder / "meta.json").read_text())
    meta["classes"][0] = "cat"
    (folder / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(UsageError, match="those of the model: cat"):
        score_snapshot(folder, read_manifest(manifest), "val", clips=1, crops=1, batch_size=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"manifest": Path("nowhere.csv")}, r"nowhere\.csv"),
        ({"network": "dg_p3d_resnet19"}, r"did you mean 'dg_p3d_resnet18'"),
        ({"shortcut": "A"}, r"dg_p3d_resnet18 has no choice of shortcuts"),
        ({"crop": 64}, r"crop .*64"),
        ({"short_side": (40, 32)}, r"short_side \(40, 32\)"),
        ({"train_split": "training"}, r"'training'.*train, val, test"),
        ({"train_split": ["train", "var"]}, r"'var'.*train, val, test"),
        ({"train_split": []}, r"no split is named"),
        ({"train_split": ["train", "val"]}, r"'val' is trained on"),
        ({"device": "gpu"}, r"device 'gpu'.*auto, cpu, cuda"),
        ({"workers": -1}, r"workers is -1.*at least 0"),
        ({"time_limit": 0}, r"time_limit is 0.*from 1 to 604800"),
        ({"time_limit": math.inf}, r"time_limit is inf; allowed: numbers from 1 to 604800"),
        ({"augment": "stong"}, r"'stong'.*did you mean 'strong'"),
        ({"defaults": {"batchsize": 3}}, r"'batchsize'.*did you mean 'batch_size'"),
        ({"toy": {"frames": 30}}, r"other settings"),
        ({"precision": "half"}, r"'half'; allowed: auto, float32"),
        ({"precision": "float16", "shard": True}, r"float16 does not go with shard"),
        ({"compile": True, "shard": True}, r"compile does not go with shard"),
        ({"sync_batchnorm": True}, r"sync_batchnorm works on GPUs only"),
        ({"processes": 0}, r"processes is 0; allowed: 1 or more"),
        ({"processes": 2, "device": "cuda:1"}, r"'cuda:1', but there are several processes"),
        ({"nodes": 2}, r"nodes is 2, but the endpoint is None"),
    ],
)
def test_bad_options_are_refused_at_once(manifest: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trainer(**{"manifest": manifest} | options)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"clip_length": 8}, r"8 frames.*16 frames or more"), ({"clip": 8}, r"unknown parameter")],
)
def test_bad_params_are_refused_by_begin(manifest: Path, change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        trainer(manifest).begin(STAGE | change, None, 0)


def test_a_damaged_video_is_named(manifest: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(manifest.parent, copy)
    victim = next((copy / "train").glob("*.mp4"))
    victim.write_bytes(b"no video")
    with pytest.raises(DecodeError, match=victim.name):
        begun(copy / "manifest.csv").train_epoch()


def test_several_splits_may_be_trained_on(manifest: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(manifest.parent, copy)
    whole = begun(copy / "manifest.csv", train_split=["train", "val"], validation_split="test")
    assert whole.train_epoch()["loss"] > 0
    for video in (copy / "val").glob("*.mp4"):
        video.write_bytes(b"no video")
    with pytest.raises(DecodeError, match="val"):
        whole.train_epoch()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"clip_lenght": 16}, "did you mean 'clip_length'"), ({"clip_length": 8}, "16")],
)
def test_states_are_checked_before_anything_is_trained(manifest, change, message):
    trainer(manifest).check(STAGE)
    with pytest.raises(UsageError, match=message):
        trainer(manifest).check(STAGE | change)


@pytest.mark.parametrize(
    ("batch_size", "processes"), [(7, 1), (1, 1), (3, 2)], ids=["the last", "every", "on each rank"]
)
def test_a_batch_too_small_to_be_normalised_is_refused(manifest, batch_size, processes):
    stage = STAGE | {"clip_length": 4, "batch_size": batch_size, "processes": processes}
    small = {"network": "p3d_resnet18"}
    with pytest.raises(UsageError, match=r"a batch of 1 of the 8 .* 4 frames of 32 x 32 pixels"):
        trainer(manifest, **small).check(stage)
    for change in ({"batch_size": 4}, {"clip_length": 16}, {"freeze_batchnorm": True}):
        trainer(manifest, **small).check(stage | change)
    trainer(manifest, **small, crop=40, short_side=(40, 40), evaluation_side=40).check(stage)


def test_what_is_left_out_of_an_epoch_needs_no_normalisation(manifest):
    stage = STAGE | {"clip_length": 4, "batch_size": 2, "processes": 3}
    trainer(manifest, network="p3d_resnet18").check(stage)
