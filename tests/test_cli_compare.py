"""`schedplan compare`, run as its users run it: killed, resumed, printed and drawn."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, stdev

import pytest
from processes import schedplan
from rich.console import Console
from typer.testing import CliRunner

from schedplan import Plan, SimulatedTrainer
from schedplan.baselines import Compared, Evolved, Population, Result
from schedplan.cli.app import app
from schedplan.cli.compare import Searched, compare_all, evolve_all, strategies_of
from schedplan.cli.comparison import compare_facts
from schedplan.cli.comparison_table import compare_table
from schedplan.cli.scatter import draw_comparison
from schedplan.cli.search import find_plan
from schedplan.config import load_config
from schedplan.errors import UsageError
from schedplan.executors import SerialExecutor
from schedplan.journal import RunFolder
from schedplan.report.text import duration

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
    assert list(groups) == [*kinds, "4 epochs", "6 epochs"]
    assert [groups[name]["length"] for name in ("4 epochs", "6 epochs")] == [4, 6]
    plan, best = Plan.load(folder / "runs" / "demo"), groups["plan"]["best"]
    stages = facts["strategies"][0]["stages"]
    assert [stage["epochs"] for stage in stages] == [stage.epochs for stage in plan.stages]
    assert best["scores"]["top1"]["values"] != [plan.score] * 2, "the seeds are new ones"
    assert (folder / "runs/demo/report.html").exists(), "what `run` leaves, this does, too"
    assert (folder / "runs/demo/graph.svg").exists()
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
        (["-o", "a.pdf"], ["a.pdf", ".svg, .png"]),
        (["-o", "folder.svg"], ["folder.svg: this is a folder"]),
        (["--epochs", "99999999999"], ["a strategy of 99999999999 epochs", "1 to 100,000"]),
        (["--metric", "top"], ["--metric top: the trainer does not report the metric 'top'"]),
        (["--epochs", "10,none"], ["--epochs is '10,none'", "such as 128,192,256"]),
        (
            ["--pbt", "4", "--engine", "dask", "--scheduler", "tcp://nowhere:1"],
            ["--pbt trains on this machine alone", "without --engine and --scheduler"],
        ),
        (["--pbt", "4", "--devices", "0,1"], ["without --devices", "nothing is trained twice"]),
        pytest.param(
            ["--pbt", "4"],
            ["the package 'ray' is not installed", "pip install 'schedplan[pbt]'"],
            marks=pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed"),
        ),
    ],
)
def test_wrong_usage_is_refused_before_the_search(folder, monkeypatch, options, phrases):
    monkeypatch.chdir(folder)
    (folder / "folder.svg").mkdir()
    with pytest.raises(UsageError) as refused:
        CliRunner().invoke(app, ["compare", "config.yaml", *options], catch_exceptions=False)
    for phrase in phrases:
        assert phrase in str(refused.value)
    assert not (folder / "runs").exists()


def test_plans_of_several_searches_share_a_row(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "config.yaml").write_text(CONFIG.replace("fixed, epochs", "patience, epochs"))
    command = ["compare", "config.yaml", "--searches", "2", "--seeds", "2", "--epochs", "3"]
    result = CliRunner().invoke(app, [*command, "-f", "json"], catch_exceptions=False)
    facts = json.loads(result.stdout)
    plan = facts["groups"][0]
    own, other = plan["searches"]
    found = [each["scores"]["top1"]["values"] for each in facts["strategies"][:2]]
    assert plan["best"]["scores"]["top1"]["values"] == [value for row in found for value in row]
    assert plan["held_out"] == plan["best"]["scores"]["top1"], "none has chosen anything"
    assert plan["search"]["epochs"] == fmean(each["search"]["epochs"] for each in (own, other))
    assert own["strategy"] != other["strategy"]

    place = folder / "runs/demo/compare/search-2"
    journals = {file: file.read_bytes() for file in place.glob("transitions/*/*/epochs.jsonl")}
    again = ["run", "config.yaml", "--out", str(place), "--set", f"seed={other['seed']}"]
    result = CliRunner().invoke(app, again, catch_exceptions=False)
    assert result.exit_code == 0
    assert "the run is finished" in result.stderr, "it is what `run` makes of that seed"
    assert journals == {file: file.read_bytes() for file in journals}
    table = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    epochs = [each["search"]["epochs"] for each in (own, other)]
    assert f"{fmean(epochs):g} ± {float(f'{stdev(epochs):.2g}'):g}" in table
    assert "over 2 searches and all seeds" in table


class Frail(SimulatedTrainer):
    """Fails with long clips at the high rate; writes down the clips of every epoch trained."""

    def __init__(self, diary: str) -> None:
        super().__init__(noise=0.02)
        self._diary = Path(diary)

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        self._clip, self._fails = params["clip_length"], LONG.items() <= params.items()

    def train_epoch(self):
        if self._fails and self._epoch:
            raise RuntimeError("diverged")
        with self._diary.open("a") as stream:
            print(self._clip, file=stream)
        return super().train_epoch()


LONG = {"clip_length": 32, "learning_rate": 0.04}

FRAIL = """\
name: demo
metric: top1
axes:
  clip_length: [16, 32]
  learning_rate: [0.04, 0.004]
