"""The command line as a person meets it: real processes, real files, real exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

SCHEDPLAN = [sys.executable, "-m", "schedplan"]

CONFIG = """\
name: demo
metric: top1
axes:
  sampling: [consecutive, uniform]
  clip_length: [16, 32, 128]
  learning_rate: [0.04, 0.004, 0.0004]
transitions: {preset: extended, fixed: [sampling], reversible: [clip_length]}
knee: {estimator: patience, epochs: 3}
trainer: {use: simulated, noise: 0.02}
"""

SLOW_TRAINER = """\
import time
from schedplan import SimulatedTrainer

class Slow(SimulatedTrainer):
    def train_epoch(self):
        time.sleep(0.05)
        return super().train_epoch()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def schedplan(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [*SCHEDPLAN, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result


def test_check_counts_the_papers_graph(folder):
    facts = json.loads(schedplan("check", "config.yaml", "-f", "json", cwd=folder).stdout)
    counts = {key: facts[key] for key in ("states", "transitions", "starts", "finals")}
    assert counts == {"states": 18, "transitions": 36, "starts": 4, "finals": 2}
    basic = schedplan(
        "check", "config.yaml", "-f", "yaml", "--set", "transitions.preset=basic", cwd=folder
    )
    assert yaml.safe_load(basic.stdout)["transitions"] == 28
    assert not (folder / "runs").exists(), "checking leaves nothing behind"


def test_run_status_show_graph_and_replay_follow_each_other(folder):
    ran = schedplan("run", "config.yaml", "-f", "json", cwd=folder)
    plan = json.loads(ran.stdout)
    run = folder / "runs" / "demo"
    for name in ("config.yaml", "plan.yaml", "graph.svg", "graph.png", "log.txt"):
        assert (run / name).stat().st_size > 0
    assert (run / "model" / "simulated.json").exists()

    status = json.loads(schedplan("status", "runs/demo", "-f", "json", cwd=folder).stdout)
    assert (status["finished"], status["begun"], status["waiting"]) == (True, 0, 0)
    assert status["done"] + status["pruned"] == 36
    assert status["pruned"] > 0
    assert json.loads(schedplan("show", "runs/demo", "-f", "json", cwd=folder).stdout) == plan
    table = schedplan("show", "runs/demo/plan.yaml", cwd=folder).stdout
    assert "clip_length" in table

    for name in ("a.svg", "b.png", "c.dot", "d.graphml"):
        schedplan("graph", "runs/demo", "-o", name, cwd=folder)
        schedplan("graph", "config.yaml", "-o", f"plain-{name}", cwd=folder)
        assert (folder / name).stat().st_size > 0
        assert (folder / f"plain-{name}").stat().st_size > 0

    replayed = json.loads(schedplan("replay", "runs/demo", "-f", "json", cwd=folder).stdout)
    epochs = [stage["epochs"] for stage in replayed["stages"]]
    assert epochs == [stage["epochs"] for stage in plan["stages"]]
    assert (folder / "runs" / "demo-replay" / "model" / "simulated.json").exists()


def test_a_finished_run_is_a_no_op_and_another_configuration_is_refused(folder):
    first = schedplan("run", "config.yaml", cwd=folder)
    before = (folder / "runs/demo/plan.yaml").stat().st_mtime_ns
    again = schedplan("run", "config.yaml", cwd=folder)
    assert again.stdout == first.stdout
    assert "finished" in again.stderr
    assert (folder / "runs/demo/plan.yaml").stat().st_mtime_ns == before
    other = schedplan("run", "config.yaml", "--set", "knee.epochs=4", cwd=folder, code=2)
    assert "knee.epochs was 3 and is now 4" in other.stderr
    assert "--out" in other.stderr


def run_json(folder: Path, *options: str, code: int = 0) -> tuple[dict, str]:
    """Run the search; return the plan printed, and what went to stderr."""
    result = schedplan("run", "config.yaml", "-f", "json", *options, cwd=folder, code=code)
    return json.loads(result.stdout), result.stderr


def status_of(folder: Path, run: str = "runs/demo") -> dict:
    return json.loads(schedplan("status", run, "-f", "json", cwd=folder).stdout)


def test_another_way_to_search_goes_on_in_the_same_folder(folder):
    run_json(folder)
    pruned = status_of(folder)
    assert set(pruned["pruned_by"]) <= {"race", "cut"}
    assert "pruned by race" in schedplan("status", "runs/demo", cwd=folder).stdout
    trained = {file: file.read_text() for file in folder.glob("runs/demo/transitions/*/1/*.jsonl")}

    everything = ["--set", "search.prune=none"]
    later, stderr = run_json(folder, *everything)
    whole, _ = run_json(folder, *everything, "--out", "whole")
    assert later["stages"] == whole["stages"]
    assert status_of(folder)["done"] == 36
    assert "36 of 36 transitions have ended" in stderr
    for file, lines in trained.items():
        last = max(file.parents[1].glob("*/epochs.jsonl"), key=lambda each: int(each.parent.name))
        assert last.read_text().startswith(lines), "no epoch was trained twice"
    _, stderr = run_json(folder, *everything)
    assert "the run is finished" in stderr


def test_a_budget_ends_the_search_which_a_larger_one_goes_on_with(folder):
    command = ["run", "config.yaml", "--set", "search.cost=clip_length", "--set"]
    none = schedplan(*command, "search.budget.epochs=7", cwd=folder, code=3)
    assert none.stdout == ""
    assert "the budget ended after 7 epochs, before a final state" in none.stderr
    assert status_of(folder)["epochs"] == 7

    dive = ["--set", "search.order=dive", "--set", "search.cost=clip_length", "--set"]
    some, stderr = run_json(folder, *dive, "search.budget.epochs=90", code=3)
    assert some["complete"] is False
    assert "the budget has ended after 90 epochs of cost" in stderr
    assert "raise search.budget" in stderr
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
    again, stderr = run_json(folder, "--confirm")
    assert again == plan
    assert "confirmed already" in stderr
    assert (folder / "runs/demo/confirm/model").is_dir()
    unfinished, _ = run_json(
        *(folder, "--confirm", "--out", "part", "--set", "search.order=dive"),
        *("--set", "search.budget.epochs=90"),
        code=3,
    )
    assert unfinished["confirmed"] is None


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
    assert "front/plan-01.yaml" in schedplan("run", "config.yaml", *wanted, cwd=folder).stdout
    ended = [line.split("/36]")[0].lstrip("[") for line in stderr.splitlines() if "/36]" in line]
    assert sorted(map(int, ended)) == list(map(int, ended))
    assert ended[-1] == "36"
    status = status_of(folder)
    assert len(status["details"]) > status["transitions"] == 36
    schedplan("replay", "runs/demo/front/plan-01.yaml", "--out", "cheap", cwd=folder)


def test_data_goes_to_stdout_and_everything_else_to_stderr(folder):
    result = schedplan("run", "config.yaml", "-f", "yaml", "-v", cwd=folder)
    assert yaml.safe_load(result.stdout)["name"] == "demo"
    assert "epoch 1 top1" in result.stderr
    quiet = schedplan("run", "config.yaml", "-q", "--out", "other", cwd=folder)
    assert quiet.stderr == ""


def test_ctrl_c_ends_soon_says_how_to_resume_and_the_plan_is_the_same(folder):
    (folder / "slow.py").write_text(SLOW_TRAINER)
    use = ["--set", "trainer={use: 'slow:Slow', noise: 0.02}"]
    command = [*SCHEDPLAN, "run", "config.yaml", "--out", "cut", *use]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore interrupts; this one must not.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while not list(folder.glob("cut/transitions/*/result.json")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "schedplan run config.yaml --out cut" in " ".join(stderr.split())
    assert not (folder / "cut" / "plan.yaml").exists()

    whole = schedplan("run", "config.yaml", "--out", "whole", *use, "-f", "json", cwd=folder)
    resumed = schedplan("run", "config.yaml", "--out", "cut", *use, "-f", "json", cwd=folder)
    assert resumed.stdout == whole.stdout


def test_a_failed_search_tells_why_and_exits_with_1(folder):
    (folder / "broken.py").write_text(
        "from schedplan import SimulatedTrainer\n"
        "class Broken(SimulatedTrainer):\n"
        "    def train_epoch(self):\n"
        "        raise RuntimeError('the GPU is on fire')\n"
    )
    use = "trainer={use: 'broken:Broken'}"
    result = schedplan("run", "config.yaml", "--set", use, cwd=folder, code=1)
    assert "RuntimeError: the GPU is on fire" in result.stderr
    assert "error.txt" in result.stderr


FLAKY = """\
from pathlib import Path
from schedplan import SimulatedTrainer

class Flaky(SimulatedTrainer):
    def begin(self, params, start, seed):
        if params["sampling"] == "uniform" and Path("broken").exists():
            raise RuntimeError("out of memory")
        super().begin(params, start, seed)
"""


def test_what_failed_is_told_at_the_end_and_trained_again_on_request(folder):
    (folder / "flaky.py").write_text(FLAKY)
    (folder / "broken").touch()
    use = ["--set", "trainer={use: 'flaky:Flaky'}", "-f", "json"]
    half = schedplan("run", "config.yaml", *use, cwd=folder)
    assert "2 transitions failed and 16 could not start" in half.stderr
    assert "out of memory" in schedplan("status", "runs/demo", cwd=folder).stdout
    (folder / "broken").unlink()
    assert schedplan("run", "config.yaml", *use, cwd=folder).stdout == half.stdout
    mended = schedplan("run", "config.yaml", *use, "--retry-failed", cwd=folder)
    whole = schedplan("run", "config.yaml", *use, "--out", "whole", cwd=folder)
    assert mended.stdout == whole.stdout
    assert "could not start" not in mended.stderr


def test_what_a_trainer_prints_does_not_mix_with_data(folder):
    (folder / "chatty.py").write_text(SLOW_TRAINER.replace("time.sleep(0.05)", "print('hello')"))
    use = ["--set", "trainer={use: 'chatty:Slow'}", "-f", "json"]
    result = schedplan("run", "config.yaml", *use, cwd=folder)
    assert json.loads(result.stdout)["stages"]
    assert "hello" in result.stderr


def test_a_bad_graph_leaves_no_folder_behind(folder):
    override = "final={clip_length: 16, learning_rate: 0.04}"
    bad = ["--set", override, "--set", "start={clip_length: 128}"]
    schedplan("run", "config.yaml", *bad, cwd=folder, code=2)
    assert not (folder / "runs").exists()


def test_an_unstated_metric_that_is_not_reported_is_found_at_the_first_epoch(folder):
    (folder / "shy.py").write_text(
        "from schedplan import SimulatedTrainer\nclass Shy(SimulatedTrainer):\n    metrics = None\n"
    )
    overrides = ["--set", "trainer={use: 'shy:Shy'}", "--set", "metric=acuracy"]
    result = schedplan("run", "config.yaml", *overrides, cwd=folder, code=2)
    assert "did you mean 'accuracy'" in result.stderr
    assert "--set metric=acuracy" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["check", "absent.yaml"], ["absent.yaml", "No such file"]),
        (["run", "config.yaml", "--set", "knee.epoch=1"], ["did you mean 'epochs'"]),
        (["run", "config.yaml", "--plugin", "vidio"], ["no plug-in 'vidio'", "'video'"]),
        (["run", "config.yaml", "--out", "full"], ["full", "no run folder", "--out"]),
        (["status", "full"], ["no run folder"]),
        (["show", "empty"], ["no run folder"]),
        (["show", "full"], ["the version 99", "allowed: 1"]),
        (["show", "absent.yaml"], ["cannot read the plan"]),
        (["show", "config.yaml"], ["no plan"]),
        (["replay", "full/plan.yaml"], ["version"]),
        (["graph", "config.yaml", "-o", "a.gif"], [".svg", ".dot"]),
        (["frobnicate"], ["frobnicate"]),
        (["run"], ["CONFIG"]),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(folder, arguments, phrases):
    (folder / "empty").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "plan.yaml").write_text("version: 99\nstages: []\n")
    result = schedplan(*arguments, cwd=folder, code=2)
    for phrase in phrases:
        assert phrase in result.stderr
    assert result.stdout == ""


def test_debug_shows_the_traceback(folder):
    result = subprocess.run(
        [*SCHEDPLAN, "check", "absent.yaml", "--debug"], cwd=folder, capture_output=True, text=True
    )
    assert "Traceback" in result.stderr


def test_plugins_shows_the_built_ins_and_the_video_plug_in(folder):
    facts = json.loads(schedplan("plugins", "-f", "json", cwd=folder).stdout)["plugins"]
    by_name = {each["plugin"]: each for each in facts}
    assert list(by_name["built in"]["presets"]) == ["any", "basic", "extended"]
    assert by_name["built in"]["estimators"]["exponential"][0].startswith("delay: 'int' = ")
    assert list(by_name["video"]["trainers"]) == ["video"]


def test_version(folder):
    assert schedplan("--version", cwd=folder).stdout.startswith("schedplan 0.")
