"""What the commands print: facts as plain data, and the tables made of them."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from schedplan.cli.tables import make_table, pairs_table
from schedplan.config import Setup
from schedplan.errors import PluginError
from schedplan.graph import StateGraph
from schedplan.journal import Outcome, RunFolder, transition_key
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
    title = f"{plan.name}: {plan.metric} {plan.score:.4g} after {plan.epochs} epochs"
    return make_table(
        title, ["stage#", *names, "epochs#", f"{plan.metric} (fitted)#", "measured#"], rows
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


def status_facts(folder: RunFolder, graph: StateGraph) -> dict[str, Any]:
    """Return what is done, begun, failed and waiting, and how long the rest may take.

    A transition that can never start because all that lead to it failed counts as waiting.
    """
    rows = [_transition_facts(folder, transition_key(edge)) for edge in graph.dag.edges]
    counts = Counter(row["status"] for row in rows)
    ended = [row["seconds"] for row in rows if row["status"] in ("done", "failed")]
    finished = folder.plan_file.exists()
    remaining = 0 if finished else len(rows) - len(ended)
    return {
        "run": str(folder.path),
        "finished": finished,
        "transitions": len(rows),
        **{status: counts[status] for status in ("done", "failed", "begun", "waiting")},
        "epochs": sum(row["epochs"] for row in rows),
        "seconds": sum(row["seconds"] for row in rows),
        "seconds_left": remaining * sum(ended) / len(ended) if ended else None,
        "details": rows,
    }


def status_table(facts: dict[str, Any]) -> Group:
    """Show `status_facts`: a row per transition, why some failed, and a summary at the end."""
    rows = [
        (r["transition"], r["status"], r["epochs"], r["epoch"], r["score"])
        for r in facts["details"]
        if r["status"] != "waiting"
    ]
    failures = [
        f"{r['transition']} failed: {r['reason']}"
        for r in facts["details"]
        if r["status"] == "failed"
    ]
    left = facts["seconds_left"]
    state = "finished" if facts["finished"] else f"about {duration(left)} left" if left else "begun"
    summary = (
        f"{facts['done']} of {facts['transitions']} transitions done, {facts['failed']} failed, "
        f"{facts['begun']} begun, {facts['waiting']} waiting\n"
        f"{facts['epochs']} epochs in {duration(facts['seconds'])}; {state}"
    )
    columns = ["transition", "status", "trained#", "kept#", "score#"]
    table = make_table(facts["run"], columns, rows)
    return Group(table, *map(Text, failures), Text(summary))


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


def duration(seconds: float) -> str:
    """Return a length of time for people.

    Example:
        >>> duration(3700), duration(59)
        ('1 h 1 min', '59 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _transition_facts(folder: RunFolder, key: str) -> dict[str, Any]:
    transition = folder.transition(key)
    if outcome := transition.outcome():
        return {
            "transition": key,
            "status": outcome.status,
            "epochs": outcome.epochs_trained,
            "epoch": outcome.epoch,
            "score": outcome.score,
            "seconds": outcome.seconds,
            "reason": outcome.reason,
        }
    records = transition.records()
    return {
        "transition": key,
        "status": "begun" if records else "waiting",
        "epochs": max(len(records) - 1, 0),
        "epoch": None,
        "score": records[-1].score if records else None,
        "seconds": sum(record.seconds for record in records),
        "reason": None,
    }


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
