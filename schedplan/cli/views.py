"""What the commands print: facts as plain data, and the tables made of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from schedplan.cli.tables import make_table, pairs_table
from schedplan.config import Setup
from schedplan.errors import PluginError
from schedplan.journal import Outcome
from schedplan.plan import Plan
from schedplan.plugins import KINDS, Entry, Plugins, installed


def check_facts(setup: Setup) -> dict[str, Any]:
    """Return the counts of a configuration's graph, and what training all of it can cost."""
    graph = setup.graph
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
        "max_epochs": graph.transitions * setup.config.knee.max_epochs,
    }


def check_table(facts: dict[str, Any]) -> Table:
    """Show `check_facts`."""
    return pairs_table(
        f"{facts['name']}: the configuration is sound",
        {
            "states": f"{facts['states']} ({facts['states_left_out']} more lie on no path)",
            "transitions": facts["transitions"],
            "starts": _some(facts["start_states"]),
            "finals": _some(facts["final_states"]),
            "epochs": f"at most {facts['max_epochs']:,}, far fewer when curves bend",
        },
    )


def plan_table(plan: Plan) -> Table:
    """Show a plan, a row per stage."""
    names = list(dict.fromkeys(name for stage in plan.stages for name in stage.params))
    rows = [
        (
            number,
            *(stage.params.get(name) for name in names),
            stage.epochs,
            stage.score,
            stage.observed,
        )
        for number, stage in enumerate(plan.stages, start=1)
    ]
    return make_table(
        plan_title(plan),
        ["stage#", *names, "epochs#", f"{plan.metric} (fitted)#", "measured#"],
        rows,
    )


def plan_title(plan: Plan) -> str:
    """Return in words what a plan reaches: as fitted, as measured, and when trained once more."""
    scores = [f"{plan.score:.4g} fitted"]
    scores += [f"{stage.observed:.4g} measured" for stage in plan.path[-1:]]
    if plan.confirmed is not None:
        scores.append(f"{plan.confirmed:.4g} confirmed")
    so_far = "" if plan.complete else ", the best so far"
    return f"{plan.name}: {plan.metric} {', '.join(scores)}; {plan.epochs} epochs{so_far}"


def front_tables(plans: Sequence[Plan], cost: str | None) -> Iterator[Table]:
    """Show the plans that trade score for cost, if there are any.

    Args:
        plans: the cheapest first.
        cost: the hyperparameter that says what an epoch costs; None: 1.
    """
    if not plans:
        return
    rows = [
        (
            f"front/plan-{number:02d}.yaml",
            sum(stage.epochs * (stage.params[cost] if cost else 1) for stage in plan.stages),
            plan.epochs,
            plan.score,
        )
        for number, plan in enumerate(plans, start=1)
    ]
    metric = plans[0].metric
    yield make_table(
        "cost against score", ["plan", "cost#", "epochs#", f"{metric} (fitted)#"], rows
    )


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
            for stage, outcome in zip(plan.stages, outcomes, strict=True)
        ],
    }


def replay_table(facts: dict[str, Any]) -> Table:
    """Show `replay_facts`."""
    rows = [tuple(stage.values()) for stage in facts["stages"]]
    title = f"{facts['name']}: {facts['metric']} replayed"
    return make_table(title, ["state", "epochs#", "planned#", "reached#"], rows)


def plugin_facts() -> list[dict[str, Any]]:
    """Return the built-ins and every plug-in installed, and what each adds."""
    facts = [_additions("built in", Plugins(), "schedplan")]
    for name in installed():
        try:
            facts.append(_additions(name, Plugins([name]), name))
        except PluginError as error:
            facts.append({"plugin": name, "error": str(error)})
    return facts


def plugin_table(facts: Sequence[dict[str, Any]]) -> Table:
    """Show `plugin_facts`."""
    rows = [
        (each["plugin"], kind, name, options)
        for each in facts
        for kind, named in each.items()
        if isinstance(named, dict)
        for name, options in named.items()
    ]
    rows += [
        (each["plugin"], "cannot be loaded", each["error"], "") for each in facts if "error" in each
    ]
    return make_table("plug-ins", ["plug-in", "adds", "name", "options"], rows)


def _additions(title: str, plugins: Plugins, owner: str) -> dict[str, Any]:
    added = {
        kind: {n: _options(e) for n, e in sorted(plugins.all(kind).items()) if e.plugin == owner}
        for kind in KINDS
    }
    return {"plugin": title, **{kind: names for kind, names in added.items() if names}}


def _options(entry: Entry) -> list[str]:
    """Return what may be set, as `name: type = default`; nothing for what is imported later."""
    if isinstance(entry.factory, str) or not callable(entry.factory):
        return []
    return [str(parameter) for parameter in inspect.signature(entry.factory).parameters.values()]


def _some(names: Sequence[str], most: int = 4) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f", and {rest} more" if rest > 0 else "")
