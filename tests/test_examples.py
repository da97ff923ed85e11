"""Every example runs as its first lines say."""

from __future__ import annotations

import shlex
from contextlib import chdir
from itertools import takewhile
from pathlib import Path

import pytest
from disks import full_disk
from processes import schedplan_here

import schedplan
from schedplan import Plan
from schedplan.config import load_config
from schedplan.trainer import scale_of

EXAMPLES = Path(schedplan.__file__).parents[1] / "examples"


def first_lines(name: str) -> list[str]:
    """Return the comments that an example begins with."""
    lines = takewhile(lambda line: line.startswith("#"), (EXAMPLES / name).open(encoding="utf-8"))
    return [line.removeprefix("#").strip() for line in lines]


def run(name: str, *more: str) -> str:
    """Run an example by the command in its first line; return what it prints."""
    program, *arguments = shlex.split(first_lines(name)[0])
    assert (program, arguments[:2]) == ("schedplan", ["run", f"examples/{name}"])
    with chdir(EXAMPLES.parent):
        return schedplan_here(*arguments, *more)


@pytest.mark.parametrize("name", ["simulated.yaml", "staged.yaml"])
def test_an_example_without_training_prints_what_its_first_lines_say(name, tmp_path):
    printed = run(name, "--out", str(tmp_path / "run")).splitlines()
    stated = first_lines(name)
    assert [line.strip() for line in printed] == stated[-len(printed) :]


@pytest.mark.parametrize("name", ["digits.yaml", "digits_torch.yaml"])
def test_an_example_that_trains_runs_as_its_first_line_says(name, tmp_path):
    run(name, "--out", str(tmp_path / "run"), "--set", "knee.max_epochs=6")
    assert Plan.load(tmp_path / "run").score > 0.9
    assert (tmp_path / "run" / "graph.svg").exists()


@pytest.mark.parametrize("name", ["digits.yaml", "digits_torch.yaml", "video_toy.yaml"])
def test_the_plan_in_the_first_lines_is_one_of_the_examples(name):
    """What training reaches differs between processors: neither the numbers nor the path count."""
    lines = first_lines(name)
    setup = load_config(EXAMPLES / name, ["video"] if name.startswith("video") else [])
    title, columns = (next(line for line in lines if mark in line) for mark in ("fitted,", "┃"))
    assert title.startswith(f"{setup.config.name}: {setup.config.metric} ")
    names = [cell.strip() for cell in columns.strip("┃").split("┃")]
    assert names[1:-3] == [axis.name for axis in setup.space.axes]


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
