"""Trackers: every epoch arrives, once, however often a run is cut off."""

from __future__ import annotations

import csv
import os
import tomllib
from functools import partial
from pathlib import Path

import pytest
from processes import schedplan as schedplan_command

import schedplan
from schedplan import (
    Axis,
    Budget,
    Patience,
    Problem,
    SearchOptions,
    SimulatedTrainer,
    Space,
    build_graph,
    solve,
)
from schedplan.errors import BudgetError
from schedplan.graph import basic
from schedplan.journal import RunFolder
from schedplan.plugins import Plugins

EXAMPLE = Path(schedplan.__file__).parents[1] / "examples" / "diary"
SPACE = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
GRAPH = build_graph(
    SPACE, basic(), SPACE.select({"rate": "first"}), SPACE.select({"clip": 32, "rate": 0.01})
)


class Talkative(SimulatedTrainer):
    """Reports a loss of training, and one more metric where it begins from a model."""

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        self.metrics = {"loss": 0.5} if start is None else {"loss": 0.5, "late": 1.0}

    def train_epoch(self):
        super().train_epoch()
        return self.metrics


class Confusing(SimulatedTrainer):
    """Reports under names that columns have already."""

    def train_epoch(self):
        return {**super().train_epoch(), "loss": 1.0}

    def evaluate(self):
        names = ("train_loss", "score", "epoch", "evaluate_score")
        return {**super().evaluate(), **dict.fromkeys(names, 7.0)}


def search(folder: Path, tracker: str, trainer=SimulatedTrainer, **options) -> None:
    problem = Problem(GRAPH, partial(trainer, noise=0.01), "quality", estimator=Patience(3))
    with Plugins().get("trackers", tracker).load()(folder) as track:
        solve(problem, folder, options=SearchOptions(**options), on_event=track)


def written(folder: Path) -> list[dict[str, str]]:
    with (folder / "epochs.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def recorded(folder: Path) -> set[tuple[str, str, str]]:
    return {
        (training.key, str(record.epoch), str(record.score))
        for training in RunFolder(folder).trainings()
        for record in training.records()
    }


def assert_complete(folder: Path) -> None:
    rows = [(row["training"], row["epoch"], row["score"]) for row in written(folder)]
    assert len(rows) == len(set(rows))
    assert set(rows) == recorded(folder)


def test_a_csv_file_has_every_epoch_once_also_when_a_run_goes_on(tmp_path):
    for epochs in (4, 11):
        with pytest.raises(BudgetError):
            search(tmp_path, "csv", budget=Budget(epochs=epochs))
        assert_complete(tmp_path)
    (tmp_path / "epochs.csv").write_text("torn")
    search(tmp_path, "csv")
    assert_complete(tmp_path)


def test_a_metric_that_comes_late_has_a_column(tmp_path):
    search(tmp_path, "csv", trainer=Talkative)
    assert_complete(tmp_path)
    rows = written(tmp_path)
    assert list(rows[0])[:4] == ["training", "epoch", "score", "seconds"]
    trained = [row for row in rows if row["epoch"] != "0"]
    assert {row["train_loss"] for row in trained} == {"0.5"}
    from_scratch = [row["training"].startswith("S0__") for row in trained]
    assert {*from_scratch} == {True, False}
    assert [row["train_late"] for row in trained] == ["" if new else "1.0" for new in from_scratch]


def test_an_epoch_that_is_told_of_late_is_there_once(tmp_path):
    """What other processes train is in the journal before it is told."""
    events = []
    with Plugins().get("trackers", "csv").load()(tmp_path) as track:

        def tell_the_first(event):
            if not events:
                track(event)
            events.append(event)

        problem = Problem(GRAPH, Confusing, "quality", estimator=Patience(3))
        solve(problem, tmp_path, on_event=tell_the_first)
        for event in events[1:]:
            track(event)
    assert_complete(tmp_path)
    assert {row["train_loss"] for row in written(tmp_path) if row["epoch"] != "0"} == {"1.0"}


def test_tensorboard_has_every_epoch(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(BudgetError):
        search(tmp_path, "tensorboard", trainer=Talkative, budget=Budget(epochs=11))
    search(tmp_path, "tensorboard", trainer=Talkative)
    for training in RunFolder(tmp_path).trainings():
        place, all_of_them = tmp_path / "tensorboard" / training.key, {accumulator.TENSORS: 0}
        found = accumulator.EventAccumulator(str(place), all_of_them)
        found.Reload()
        for tag, read in (("evaluate/quality", "metrics"), ("train/loss", "training")):
            name = tag.partition("/")[2]
            facts = {r.epoch: getattr(r, read).get(name) for r in training.records()}
            wanted = {epoch: value for epoch, value in facts.items() if value is not None}
            series = found.Tensors(tag) if tag in found.Tags()["tensors"] else []
            values = {each.step: each.tensor_proto.float_val[0] for each in series}
            assert values == pytest.approx(wanted)


def test_the_example_of_a_tracker_runs(tmp_path, monkeypatch):
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / "diary-1.0.dist-info"
    metadata.mkdir()
    entries = project["entry-points"]["schedplan"]
    lines = [f"{name} = {module}" for name, module in entries.items()]
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: diary\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("\n".join(["[schedplan]", *lines]))
    paths = [str(EXAMPLE), str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    config = EXAMPLE.parent / "simulated.yaml"
    chosen = ("--plugin", "diary", "--track", "diary", "--out", "run")
    schedplan_command("run", str(config), *chosen, cwd=tmp_path)
    diary = (tmp_path / "run" / "diary.md").read_text().splitlines()
    assert len(diary) == 36
    assert all(line.startswith("- ") for line in diary)
    stated = (EXAMPLE / "diary_tracker.py").read_text().splitlines()
    assert [line.removeprefix("# ") for line in stated if line.startswith("# - ")] == diary[:2]
    assert_complete(tmp_path / "run")


def test_an_unknown_tracker_is_refused_before_anything_is_made(tmp_path):
    config = EXAMPLE.parent / "simulated.yaml"
    refused = schedplan_command("run", str(config), "--track", "cvs", cwd=tmp_path, code=2)
    assert "did you mean 'csv'?" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_whatever_a_trainer_calls_its_metrics_none_is_lost(tmp_path):
    search(tmp_path, "csv", Confusing)
    for row in written(tmp_path):
        names = ("train_loss", "score", "epoch", "evaluate_score")
        assert {row[f"evaluate_{name}"] for name in names} == {"7.0"}
        assert row["train_loss"] == ("" if row["epoch"] == "0" else "1.0")
        assert float(row["score"]) < 7
