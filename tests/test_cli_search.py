"""Searching from the command line: budgets, other ways to search, confirming, trading off."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml
from test_cli import CONFIG, NOWHERE, SCHEDPLAN, SLOW_TRAINER, schedplan

from schedplan import Plan, Stage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def run_json(folder: Path, *options: str, code: int = 0) -> tuple[dict, str]:
    """Run the search; return the plan printed, and what went to stderr."""
    result = schedplan("run", "config.yaml", "-f", "json", *options, cwd=folder, code=code)
    return json.loads(result.stdout), result.stderr


def status_of(folder: Path, run: str = "runs/demo") -> dict:
    return json.loads(schedplan("status", run, "-f", "json", cwd=folder).stdout)


def test_another_way_to_search_goes_on_in_the_same_folder(folder):
    run_json(folder)
    pruned = status_of(folder)
    known = (
        f"resuming: {pruned['done']} of 36 transitions done, 0 failed, {pruned['pruned']} pruned"
    )
    assert set(pruned["pruned_by"]) <= {"race", "cut"}
    assert "pruned by race" in schedplan("status", "runs/demo", cwd=folder).stdout
    trained = {file: file.read_text() for file in folder.glob("runs/demo/transitions/*/1/*.jsonl")}

    everything = ["--set", "search.prune=none"]
    later, stderr = run_json(folder, *everything)
    whole, _ = run_json(folder, *everything, "--out", "whole")
    assert later["stages"] == whole["stages"]
    assert status_of(folder)["done"] == 36
    assert known in stderr
    for file, lines in trained.items():
        last = max(file.parents[1].glob("*/epochs.jsonl"), key=lambda each: int(each.parent.name))
        assert last.read_text().startswith(lines), "no epoch was trained twice"
    _, stderr = run_json(folder, *everything)
    assert "the run is finished" in stderr


def test_a_budget_ends_the_search_which_a_larger_one_goes_on_with(folder):
    command = ["run", "config.yaml", "--set", "search.cost=clip_length", "--set"]
    none = schedplan(*command, "search.budget.epochs=7", cwd=folder, code=3)
    assert none.stdout == ""
    assert "the budget ended" in none.stderr
    assert "before a final state" in none.stderr
    assert status_of(folder)["epochs"] == 7

    dive = ["--set", "search.order=dive", "--set", "search.cost=clip_length", "--set"]
    some, stderr = run_json(folder, *dive, "search.budget.epochs=90", code=3)
    assert some["complete"] is False
    assert "search.budget.epochs has ended the search (90 of 90) after 90 epochs of cost" in stderr
    assert "raise the budget and run again" in stderr
    status = status_of(folder)
    assert (status["finished"], status["epochs"]) == (False, 90)
    assert 90 * 16 <= status["cost"] <= 90 * 128
    assert "the best so far" in schedplan("show", "runs/demo", cwd=folder).stdout
    again, _ = run_json(folder, *dive, "search.budget.epochs=90", code=3)
    assert again["stages"] == some["stages"]

    whole, _ = run_json(folder, *dive, "search.budget={}")
    assert whole["complete"] is True
    assert whole["score"] >= some["score"]
    assert status_of(folder)["finished"]


def test_a_plan_is_confirmed_once(folder):
    plan, stderr = run_json(folder, "--confirm")
    assert "from scratch" in stderr
    assert plan["confirmed"] == pytest.approx(plan["score"], abs=0.3)
    table = schedplan("show", "runs/demo", cwd=folder).stdout
    for word in ("fitted", "measured", "confirmed"):
        assert word in table
    again, stderr = run_json(folder, "--confirm", *NOWHERE)
    assert again == plan
    assert "confirmed already" in stderr
    words = "{score:.4g} fitted, {observed:.4g} measured, {confirmed:.4g} confirmed"
    scores = words.format_map({**plan, "observed": plan["stages"][-1]["observed"]})
    assert stderr.splitlines()[-1].startswith(f"top1 {scores}; the plan, the model"), "said last"
    assert (folder / "runs/demo/confirm/model").is_dir()
    unfinished, stderr = run_json(
        *(folder, "--confirm", "--out", "part", "--set", "search.order=dive"),
        *("--set", "search.budget.epochs=90"),
        code=3,
    )
    assert unfinished["confirmed"] is None
    assert "--confirm does nothing: it waits for the end of the search" in stderr


def test_a_plan_that_is_found_again_stays_confirmed(folder):
    plan, _ = run_json(folder, "--confirm")
    again, stderr = run_json(folder, "--set", "search.prune=none")
    assert again["stages"] == plan["stages"]
    assert again["confirmed"] == plan["confirmed"]
    assert "from scratch" not in stderr
    assert Plan.load(folder / "runs/demo").confirmed == plan["confirmed"]

    plan_file = folder / "runs/demo/plan.yaml"
    plan_file.write_text(yaml.safe_dump({**again, "confirmed": None}))
    journals = list(folder.glob("runs/demo/confirm/**/*.jsonl"))
    trained = [file.stat().st_mtime_ns for file in journals]
    back, _ = run_json(folder, "--set", "search.prune=none", "--confirm")
    assert back["confirmed"] == plan["confirmed"]
    found = [file.stat().st_mtime_ns for file in journals]
    assert found == trained != [], "nothing is trained again"


def test_a_plan_that_has_changed_is_confirmed_anew(folder):
    before, _ = run_json(folder, "--confirm")
    plan_file = folder / "runs/demo/plan.yaml"
    plan = yaml.safe_load(plan_file.read_text())
    plan["stages"][-1]["epochs"] += 1
    plan_file.write_text(yaml.safe_dump({**plan, "confirmed": None}))
    changed, stderr = run_json(folder, "--confirm")
    assert "the plan has changed" in stderr
    assert changed["confirmed"] != before["confirmed"]


def test_score_and_cost_are_traded_on_request(folder):
    wanted = ["--set", "search.keep={pareto: 3}", "--set", "search.cost=clip_length"]
    plan, stderr = run_json(folder, *wanted)
    front = [
        yaml.safe_load(file.read_text()) for file in sorted((folder / "runs/demo/front").iterdir())
    ]
    costs = [sum(s["epochs"] * s["params"]["clip_length"] for s in p["stages"]) for p in front]
    assert costs == sorted(set(costs))
    scores = [each["score"] for each in front]
    assert scores == sorted(set(scores)), "none is beaten in both"
    assert front[-1]["stages"] == plan["stages"]
    table = schedplan("run", "config.yaml", *wanted, cwd=folder).stdout
    assert "top1 against cost, the cheapest plan first" in table
    assert "cost (clip_length)" in table
    assert table.splitlines()[-2].split()[-2] == f"runs/demo/front/plan-{len(front):02d}.yaml"
    other = ["--set", "search.keep={beam: 4}", "--set", "search.budget.epochs=1"]
    assert "against cost" not in schedplan("run", "config.yaml", *other, cwd=folder, code=3).stdout
    ended = [line.split("/36]")[0].lstrip("[") for line in stderr.splitlines() if "/36]" in line]
    assert sorted(map(int, ended)) == list(map(int, ended))
    assert ended[-1] == "36"
    status = status_of(folder)
    assert len(status["details"]) > status["transitions"] == 36
    schedplan("replay", "runs/demo/front/plan-01.yaml", "--out", "cheap", cwd=folder)


BUDGETS = [
    ("epochs: 91", "search.budget.epochs has ended the search (91 of 91)"),
    ("cost: 1500, epochs: 1000", "search.budget.cost has ended the search ("),
    ("hours: 1e-9", "search.budget.hours has ended the search ("),
]


@pytest.mark.parametrize(("limits", "message"), BUDGETS, ids=["epochs", "cost", "hours"])
def test_a_plan_that_an_earlier_search_found_is_not_forgotten(folder, limits, message):
    cost = ["--set", "search.cost=clip_length"]
    dive = ["--set", "search.order=dive", *cost, "--set", "search.budget.epochs=90"]
    found, _ = run_json(folder, *dive, code=3)
    budget = ["--set", f"search.budget={{{limits}}}"]
    # Another order has trained other transitions and comes to no final state.
    other, stderr = run_json(folder, *cost, *budget, code=3)
    assert other == found
    assert message in stderr
    assert "the best plan so far" in stderr
    assert "the best so far" in schedplan("show", "runs/demo", cwd=folder).stdout


def test_the_plan_of_a_finished_search_outlives_another_search_that_is_not(folder):
    found, _ = run_json(folder)
    less = ["--set", "search.prune=none", "--set", "search.budget.epochs=1"]
    other, stderr = run_json(folder, *less, code=3)
    assert other == {**found, "complete": False}
    assert "best plan so far" in stderr
    shown = json.loads(schedplan("show", "runs/demo", "-f", "json", cwd=folder).stdout)
    assert shown["complete"] is False, "the search that was asked for last is not at its end"
    again, stderr = run_json(folder)
    assert again == found
    assert "the run is finished" in stderr


@contextmanager
def running(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a search that is slow, from its first epoch on; interrupt it in the end."""
    (folder / "slow.py").write_text(SLOW_TRAINER)
    process = subprocess.Popen(
        [*SCHEDPLAN, "run", "config.yaml", "--set", "trainer={use: 'slow:Slow'}", *options],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not list(folder.glob("runs/demo/transitions/*/*/*.jsonl")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_a_second_run_changes_nothing_and_says_who_works_in_the_folder(folder):
    with running(folder) as process:
        config = (folder / "runs/demo/config.yaml").read_text()
        slow = ["--set", "trainer={use: 'slow:Slow'}"]
        for options in (["--set", "search.prune=none"], ["--retry-failed"], ["--set", "seed=1"]):
            second = schedplan("run", "config.yaml", *slow, *options, cwd=folder, code=2)
            assert f"is being worked on by process {process.pid}" in second.stderr
            assert (folder / "runs/demo/config.yaml").read_text() == config


def test_a_folder_of_somebody_else_is_left_as_it_is(folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("mine")
    schedplan("run", "config.yaml", "--out", "mine", cwd=folder, code=2)
    assert [path.name for path in (folder / "mine").iterdir()] == ["notes.txt"]


def test_a_plan_outlives_a_retry_that_is_cut_short(folder):
    found, _ = run_json(folder)
    less = ["--set", "search.budget.epochs=1", "--set", "search.prune=none"]
    again, _ = run_json(folder, "--retry-failed", *less, code=3)
    assert again["stages"] == found["stages"]
    assert Plan.load(folder / "runs/demo").complete is False


def test_speculation_needs_workers(folder):
    command = ["run", "config.yaml", "--set", "search.speculate=true"]
    told = "search.speculate does nothing without --workers or --devices"
    assert told in schedplan(*command, cwd=folder).stderr
    assert told not in schedplan(*command, "--out", "b", "--workers", "2", cwd=folder).stderr


def test_check_tells_how_it_will_be_searched_and_bounds_the_cost(folder):
    def check(*options: str) -> tuple[dict, str]:
        command = ["check", "config.yaml", *(each for o in options for each in ("--set", o))]
        facts = json.loads(schedplan(*command, "-f", "json", cwd=folder).stdout)
        return facts, schedplan(*command, cwd=folder).stdout

    facts, table = check()
    assert facts["search"]["prune"] == "safe"
    assert (facts["max_epochs"], facts["max_cost"]) == (36 * 400, None)
    assert "prune safe, keep best, order topological" in table
    assert "none: the search goes on to its end" in table

    # S0 > 16; 16 > 32 and 16 > 16 at the lower rate; from both to 32 at the lower rate.
    square = ["axes={clip_length: [16, 32], rate: [0.1, 0.01]}", "transitions={preset: basic}"]
    options = [*square, "search={keep: {beam: 2}, cost: clip_length, budget: {epochs: 7000}}"]
    facts, table = check(*options)
    assert facts["max_epochs"] == 400 * (1 + 2 * 4)
    assert facts["max_cost"] == 400 * (16 + 2 * (32 + 16 + 32 + 32))
    assert "keep beam: 2" in table
    assert "epochs: 7000" in table
    assert "at most 96,000, where an epoch costs its clip_length" in table
    facts, _ = check(*square, "search={cost: clip_length, budget: {epochs: 70, cost: 90}}")
    assert (facts["max_epochs"], facts["max_cost"]) == (70, 90)


def test_status_shows_the_best_so_far(folder):
    some = ["--set", "search.budget.epochs=60"]
    schedplan("run", "config.yaml", *some, cwd=folder, code=3)
    facts, table = status_of(folder), schedplan("status", "runs/demo", cwd=folder).stdout
    assert facts["plan"] is None
    assert f"no plan yet; the best so far: top1 {facts['best']['score']:.4g} by S0__" in table
    assert "@" not in table

    plan, _ = run_json(folder, "--set", "search.order=dive")
    facts, table = status_of(folder), schedplan("status", "runs/demo", cwd=folder).stdout
    assert (facts["plan"]["score"], facts["plan"]["complete"]) == (plan["score"], True)
    assert f"the plan: demo: top1 {plan['score']:.4g} fitted" in table
    assert "with @: the same transition" in table
    rows = [row["transition"] for row in facts["details"] if row["status"] == "pruned"]
    assert sum(facts["pruned_by"].values()) == len(rows)


def test_a_plan_that_ends_without_an_epoch_says_under_which_settings_it_is_measured(folder):
    stage = Stage("8_0.1", {"batch": 8, "rate": 0.1}, 9, score=0.8, observed=0.81, seed=1)
    final = Stage("8_0.01", {"batch": 8, "rate": 0.01}, 0, score=0.7, observed=0.71, seed=2)
    made = {"config": yaml.safe_load(CONFIG)}
    plan = Plan("short", "top1", "max", 0.7, (stage,), final=final, provenance=made)
    plan.save(folder / "plan.yaml")
    table = schedplan("show", "plan.yaml", cwd=folder).stdout
    assert "top1 0.7 fitted, 0.71 measured; 9 epochs" in table
    assert table.splitlines()[-3].split()[1::2] == ["-", "8", "0.01", "0", "0.7", "0.71"]
    assert "the last row" in table


def test_a_replay_ends_where_the_plan_does(folder):
    plan, _ = run_json(folder)
    last = plan["stages"].pop()
    plan["final"] = {**last, "epochs": 0}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    form = schedplan("replay", "plan.yaml", "-f", "json", cwd=folder)
    stages = json.loads(form.stdout)["stages"]
    assert [stage["epochs"] for stage in stages[-2:]] == [plan["stages"][-1]["epochs"], 0]
    assert json.loads(form.stdout)["reached"] == stages[-1]["reached"]
