"""Whatever is trained, its epochs are kept in one table, and trackers and plug-ins are told."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schedplan.cli.app import app
from schedplan.cli.search import find_plan
from schedplan.config import load_config
from schedplan.executors import SerialExecutor
from schedplan.journal import RunFolder

CONFIG = """\
name: demo
metric: quality
axes: {rate: [0.1, 0.01]}
knee: {estimator: fixed, epochs: 2}
trainer: {use: simulated}
plugins: [breaking, listening]
"""

BREAKING = """\
from contextlib import contextmanager
from schedplan.hookspecs import hookimpl
from schedplan.transition import EpochEvent

@contextmanager
def server(folder):
    def track(event):
        if isinstance(event, EpochEvent):
            raise ConnectionError("the server is gone")
    try:
        yield track
    finally:
        raise ConnectionError("the server is still gone")

@contextmanager
def dead(folder):
    raise ConnectionError("no server is there")
    yield

@hookimpl
def schedplan_trackers():
    return {"server": server, "dead": dead}

@hookimpl
def schedplan_event(event):
    raise LookupError("nobody expects this")
"""

LISTENING = """\
from contextlib import contextmanager
from pathlib import Path
from schedplan.hookspecs import hookimpl
from schedplan.trackers import each_epoch

@contextmanager
def lines(folder):
    file = folder / "lines.txt"
    def begin(known):
        file.write_text("".join(f"{key} {record.epoch}\\n" for key, record in known))
    def write(key, record):
        with file.open("a") as stream:
            stream.write(f"{key} {record.epoch}\\n")
    yield each_epoch(folder, begin, write)

@hookimpl
def schedplan_trackers():
    return {"lines": lines}

@hookimpl
def schedplan_event(event):
    with Path("events.txt").open("a") as stream:
        stream.write(type(event).__name__ + "\\n")
"""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which two plug-ins are installed, as pip would."""
    for name, text in {"breaking": BREAKING, "listening": LISTENING}.items():
        (tmp_path / f"{name}.py").write_text(text)
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[schedplan]\n{name} = {name}\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    """Give a command in this process; return what it says on stderr."""
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None:
        raise result.exception
    return result.stderr


def written(folder: Path) -> list[tuple[str, str]]:
    with (folder / "epochs.csv").open(newline="") as stream:
        return sorted((row["training"], row["epoch"]) for row in csv.DictReader(stream))


def recorded(folder: Path) -> list[tuple[str, str]]:
    return [
        (training.key, str(record.epoch))
        for training in RunFolder(folder).trainings()
        for record in training.records()
    ]


def test_every_run_keeps_its_epochs_also_a_replay_and_a_confirmation(inside):
    demo = inside / "runs" / "demo"
    setup = load_config(inside / "config.yaml")
    find_plan(setup, RunFolder(demo), SerialExecutor, False)  # as `compare` does
    assert written(demo) == recorded(demo) != []
    (demo / "epochs.csv").unlink()
    run("run", "config.yaml", "--confirm")
    run("replay", "runs/demo")
    for folder in (demo, demo / "confirm", inside / "runs" / "demo-replay"):
        assert written(folder) == recorded(folder) != []
    (demo / "confirm" / "epochs.csv").unlink()
    run("run", "config.yaml", "--confirm", "--track", "lines")
    for folder in (demo, demo / "confirm"):
        assert written(folder) == recorded(folder)
        assert (folder / "lines.txt").exists()


def test_a_replay_lies_beside_the_run_wherever_it_is_called_from(inside, monkeypatch):
    run("run", "config.yaml")
    for folder, name in {"demo": ".", "demo/transitions": ".."}.items():
        monkeypatch.chdir(inside / "runs" / folder)
        run("replay", name)
        assert recorded(inside / "runs" / "demo-replay") != []
        assert not list((inside / "runs" / "demo").rglob("*-replay"))
        shutil.rmtree(inside / "runs" / "demo-replay")


def test_a_tracker_is_told_of_what_is_finished(inside):
    def lines(folder: str) -> list[str]:
        return (inside / "runs" / folder / "lines.txt").read_text().splitlines()

    run("run", "config.yaml")
    run("run", "config.yaml", "--track", "lines")
    assert lines("demo") == [" ".join(each) for each in recorded(inside / "runs" / "demo")]
    for _ in range(2):
        run("replay", "runs/demo", "--track", "lines")
        replayed = recorded(inside / "runs" / "demo-replay")
        assert lines("demo-replay") == [" ".join(each) for each in replayed]


@pytest.mark.parametrize("what", [("run", "config.yaml"), ("replay", "runs/demo")])
def test_what_fails_is_told_no_more_and_training_goes_on(inside, what):
    run("run", "config.yaml")
    (inside / "events.txt").unlink()
    said = run(*what, "--out", "other", "--track", "server")
    assert said.count("the tracker 'server' fails and is told no more: ConnectionError") == 1
    assert "the server is gone; the journal has every epoch, and the same command again" in said
    assert said.count("the plug-in 'breaking' fails and is told no more: LookupError") == 1
    told = (inside / "events.txt").read_text().split()
    assert told.count("EpochEvent") == len(recorded(inside / "other")), "the others are told"
    assert written(inside / "other") == recorded(inside / "other") != []


def test_a_tracker_that_cannot_begin_is_told_nothing_and_training_goes_on(inside):
    for _ in range(2):
        said = run("run", "config.yaml", "--track", "dead", "--track", "lines")
        message = (
            "the tracker 'dead' fails and is told no more: ConnectionError: no server is there"
        )
        assert said.count(message) == 1
    recordings = recorded(inside / "runs" / "demo")
    lines = (inside / "runs" / "demo" / "lines.txt").read_text().splitlines()
    assert lines == [" ".join(each) for each in recordings] != []


def test_an_unknown_tracker_of_a_replay_is_refused_before_anything_is_made(inside):
    run("run", "config.yaml")
    with pytest.raises(Exception, match="did you mean 'csv'"):
        run("replay", "runs/demo", "--track", "cvs")
    assert not (inside / "runs" / "demo-replay").exists()
