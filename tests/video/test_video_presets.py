"""The paper's settings and schedules as presets, against its tables as they are printed."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest
import yaml

from schedplan import Plan, solve
from schedplan.config import load_plan, load_preset
from schedplan.config.presets import preset_plan, preset_text
from schedplan.space import INITIAL
from schedplan_video import presets
from schedplan_video.config import stage_settings
from schedplan_video.data.manifest import read_manifest
from schedplan_video.data.toy import make_toy
from schedplan_video.evaluate import score_snapshot

# Table 2: clip lengths (a longest one of 128 frames is 64 at stride 2), rates and dropout.
TABLE = {
    "hmdb51": ((16, 32, 64), (0.01, 0.001, 0.0001), 0.9),
    "ucf101": ((16, 32, 64), (0.01, 0.001, 0.0001), 0.9),
    "activitynet": ((16, 32, 128), (0.01, 0.001, 0.0001), 0.9),
    "ssv1": ((16, 32), (0.04, 0.004, 0.0004), 0.5),
    "ssv2": ((16, 32), (0.04, 0.004, 0.0004), 0.5),
    "kinetics400": ((16, 32, 128), (0.04, 0.004, 0.0004), 0.5),
    "kinetics600": ((16, 32, 128), (0.04, 0.004, 0.0004), 0.5),
}

# The published schedules: frames (x stride) @ rate that is trained with: epochs.
PUBLISHED = {
    "kinetics400-dg-p3d-50": "cs 16@.04:58 32@.04:108 32@.004:26 64x2@.0004:10 64x2@.00004:18",
    "kinetics600-dg-p3d-50": "cs 16@.04:58 32@.04:108 32@.004:26 64x2@.0004:10 64x2@.00004:18",
    "activitynet-dg-p3d-50": "cs 32@.01:151 16@.001:58 32@.001:1 64x2@.0001:24 64x2@.00001:25",
    "activitynet-dg-p3d-50-from-kinetics400": "cs 32@.01:73 16@.001:30 64x2@.0001:7 64x2@.00001:19",
    "ssv1-dg-p3d-50": "us 32@.04:25 32@.004:6 16@.0004:57 32@.0004:35",
    "ssv2-dg-p3d-50": "us 32@.04:41 32@.004:8 16@.0004:44 32@.0004:9",
    "hmdb51-dg-p3d-50": "us 16@.01:17 32@.01:9 64@.001:19 64@.0001:6 64@.00001:7",
    "hmdb51-dg-p3d-50-from-kinetics400": "us 32@.01:42 32@.001:42 16@.0001:33 32@.0001:27"
    " 64@.00001:25",
    "ucf101-dg-p3d-50": "us 32@.01:38 64@.001:24 64@.0001:11 64@.00001:5",
    "ucf101-dg-p3d-50-from-kinetics400": "cs 32@.01:63 32@.001:3 64@.0001:27 64@.00001:2",
}


def settings_of(name: str) -> list:
    """Return the settings of every state of a preset, as the trainer reads them."""
    setup = load_preset(name)
    return [stage_settings(setup.space.params(state)) for state in setup.graph.order[1:]]


def test_the_datasets_are_those_of_the_table() -> None:
    assert set(presets.DATASETS) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_a_preset_has_the_settings_of_the_table(name: str) -> None:
    lengths, rates, dropout = TABLE[name]
    setup = load_preset(name)
    assert (setup.config.name, setup.config.metric, setup.config.plugins) == (
        name,
        "top1",
        ["video"],
    )
    spans = {s.clip_length * s.stride for s in settings_of(name) if s.sampling == "consecutive"}
    assert tuple(sorted(spans)) == lengths
    assert setup.space.axes[2].values == rates
    options = setup.config.trainer.model_extra
    assert (options["defaults"]["dropout"], options["network"]) == (dropout, "dg_p3d_resnet50")
    assert options["flip"] is not name.startswith("ss")
    replay = {"train_split": ["train", "val"], "validation_split": "test"}
    assert setup.config.trainer.replay == replay


@pytest.mark.parametrize("name", TABLE)
def test_batches_freezing_and_rates_follow_the_clip_length(name: str) -> None:
    by_length = {
        16: (16, 4, False, 1.0),
        32: (8, 8, False, 1.0),
        64: (4, 16, True, 0.1),
    }
    for each in settings_of(name):
        follows = (each.batch_size, each.accumulation, each.freeze_batchnorm, each.rate_scale)
        assert follows == by_length[each.clip_length]
        assert each.batch_size * each.accumulation * 4 == 256
        uniform = each.sampling == "uniform"
        assert each.segments == (each.clip_length // 4 if uniform else 1)
        if uniform:
            assert each.stride == 1


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("rule", ["basic", "extended"])
def test_the_graphs_have_the_papers_sizes(name: str, rule: str) -> None:
    graph = load_preset(name, overrides=[f"transitions.preset={rule}"]).graph
    lengths, rates, _ = TABLE[name]
    states, transitions = {
        (3, "basic"): (18, 28),
        (3, "extended"): (18, 36),
        (2, "basic"): (12, 18),
        (2, "extended"): (12, 22),
    }[len(lengths), rule]
    assert (graph.states, graph.transitions) == (states, transitions)
    longest = 64 if len(lengths) == 3 else 32
    samplings = ("consecutive", "uniform")
    assert {state.label for state in graph.starts} == {
        f"{sampling}_{length}_{rates[0]}" for sampling in samplings for length in (16, 32)
    }
    assert {state.label for state in graph.finals} == {
        f"{sampling}_{longest}_{rates[-1]}" for sampling in samplings
    }


@pytest.mark.parametrize("name", TABLE)
def test_what_is_printed_to_be_edited_is_what_is_used(name: str, tmp_path: Path) -> None:
    text = preset_text(name)
    assert f"`schedplan video index {name}`" in text
    assert yaml.safe_load(text) == load_preset(name).document.data


def test_the_schedules_are_those_published() -> None:
    assert set(presets.SCHEDULES) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_schedule_trains_as_published(name: str) -> None:
    sampling, *stages = PUBLISHED[name].split()
    found = preset_plan(name)
    assert len(found.stages) == len(stages)
    for stage, printed in zip(found.stages, stages, strict=True):
        view, rest = printed.split("@")
        rate, epochs = rest.split(":")
        length, _, stride = view.partition("x")
        settings = stage_settings(stage.params)
        assert settings.sampling == {"cs": "consecutive", "us": "uniform"}[sampling]
        assert (settings.clip_length, settings.stride) == (int(length), int(stride or 1))
        assert settings.scaled_rate == pytest.approx(float(rate))
        assert stage.epochs == int(epochs)


def test_the_schedule_of_kinetics_takes_220_epochs() -> None:
    assert preset_plan("kinetics400-dg-p3d-50").epochs == 220


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_schedule_is_a_path_through_the_graph_of_its_dataset(name: str) -> None:
    """Stages of 0 epochs are left out, so that a stage may lead to a later one by way of others."""
    graph = load_preset(presets.SCHEDULES[name].dataset).graph
    found = preset_plan(name)
    states = {state.label: state for state in graph.dag}
    path = [INITIAL, *(states[stage.state] for stage in found.stages)]
    for stage, state in zip(found.stages, path[1:], strict=True):
        assert stage.params == graph.space.params(state)
    assert all(nx.has_path(graph.dag, a, b) for a, b in pairwise(path))
    assert path[-1] in graph.finals


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "toy"
    return make_toy(folder, per_class=(1, 1, 1), frames=16, size=32)


SMALL = {
    "network": "dg_p3d_resnet18",
    "width": 0.125,
    "crop": 32,
    "short_side": [32, 36],
    "evaluation_side": 32,
    "workers": 0,
    "device": "cpu",
}


def schedplan(*arguments: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "schedplan", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def small(manifest: Path) -> list[str]:
    return [f"trainer.{name}={value}" for name, value in (SMALL | {"manifest": manifest}).items()]


def setting(*overrides: str) -> list[str]:
    return [part for override in overrides for part in ("--set", override)]


@pytest.mark.parametrize("name", ["hmdb51", "ssv1"])
def test_a_preset_lacks_nothing_but_the_manifest(name: str, manifest: Path) -> None:
    assert load_preset(name, overrides=small(manifest)).make_trainer().train_split == "train"


@pytest.mark.parametrize("name", ["ucf101-dg-p3d-50", "ssv2-dg-p3d-50"])
def test_a_schedule_trains_on_all_but_the_official_set(name: str, manifest: Path) -> None:
    trainer = load_plan(preset_plan(name), name, overrides=small(manifest)).make_trainer()
    assert (trainer.train_split, trainer.validation_split) == (["train", "val"], "test")


def test_check_counts_without_data(tmp_path: Path) -> None:
    checked = schedplan("check", "--preset", "kinetics400", "-f", "json", cwd=tmp_path)
    facts = json.loads(checked.stdout)
    assert (facts["states"], facts["transitions"]) == (18, 36)
    assert "--set trainer.manifest=..." in checked.stderr


def test_run_says_what_to_set(tmp_path: Path) -> None:
    refused = schedplan("run", "--preset", "ssv2", "--plugin", "video", cwd=tmp_path, code=2)
    assert "'trainer.manifest' is missing; add it, or --set trainer.manifest=..." in refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_preset_is_planned_with_and_replayed_on_all_data(manifest: Path, tmp_path: Path) -> None:
    """One state and one epoch: small, but the whole way."""
    options = [
        *small(manifest),
        "axes={sampling: [uniform], clip_length: [16], learning_rate: [0.04]}",
        "links={}",
        "start=null",
        "knee={estimator: fixed, epochs: 1}",
        "trainer.defaults={batch_size: 4}",
    ]
    setup = load_preset("ssv1", overrides=options)
    facts = setup.facts()
    solve(setup.problem, tmp_path / "runs/ssv1", config=facts, provenance={"config": facts})
    done = schedplan("replay", "runs/ssv1", "-f", "json", cwd=tmp_path)
    assert "trainer.train_split is ['train', 'val']" in done.stderr
    replayed = yaml.safe_load((tmp_path / "runs/ssv1-replay/config.yaml").read_text())["trainer"]
    assert (replayed["train_split"], replayed["validation_split"]) == (["train", "val"], "test")
    assert (
        score_snapshot(
            tmp_path / "runs/ssv1-replay/model",
            read_manifest(manifest),
            "test",
            clips=2,
            crops=2,
            batch_size=4,
            device="cpu",
        ).views.tolist()
        == [4] * 8
    )


def test_a_published_schedule_is_edited_and_trained_along(manifest: Path, tmp_path: Path) -> None:
    facts = yaml.safe_load(preset_text("ssv2-dg-p3d-50"))
    facts["stages"] = [{**stage, "epochs": 1} for stage in facts["stages"][1:3]]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(facts))
    assert Plan.load(tmp_path / "plan.yaml").epochs == 2
    done = schedplan("replay", "plan.yaml", *setting(*small(manifest)), "-f", "json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert [stage["state"] for stage in report["stages"]] == [
        "uniform_32_0.004",
        "uniform_16_0.0004",
    ]
    assert report["planned"] is None
    assert (tmp_path / "runs" / "ssv2-dg-p3d-50-replay" / "model" / "meta.json").exists()


def test_schedules_from_kinetics_go_on_with_its_model():
    starts = {
        name: presets.plan(name).provenance["config"]["trainer"].get("pretrained")
        for name in presets.SCHEDULES
    }
    model = "runs/kinetics400-dg-p3d-50-replay/model"
    assert starts == {
        name: model if name.endswith("-from-kinetics400") else None for name in presets.SCHEDULES
    }