knee: {estimator: fixed, epochs: 3}
search: {cost: clip_length}
trainer: {use: "test_cli_compare:Frail", diary: DIARY}
"""


@pytest.fixture(scope="module")
def compared(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Searched, tuple[Compared, ...]]:
    """What came of a comparison in which some strategies fail; its diary has no search's epochs."""
    folder = tmp_path_factory.mktemp("frail")
    (folder / "config.yaml").write_text(FRAIL.replace("DIARY", str(folder / "diary")))
    setup, run = load_config(folder / "config.yaml"), RunFolder(folder / "run")
    searched = Searched(setup, run, find_plan(setup, run, SerialExecutor, retry_failed=False))
    (folder / "diary").unlink()
    strategies = strategies_of([searched, searched], [6], with_variants=False)
    return searched, compare_all(setup, run, strategies, 2, SerialExecutor, "top1")


def test_strategies_that_fail_cost_what_was_trained(compared):
    searched, found = compared
    clips = (searched.folder.path.parent / "diary").read_text().split()
    facts = compare_facts([searched] * 2, found, [], "top1")
    plan, tuned = facts["groups"][:2]
    assert any(each["failures"] for each in facts["strategies"])
    assert tuned["search"]["epochs"] + plan["best"]["epochs"] == len(clips) / 2
    assert tuned["search"]["cost"] + plan["best"]["cost"] == sum(map(int, clips)) / 2


def test_a_plan_that_two_searches_find_is_trained_once(compared):
    searched, found = compared
    assert found[0].results == found[1].results
    facts = compare_facts([searched] * 2, found, [], "top1")
    plan, tuned = facts["groups"][:2]
    assert plan["best"]["strategy"] == facts["strategies"][0]["strategy"]
    once = facts["strategies"][0]["scores"]["top1"]
    assert [plan["held_out"][name] for name in once] == [pytest.approx(once[name]) for name in once]
    best = tuned["best"]
    assert f"hand-tuned: {best['kind']}, {best['strategy']}" in told(facts), "kinds share names"


def test_pictures_take_names_as_they_are(compared, tmp_path):
    searched, found = compared
    facts = {**compare_facts([searched], found[1:], [], "top1"), "name": "top_$x_{$"}
    draw_comparison(tmp_path / "a.svg", facts)
    assert "top_$x_{$: score against cost" in (tmp_path / "a.svg").read_text()


def test_a_plan_that_a_budget_has_cut_off_is_told_so(folder, monkeypatch):
    monkeypatch.chdir(folder)
    budget = ["--set", "search.budget.epochs=7", "--set", "search.order=dive"]
    command = ["compare", "config.yaml", "--seeds", "1", "--epochs", "3", *budget]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 3, "there is more to be searched"
    assert "A budget has ended the search early: the plan is the best so far." in result.stdout
    facts = json.loads(CliRunner().invoke(app, [*command, "-f", "json"]).stdout)
    assert facts["groups"][0]["searches"][0]["complete"] is False


