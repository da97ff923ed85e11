"""The command line as a person meets it: real processes, real files, real exit codes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml
from processes import schedplan, schedplan_here

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


FORKING_TRAINER = """\
import multiprocessing, signal, time
from schedplan import SimulatedTrainer

class Forking(SimulatedTrainer):
    def train_epoch(self):
        for _ in range(50):  # however early it is terminated
            worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
            worker.start()
            worker.terminate()
            worker.join(20)
            assert worker.exitcode == -signal.SIGTERM
        return super().train_epoch()
"""


NOWHERE = ("--engine", "dask", "--scheduler", "tcp://127.0.0.1:9")
"""Asks for a cluster that is not there."""

BRIEF = ("--set", "axes.sampling=[uniform]", "--set", "axes.clip_length=[16, 32]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def test_what_a_trainer_forks_ends_when_it_is_terminated(folder):
    (folder / "forking.py").write_text(FORKING_TRAINER)
    one = ("--set", "search.budget.epochs=1", "--set", "trainer.use=forking:Forking")
    result = schedplan("run", "config.yaml", *one, cwd=folder, code=3)
    assert "failed" not in result.stderr


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

    seeded = ("replay", "runs/demo", "--out", "runs/seeded", "-f", "json", "--seed")
    other = json.loads(schedplan(*seeded, "1", cwd=folder).stdout)
    assert json.loads(schedplan(*seeded, "1", cwd=folder).stdout) == other
    assert "seed was 1 and is now 2" in schedplan(*seeded, "2", cwd=folder, code=2).stderr


def test_a_finished_run_is_a_no_op_and_another_configuration_is_refused(folder):
    first = schedplan("run", "config.yaml", cwd=folder)
    before = (folder / "runs/demo/plan.yaml").stat().st_mtime_ns
    again = schedplan("run", "config.yaml", *NOWHERE, cwd=folder)
    assert again.stdout == first.stdout
    assert "finished" in again.stderr
    assert (folder / "runs/demo/plan.yaml").stat().st_mtime_ns == before
    other = schedplan("run", "config.yaml", "--set", "knee.epochs=4", cwd=folder, code=2)
    assert "knee.epochs was 3 and is now 4" in other.stderr
    assert "--out" in other.stderr


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
    status = schedplan_here("status", str(folder / "runs" / "demo"))
    assert "failed: no final state can be reached without what has failed: S0__" in status
    assert status.rstrip().endswith("; failed")


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
    habits = "import os; print('hello'); os.system('echo hello'); os.chdir('/')"
    (folder / "chatty.py").write_text(SLOW_TRAINER.replace("time.sleep(0.05)", habits))
    use = ["--set", "trainer={use: 'chatty:Slow'}", "-f", "json"]
    result = schedplan("run", "config.yaml", *use, cwd=folder)
    assert json.loads(result.stdout)["stages"]
    assert "hello" in result.stderr
    assert (folder / "runs" / "demo" / "report.html").exists(), "though the trainer went elsewhere"


def test_a_model_that_is_gone_is_brought_back(folder):
    schedplan("run", "config.yaml", *BRIEF, cwd=folder)
    model = folder / "runs" / "demo" / "model"
    whole = {path.name: path.read_bytes() for path in model.iterdir()}
    shutil.rmtree(model)
    (folder / "runs" / "demo" / "plan.yaml").write_text("")
    schedplan("run", "config.yaml", *BRIEF, cwd=folder)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == whole


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
        (["show", "absent.yaml"], ["absent.yaml", "cannot be read"]),
        (["show", "config.yaml"], ["no plan"]),
        (["replay", "full/plan.yaml"], ["version"]),
        (["graph", "absent.yaml", "-o", "a.gif"], ["cannot write 'a.gif'", ".svg, .png, .dot"]),
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
    assert list(by_name["schedplan"]["presets"]) == ["any", "basic", "extended"]
    assert by_name["schedplan"]["estimators"]["exponential"][0] == "delay: int = 5"
    assert list(by_name["video"]["trainers"]) == ["video"]


def test_version(folder):
    assert schedplan("--version", cwd=folder).stdout.startswith("schedplan 0.")


def test_names_are_shown_whatever_they_hold_and_whatever_the_terminal_can_show(folder, monkeypatch):
    (folder / "odd.py").write_text(
        "from schedplan import SimulatedTrainer\n\n"
        "class Odd(SimulatedTrainer):\n"
        "    metrics = scales = None\n\n"
        "    def evaluate(self):\n"
        "        return {'top[/☃]': super().evaluate()['top1']}\n",
        encoding="utf-8",
    )
    (folder / "config.yaml").write_text(
        CONFIG.replace("metric: top1", "metric: top[/☃]").replace(
            "{use: simulated, noise: 0.02}", "{use: 'odd:Odd'}"
        ),
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = schedplan("run", "config.yaml", *BRIEF, cwd=folder)
    assert "top[/\\u2603] (fitted)" in done.stdout
    assert (folder / "runs" / "demo" / "report.html").exists()
