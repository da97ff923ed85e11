"""What the commands print: facts as plain data, and the tables made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from schedplan.cli.tables import make_table, pairs_table
from schedplan.config import Setup
from schedplan.journal import Outcome
from schedplan.plan import Plan, Stage
from schedplan.report.text import counted, exact, listed
from schedplan.space import INITIAL


def check_facts(setup: Setup) -> dict[str, Any]:
    """Return the counts of a configuration's graph, how it is searched, and at which cost."""
    graph = setup.graph
    epochs, cost = _at_most(setup)
    search = setup.config.search.model_dump(include={"prune", "keep", "order", "budget", "cost"})
    return {
        "name": setup.config.name,
        "states": graph.states,
        "transitions": graph.transitions,
        "starts": len(graph.starts),
        "finals": len(graph.finals),
        "start_states": [state.label for state in graph.starts],
        "final_states": [state.label for state in graph.finals],
        "unreached": [state.label for state in graph.unreached],
        "states_left_out": graph.space.size - graph.states,
        "search": search,
        "max_epochs": epochs,
        "max_cost": cost if setup.options.cost else None,
    }


def _at_most(setup: Setup) -> tuple[float, float]:
    """Return the most epochs that a search may take, and the most that they may cost."""
    options, longest = setup.options, setup.config.knee.max_epochs
    epochs = cost = 0.0
    for source, target in setup.graph.dag.edges:
        most = longest * (1 if source == INITIAL else getattr(options.frontier, "width", 1))
        epochs, cost = epochs + most, cost + most * options.epoch_cost(target)
    cost = min(cost, options.budget.cost)
    return min(epochs, options.budget.epochs, inf if options.cost else cost), cost


def check_table(facts: dict[str, Any]) -> Table:
    """Show `check_facts`."""
    search = facts["search"]
    budget = {name: limit for name, limit in search["budget"].items() if limit is not None}
    cost = {}
    if facts["max_cost"] is not None:
        unit = f"an epoch costs its {search['cost']}"
        cost["cost"] = f"at most {facts['max_cost']:,.6g}, where {unit}"
    return pairs_table(
        f"{facts['name']}: the configuration is sound",
        {
            "states": f"{facts['states']} ({facts['states_left_out']} more lie on no path)",
            "transitions": facts["transitions"],
            "starts": listed(facts["start_states"], most=4),
            "finals": listed(facts["final_states"], most=4),
            "search": ", ".join(
                f"{key} {_flat(search[key])}" for key in ("prune", "keep", "order")
            ),
            "budget": _flat(budget) if budget else "none: the search goes on to its end",
            "epochs": f"at most {facts['max_epochs']:,.0f}, far fewer when curves bend",
            **cost,
        },
    )


def _flat(stated: object) -> str:
    """Return a value as it stands in a configuration; of a mapping, its entries."""
    if isinstance(stated, Mapping):
        return ", ".join(f"{key}: {_flat(value)}" for key, value in stated.items())
    return f"{stated:,.6g}" if isinstance(stated, float) else str(stated)


def plan_table(plan: Plan) -> Group:
    """Show a plan, a row per stage."""
    rows = [
        (
            None if stage is plan.final else number,
            *(exact(stage.params.get(name)) for name in plan.names),
            stage.epochs,
            stage.score,
            stage.observed,
        )
        for number, stage in enumerate(_after_initial(plan), start=1)
    ]
    table = make_table(
        plan_title(plan),
        ["stage#", *plan.names, "epochs#", f"{plan.metric} (fitted)#", "measured#"],
        rows,
    )
    note = "the last row: where the plan ends and is measured; no epoch there was worth keeping"
    return Group(table, *([Text(note)] if plan.final else []))


def plan_title(plan: Plan) -> str:
    """Return in words what a plan reaches: as fitted, as measured, and when trained once more."""
    so_far = "" if plan.complete else ", the best so far"
    return f"{plan.name}: {plan_scores(plan)}; {counted(plan.epochs, 'epoch')}{so_far}"


def plan_scores(plan: Plan) -> str:
    """Return in words the scores of a plan."""
    measured = plan.path[-1].observed if plan.path else None
    scores = {"fitted": plan.score, "measured": measured, "confirmed": plan.confirmed}
    known = [f"{score:.4g} {name}" for name, score in scores.items() if score is not None]
    return f"{plan.metric} {', '.join(known) or 'unknown'}"


def front_tables(plans: Mapping[Path, Plan], cost: str | None) -> Iterator[Table]:
    """Show the plans that trade score for cost, if there are any.

    Args:
        plans: by the file that each lies in, the cheapest first.
        cost: the hyperparameter that says what an epoch costs; None: 1.
    """
    if not plans:
        return
    rows = [
        (
            plan.cost(cost),
            plan.epochs,
            plan.score,
            plan.path[-1].observed,
            str(file),
        )
        for file, plan in plans.items()
    ]
    metric = next(iter(plans.values())).metric
    unit = f"cost ({cost})#" if cost else "cost#"
    columns = [unit, "epochs#", f"{metric} (fitted)#", "measured#", "plan"]
    yield make_table(f"{metric} against cost, the cheapest plan first", columns, rows)


def replay_facts(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return what was planned and what a replay reached, stage by stage."""
    return {
        "name": plan.name,
        "metric": plan.metric,
        "planned": plan.score,
        "reached": outcomes[-1].scores[-1] if outcomes else None,
        "stages": [
            {
                "state": stage.state,
                "epochs": stage.epochs,
                "planned": stage.score,
                "reached": outcome.scores[-1],
            }
            for stage, outcome in zip(_after_initial(plan), outcomes, strict=True)
        ],
    }


def _after_initial(plan: Plan) -> tuple[Stage, ...]:
    return plan.stages if plan.final is None else (*plan.stages, plan.final)


def replay_table(facts: dict[str, Any]) -> Table:
    """Show `replay_facts`."""
    rows = [tuple(stage.values()) for stage in facts["stages"]]
    title = f"{facts['name']}: {facts['metric']} replayed"
    return make_table(title, ["state", "epochs#", "planned#", "reached#"], rows)
