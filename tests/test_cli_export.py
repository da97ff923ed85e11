"""`schedplan export`: a plan as data, and as scripts that really train along it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from plans import LATE, PLAN, make_plan
from torch.optim.optimizer import register_optimizer_step_pre_hook
from typer.testing import CliRunner

from schedplan import Plan
from schedplan.cli.app import app
from schedplan.errors import PlanError, UsageError
from schedplan.journal import RunFolder

RATES_ONLY = make_plan(({"learning_rate": 0.1}, 1), ({"learning_rate": 0.01}, 2))


def export(plan: Plan, *options: str) -> str:
    """Export from a file in the working directory."""
    plan.save(Path("plan.yaml"))
    return exported("plan.yaml", *options)


def exported(*arguments: str) -> str:
    """Export in this process."""
    result = CliRunner().invoke(app, ["export", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_json_holds_every_epoch_and_the_stages():
    facts = json.loads(export(PLAN, "--to", "json"))
    assert [each["params"] for each in facts["epochs"]] == list(map(PLAN.params_at, range(7)))
    assert [each["stage"] for each in facts["epochs"]] == [1, 1, 1, 2, 2, 3, 3]
    assert [(each["first_epoch"], each["epochs"]) for each in facts["stages"]] == [
        (0, 3),
        (3, 2),
        (5, 2),
    ]
    assert facts["evaluate_under"] == PLAN.stages[-1].params


def test_csv_has_a_line_for_every_epoch(tmp_path):
    plan = make_plan(
        ({"rate": 1e-5, "size": [16, 16], "crop": None, "flip": True, "how": "a, b"}, 2),
        ({"rate": 0.1, "size": [32, 32], "crop": 3, "flip": False, "how": "c"}, 1),
    )
    assert export(plan, "--to", "csv", "-o", "made/plan.csv") == ""
    with (tmp_path / "made" / "plan.csv").open(newline="") as stream:
        lines = list(csv.reader(stream))
    assert lines == [
        ["epoch", "stage", "rate", "size", "crop", "flip", "how"],
        ["0", "1", "1e-05", "[16, 16]", "", "true", "a, b"],
        ["1", "1", "1e-05", "[16, 16]", "", "true", "a, b"],
        ["2", "2", "0.1", "[32, 32]", "3", "false", "c"],
    ]


@pytest.mark.parametrize(
    ("to", "plan"),
    [
        ("torch", PLAN),
        ("torch", RATES_ONLY),
        ("lightning", PLAN),
        ("transformers", LATE),
        ("transformers", RATES_ONLY),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_script_trains_along_the_plan(to, plan):
    rates = []
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"])
    )
    try:
        exec(compile(export(plan, "--to", to), to, "exec"), {"__name__": "__main__"})
    finally:
        hook.remove()
    expected = []
    for epoch in range(plan.epochs):
        params = plan.params_at(epoch)
        expected += [params["learning_rate"]] * (64 // params.get("batch_size", 16))
    assert rates == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "torch", "--rate", "lr"], "no hyperparameter 'lr'; allowed: learning_rate"),
        (["--to", "lightning", "--rate", "learning-rate"], "did you mean 'learning_rate'"),
        (["--to", "csv"], "a hyperparameter 'stage', the name of another column; export to json"),
    ],
)
def test_what_cannot_be_exported_is_told(options, message, tmp_path):
    plan = make_plan(({"learning_rate": 0.1, "stage": 3}, 1))
    with pytest.raises(PlanError, match=message):
        export(plan, *options, "-o", "made")
    assert not (tmp_path / "made").exists()


def test_a_plan_that_is_missing_or_empty_is_told():
    with pytest.raises(PlanError, match="no stages"):
        export(make_plan(), "--to", "json")
    Path("plan.yaml").unlink()
    for source, message in {
        ("plan.yaml",): "the file cannot be read",
        (".",): "this is no run folder",
        (): "either RUN|PLAN or --preset has to be given, and not both",
        (".", "--preset", "hmdb51-dg-p3d-50"): "either RUN|PLAN or --preset has to be given",
        ("--preset", "hmdb51"): "it is a configuration",
    }.items():
        result = CliRunner().invoke(app, ["export", *source, "--to", "json"])
        assert message in str(result.exception)


def test_a_run_without_a_plan_says_so(tmp_path):
    RunFolder(tmp_path / "begun").configure({"name": "demo"})
    result = CliRunner().invoke(app, ["export", "begun", "--to", "json"])
    assert str(result.exception).startswith("begun: the run has no plan yet; `schedplan status`")


def test_what_show_and_replay_take_is_exported_too(tmp_path):
    RunFolder(tmp_path / "again").configure({"replay": RATES_ONLY.as_dict()})
    expected = export(RATES_ONLY, "--to", "csv")
    for source in (["again"], ["plan.yaml"]):
        assert exported(*source, "--to", "csv") == expected
    facts = json.loads(exported("--preset", "hmdb51-dg-p3d-50", "--to", "json"))
    assert len(facts["stages"]) == 5


def test_a_script_has_a_plan_in_it_that_lies_in_no_file(tmp_path):
    RunFolder(tmp_path / "again").configure({"replay": RATES_ONLY.as_dict()})
    lines = exported("again", "--to", "torch").partition("data = ")[0]
    names: dict[str, Plan] = {}
    exec(compile(lines, "script.py", "exec"), names)
    assert names["plan"] == RATES_ONLY


@pytest.mark.parametrize("output", ["plan.yaml", "./plan.yaml", "folder"])
def test_nothing_is_written_over_what_is_read_nor_over_folders(output, tmp_path):
    (tmp_path / "folder").mkdir()
    PLAN.save(tmp_path / "plan.yaml")
    with pytest.raises(UsageError, match=r"(plan.yaml: this is what is read|this is a folder)"):
        exported("plan.yaml", "--to", "csv", "-o", output)
    assert Plan.load(tmp_path / "plan.yaml") == PLAN


def test_a_report_is_written_over_no_plan(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.configure({"replay": PLAN.as_dict()})
    PLAN.save(folder.plan_file)
    arguments = ["report", str(folder.path), "-o", str(folder.plan_file)]
    assert isinstance(CliRunner().invoke(app, arguments).exception, UsageError)
    assert Plan.load(folder.plan_file) == PLAN
