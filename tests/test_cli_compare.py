"""`schedplan compare`, run as its users run it: killed, resumed, printed and drawn."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import schedplan

from schedplan import Plan

CONFIG = """\
name: demo
metric: top1
axes:
  clip_length: [16, 32]
  learning_rate: [0.04, 0.004]
knee: {estimator: fixed, epochs: 2}
trainer: {use: "slow:Slow", noise: 0.02}
"""

SLOW_TRAINER = """\
import time
from schedplan import SimulatedTrainer

class Slow(SimulatedTrainer):
    def train_epoch(self):
        time.sleep(0.01)
        return super().train_epoch()
"""

COMPARE = ("compare", "config.yaml", "--seeds", "2", "--epochs", "4,6", "--variants")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "slow.py").write_text(SLOW_TRAINER)
    return tmp_path


def without_times(facts: object) -> object:
    if isinstance(facts, dict):
        return {key: without_times(value) for key, value in facts.items() if key != "seconds"}
    return [without_times(each) for each in facts] if isinstance(facts, list) else facts


def test_a_comparison_that_is_killed_goes_on_to_the_same_table(folder):
    command = [sys.executable, "-m", "schedplan", *COMPARE, "--out", "cut"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    while len(list(folder.glob("cut/compare/*/*/compared.json"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {file: file.stat().st_mtime_ns for file in folder.glob("cut/**/compared.json")}

    resumed = schedplan(*COMPARE, "--out", "cut", "-f", "json", cwd=folder)
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    whole = schedplan(*COMPARE, "-f", "json", "-o", "a.svg", cwd=folder)
    facts = json.loads(whole.stdout)
    assert without_times(json.loads(resumed.stdout)) == without_times(facts)
    assert "learning_rate" not in (folder / "a.svg").read_text()
    assert "score against cost" in (folder / "a.svg").read_text()

    groups = {group["group"]: group for group in facts["groups"]}
    kinds = ["plan", "hand-tuned", "side-by-side", "one-by-one", "constant"]
    assert list(groups) == kinds
    plan, best = Plan.load(folder / "runs" / "demo"), groups["plan"]["best"]
    assert [stage["epochs"] for stage in best["stages"]] == [s.epochs for s in plan.stages]
    assert best["scores"]["top1"]["values"] != [plan.score] * 2, "the seeds are new ones"
    tuned = [each for each in facts["strategies"] if each["kind"] not in ("plan", "variant")]
    assert groups["hand-tuned"]["search"]["epochs"] == sum(each["epochs"] for each in tuned)
    means = [each["scores"]["top1"]["mean"] for each in tuned]
    assert groups["hand-tuned"]["best"]["scores"]["top1"]["mean"] == max(means)

    other = ("--seeds", "1", "--metric", "loss")  # of what is trained already
    told = schedplan(*COMPARE, *other, cwd=folder)
    assert "loss after so many epochs" in told.stdout
    assert "±" not in told.stdout, "one seed has no spread"


@pytest.mark.parametrize(
    ("options", "phrases"),
    [
        (["-o", "a.pdf"], ["a.pdf", ".svg or .png"]),
        (["--metric", "top"], ["--metric top: the trainer does not report the metric 'top'"]),
        (["--epochs", "10,none"], ["--epochs is '10,none'", "such as 128,192,256"]),
    ],
)
def test_wrong_usage_is_refused_before_the_search(folder, options, phrases):
    refused = schedplan("compare", "config.yaml", *options, cwd=folder, code=2)
    for phrase in phrases:
        assert phrase in refused.stderr
    assert not (folder / "runs").exists()
