"""Tables as people read them."""

from __future__ import annotations

from plans import make_plan
from rich.console import Console

from schedplan.cli.views import plan_table


def test_no_hyperparameter_is_rounded():
    plan = make_plan(({"rate": 0.000123456, "betas": [0.912345, 0.999999]}, 1))
    console = Console(width=200)
    with console.capture() as captured:
        console.print(plan_table(plan))
    assert "0.000123456" in captured.get()
    assert "[0.912345, 0.999999]" in captured.get()