def evolved(number: int) -> Evolved:
    metrics = {"top1": 0.4 + number / 10, "loss": 0.6}
    return Evolved(metrics, members=4, length=6, epochs=24, cost=600.0, seconds=1.0)


def told(facts: dict) -> str:
    """Return what is printed of a comparison."""
    console = Console(width=200)
    with console.capture() as capture:
        console.print(compare_table(facts))
    return capture.get()


def test_only_another_metric_of_a_population_is_held_out(compared, tmp_path):
    searched, found = compared
    own = compare_facts([searched] * 2, found, [evolved(1), evolved(2)], "top1")
    assert own["groups"][-1]["held_out"] is None
    assert own["groups"][-1]["best"]["scores"]["top1"]["mean"] == pytest.approx(0.55)
    assert "by this very score and seed, so that nothing is held out" in told(own)
    other = compare_facts([searched] * 2, found, [evolved(1), evolved(2)], "loss")
    assert other["groups"][-1]["held_out"]["values"] == [0.6, 0.6]
    for facts, marked in ((own, True), (other, False)):
        draw_comparison(tmp_path / "a.svg", facts)
        assert ("(chosen by its score)" in (tmp_path / "a.svg").read_text()) is marked


def test_a_metric_of_a_population_that_is_not_finite_is_no_score(compared):
    searched, found = compared
    vague = replace(evolved(2), metrics={"top1": 0.6, "loss": math.nan})
    facts = compare_facts([searched] * 2, found, [evolved(1), vague], "loss")
    population = facts["groups"][-1]
    assert population["held_out"] is population["best"]["scores"]["loss"] is None
    assert population["best"]["scores"]["top1"]["values"] == [0.5, 0.6]
    json.dumps(facts, allow_nan=False)
    assert "not finite" in told(facts)
    assert "by this very score" not in told(facts)


def test_a_population_that_fails_is_a_row(compared, monkeypatch):
    def fail(self: Population, *arguments: object) -> None:
        raise RuntimeError("Ray is out of memory")

    monkeypatch.setattr(Population, "train", fail)
    searched, found = compared
    strategies = [each.strategy for each in found]
    failed = evolve_all(searched.setup, searched.folder, strategies, 2, 4, 1)
    words = "seed 1: RuntimeError: Ray is out of memory"
    assert f"failed: {words}" in told(compare_facts([searched] * 2, found, failed, "top1"))
    log = (searched.folder.path / "log.txt").read_text()
    assert "the population of seed 2 failed: RuntimeError: Ray is out of memory" in log


