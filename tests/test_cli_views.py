"""Tables and messages as people read them."""

from __future__ import annotations

from plans import make_plan
from rich.console import Console
from typer.testing import CliRunner

from schedplan.cli.app import app
from schedplan.cli.views import plan_table


def test_no_hyperparameter_is_rounded_and_one_epoch_is_one():
    plan = make_plan(({"rate": 0.000123456, "betas": [0.912345, 0.999999]}, 1))
    console = Console(width=200)
    with console.capture() as captured:
        console.print(plan_table(plan))
    assert "0.000123456" in captured.get()
    assert "[0.912345, 0.999999]" in captured.get()
    assert "; 1 epoch " in captured.get()


def test_of_many_final_states_that_no_start_leads_to_a_few_are_named(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "{name: demo, metric: quality, axes: {size: [1, 2, 3, 4, 5, 6], rate: [0.1, 0.01]}, "
        "transitions: {fixed: [size]}, start: {size: first}, final: {rate: last}, "
        "trainer: {use: simulated}}"
    )
    said = CliRunner().invoke(app, ["check", str(tmp_path / "config.yaml")]).stderr
    assert "no start leads to 5 final states: 2_0.01, 3_0.01, 4_0.01 and 2 more" in said
