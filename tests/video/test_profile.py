"""What a few steps tell about speed and memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from schedplan.errors import UsageError
from schedplan_video.commands import app
from schedplan_video.config import stage_settings
from schedplan_video.data.toy import make_toy
from schedplan_video.profile import distinct, largest

STAGE = {"sampling": "uniform", "clip_length": 16, "batch_size": 2, "learning_rate": 0.1}


@given(st.integers(0, 300), st.integers(1, 200))
def test_the_largest_that_fits_is_found_in_few_attempts(room: int, limit: int) -> None:
    tried = []

    def fits(number: int) -> bool:
        tried.append(number)
        return number <= room

    assert largest(fits, limit) == min(room, limit)
    assert max(tried) <= min(2 * max(room, 1), limit)
    assert len(tried) <= 2 * limit.bit_length() + 1


def test_settings_that_cost_the_same_are_measured_once() -> None:
    changes = [{"learning_rate": 0.01}, {"dropout": 0.9}, {"clip_length": 32}, {"batch_size": 4}]
    settings = [stage_settings(STAGE | change) for change in ({}, *changes)]
    found = [(each.clip_length, each.batch_size) for each in distinct(settings)]
    assert found == [(16, 2), (32, 2), (16, 4)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    settings = {
        "name": "small",
        "metric": "top1",
        "axes": {"clip_length": [4, 8], "learning_rate": [0.1, 0.01]},
        "trainer": {
            "use": "video",
            "manifest": str(make_toy(tmp_path / "toy", per_class=(1, 1, 0), frames=20, size=32)),
            "network": "p3d_resnet18",
            "width": 0.125,
            "crop": 32,
            "short_side": [32, 40],
            "evaluation_side": 32,
            "workers": 0,
            "device": "cpu",
            "defaults": {"sampling": "uniform", "batch_size": 3},
        },
    }
    file.write_text(yaml.safe_dump(settings))
    return file


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    if isinstance(result.exception, Exception):
        raise result.exception
    return result.stdout


def test_every_setting_of_a_space_is_profiled(config: Path) -> None:
    told = json.loads(run("profile", config, "--steps", 2, "-f", "json"))
    assert (told["device"], told["precision"]) == ("cpu", "float32")
    assert [each["settings"]["clip_length"] for each in told["profiles"]] == [4, 8]
    for each in told["profiles"]:
        assert each["clips_per_second"] > 0
        assert 0 < each["waiting"] < 1
        assert each["memory"] is None or each["memory"] > 2**20
        assert each["largest_batch"] is None
        assert "learning_rate" not in each["settings"]
    table = run("profile", config, "--steps", 1, "--set", "axes.clip_length=[4]")
    (row,) = [line for line in table.splitlines() if line.startswith("│")]
    assert [cell.strip() for cell in row.strip("│").split("│")][:2] == ["4", "3"]


def test_another_trainer_cannot_be_profiled(config: Path) -> None:
    simulated = ("--set", "trainer={use: simulated}", "--set", "axes.clip_length=[16, 32]")
    with pytest.raises(UsageError, match="'simulated' is not the trainer of videos"):
        run("profile", config, *simulated)
