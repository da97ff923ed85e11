"""Every example runs as its first lines say."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from disks import full_disk

import schedplan
from schedplan import Plan
from schedplan.config import load_config
from schedplan.trainer import scale_of

EXAMPLES = Path(schedplan.__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["simulated", "staged", "digits", "digits_torch"])
def test_an_example_runs_as_printed_in_its_first_line(name, tmp_path):
    file = EXAMPLES / f"{name}.yaml"
    command = file.read_text().splitlines()[0].removeprefix("# ")
    program, *arguments = shlex.split(command)
    assert (program, arguments[:2]) == ("schedplan", ["run", f"examples/{name}.yaml"])
    arguments += ["--out", str(tmp_path / "run"), "--set", "knee.max_epochs=6"]
    result = subprocess.run(
        [sys.executable, "-m", "schedplan", *arguments],
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    plan = Plan.load(tmp_path / "run" / "plan.yaml")
    assert plan.stages
    assert (tmp_path / "run" / "graph.svg").exists()
    if name.startswith("digits"):
        assert plan.score > 0.9


@pytest.mark.parametrize("name", ["staged", "digits", "digits_torch"])
def test_an_example_states_what_guessing_scores(name):
    setup = load_config(EXAMPLES / f"{name}.yaml")
    scale = scale_of(setup.make_trainer(), setup.config.metric)
    assert 0 < scale.chance < 0.5
    assert scale.perfect == 1


@pytest.mark.parametrize("name", ["digits", "digits_torch"])
def test_an_example_is_not_to_blame_for_a_full_disk(name, tmp_path):
    setup = load_config(EXAMPLES / f"{name}.yaml")
    trainer = setup.make_trainer()
    trainer.begin(setup.space.params(setup.graph.order[1]), None, seed=0)
    trainer.train_epoch()
    with full_disk(room=2000), pytest.raises(OSError, match="File too large"):
        trainer.save(tmp_path)


def test_a_trainer_takes_about_25_lines():
    for name in ("digits_trainer", "digits_torch_trainer"):
        lines = (EXAMPLES / f"{name}.py").read_text().splitlines()
        code = [line for line in lines if line.strip() and "import" not in line]
        assert len(code) <= 40, name