def test_a_metric_that_is_not_finite_is_told_and_loses_no_table(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    (folder / "vague.py").write_text(
        "from schedplan import SimulatedTrainer\n\n"
        "class Vague(SimulatedTrainer):\n"
        "    metrics = scales = None\n\n"
        "    def evaluate(self):\n"
        "        return {**super().evaluate(), 'other': float('nan')}\n"
    )
    changes = "--set", "trainer={use: 'vague:Vague'}", "--metric", "other"
    command = ["compare", "config.yaml", "--seeds", "2", "--epochs", "4", *changes]
    shown = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    assert "not finite" in shown
    facts = json.loads(CliRunner().invoke(app, [*command, "-f", "json"]).stdout)
    best = facts["groups"][1]["best"]
    assert best["scores"]["other"] is None
    assert best["scores"]["top1"]["mean"] > 0


class Ticking(SimulatedTrainer):
    """Takes a second of the clock for an epoch."""

    clock = 0.0

    def train_epoch(self):
        Ticking.clock += 1
        return super().train_epoch()


def test_the_time_left_is_that_of_the_epochs_left(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("schedplan.cli.compare.monotonic", lambda: Ticking.clock)
    changes = "--set", "trainer={use: 'test_cli_compare:Ticking'}", "--epochs", "2,30"

    def told(seeds: int) -> list[tuple[str, str]]:
        command = ["compare", "config.yaml", "--seeds", str(seeds), *changes]
        heard = CliRunner().invoke(app, command, catch_exceptions=False).stderr
        return re.findall(r"(\d+) epochs, seed \d: top1 [^;\s]+(?:; (.*) left)?", heard)

    def interrupt(file: Path, result: Result) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("schedplan.baselines.job.save_result", interrupt)
        assert told(1) == []
    (trained, unknown), *first = told(1)  # the plan was trained before
    assert (trained, unknown) == ("6", "")
    further = told(3)
    assert len(further) == 2 * (1 + len(first))
    for lines in (first, further):
        left = sum(int(epochs) for epochs, _ in lines)
        assert left > 100
        for epochs, shown in lines:
            left -= int(epochs)
            assert shown == duration(left)


def judged(own: float, tuned: float, mode: str, reported: str) -> dict:
    """Return the facts of a comparison for top1 in which nothing but the held out scores differ."""

    def group(name: str, mean: float) -> dict:
        search = {"epochs": 20, "cost": 20.0, "seconds": 1.0}
        held_out = {"mean": mean, "std": 0.1, "values": []}
        known = {"group": name, "best": None, "held_out": held_out, "failures": []}
        searches = [{"search": search, "complete": True}]
        return {**known, "strategies": 1, "search": search, "searches": searches}

    known = {"name": "demo", "metric": "top1", "cost_unit": None, "seeds": 3, "strategies": []}
    groups = [group("plan", own), group("hand-tuned", tuned)]
    return {**known, "mode": mode, "reported": reported, "groups": groups}


@pytest.mark.parametrize(
    ("means", "mode", "reported", "words"),
    [
        ({8: 0.6, 16: 0.75, 32: 0.9}, "max", "top1", "16 epochs alone, which"),
        ({8: 0.6, 16: 0.75, 32: 0.9}, "min", "top1", "8 epochs alone, which"),
        ({8: 0.6}, "max", "top1", None),
        ({8: 0.6, 16: 0.75}, "max", "loss", None),
    ],
)
def test_the_cheapest_length_that_does_no_worse_is_told(means, mode, reported, words):
    facts = judged(0.7, 0.9, mode, reported)
    for length, mean in means.items():
        group = judged(0.7, mean, mode, reported)["groups"][1]
        search = {"epochs": 2 * length, "cost": 2.0 * length, "seconds": 1.0}
        group |= {"group": f"{length} epochs", "length": length, "search": search}
        facts["groups"].append({**group, "searches": [{"search": search, "complete": True}]})
    sentences = " ".join(told(facts).split())
    assert ("Those of" in sentences) == (words is not None)
    if words:
        times = "1.6 times" if "16" in words else "0.8 times"
        assert f"Those of {words} who knew the length could try for {times} as many" in sentences


@pytest.mark.parametrize(
    ("own", "tuned", "mode", "metric", "words"),
    [
        (0.7, 0.5, "max", "top1", "0.2 better in top1 than the best by hand"),
        (0.5, 0.55, "max", "top1", "0.05 worse in top1"),
        (0.7, 0.5, "min", "top1", "0.2 worse in top1"),
        (0.5, 0.55, "min", "top1", "0.05 better in top1"),
        (0.7, 0.5, "max", "loss", "0.2 higher in loss than the best by hand"),
        (0.5, 0.55, "max", "loss", "0.05 lower in loss"),
        (0.7, 0.5, "min", "test", "0.2 higher in test"),
    ],
)
def test_the_plan_is_judged_by_what_is_held_out(own, tuned, mode, metric, words):
    """Whether high or low is better is known of the metric alone that was planned for."""
    noise = "beyond" if "0.2" in words else "within"
    sentence = " ".join(told(judged(own, tuned, mode, metric)).split())
    assert f"The plan is {words}" in sentence
    assert f"both held out, {noise} the spread of 0.1;" in sentence
