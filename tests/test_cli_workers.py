"""Searching with workers from the command line, whatever ends it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from processes import schedplan, start
from test_cli import CONFIG, SLOW_TRAINER

from schedplan import Plan

USE = ["--set", "trainer={use: 'slow:Slow', noise: 0.02}"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that nothing has interrupted, in one process."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "slow.py").write_text(SLOW_TRAINER.replace("0.05", "0.01"))
    schedplan("run", "config.yaml", *USE, "--out", "whole", cwd=folder)
    return folder


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_search_with_workers_that_was_ended_goes_on_to_the_same_plan(whole, signal_):
    out, workers = f"cut-by-{signal_.name}", ["--workers", "2"]
    with start("run", "config.yaml", *USE, *workers, "--out", out, cwd=whole) as driver:
        while not list(whole.glob(f"{out}/transitions/*/result.json")):
            assert driver.poll() is None
            time.sleep(0.02)
        driver.send_signal(signal_)
        stderr = driver.stderr.read()  # ends when the last of its children has
    killed = signal_ == signal.SIGKILL
    assert driver.returncode == (-signal_ if killed else 130)
    assert killed or "To go on: schedplan run config.yaml" in stderr
    assert "Traceback" not in stderr
    assert not (whole / out / "plan.yaml").exists()
    resumed = schedplan("run", "config.yaml", *USE, *workers, "--out", out, cwd=whole)
    assert "resuming" in resumed.stderr
    plan = (whole / out / "plan.yaml").read_bytes()
    assert plan == (whole / "whole" / "plan.yaml").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "--workers is 0"),
        (["--devices", "0,,1"], "--devices is '0,,1'"),
        (["--devices", ""], "--devices is ''"),
        (["--workers", "1", "--set", "search.devices=2"], "16_0.04 takes 2 devices"),
        (["--set", "search.devices=clips"], "no axis or link 'clips'"),
    ],
)
def test_bad_options_are_one_message(whole, options, message):
    place = whole / f"refused: {message}"
    result = schedplan("run", "config.yaml", *options, "--out", str(place), cwd=whole, code=2)
    assert message in result.stderr
    assert not (place / "transitions").exists()
    assert place.exists() == (message == "16_0.04 takes 2 devices"), (
        "what a transition takes, the search sees"
    )


ON_DEVICES = """\
import os
from schedplan import SimulatedTrainer

class OnDevices(SimulatedTrainer):
    def begin(self, params, start, seed):
        os.environ["SCHEDPLAN_DEVICES"]  # which only processes of their own have
        super().begin(params, start, seed)
"""


def test_a_plan_is_confirmed_and_trained_along_on_devices_too(tmp_path):
    (tmp_path / "mine.py").write_text(ON_DEVICES)
    (tmp_path / "config.yaml").write_text(
        "name: demo\nmetric: top1\naxes: {rate: [0.1, 0.01]}\n"
        "knee: {estimator: fixed, epochs: 2}\ntrainer: {use: 'mine:OnDevices'}\n"
    )
    schedplan("run", "config.yaml", "--devices", "a", "--confirm", cwd=tmp_path)
    assert Plan.load(tmp_path / "runs" / "demo").confirmed is not None
    schedplan("replay", "runs/demo", "--devices", "a", cwd=tmp_path)
    assert (tmp_path / "runs" / "demo-replay" / "model").is_dir()
