"""How far a run is: what has ended and how, what it took, and what is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from rich.console import Group
from rich.text import Text

from schedplan.cli.pace import Pace, Taken, at_work
from schedplan.cli.tables import make_table
from schedplan.cli.views import plan_title
from schedplan.config import Setup
from schedplan.journal import RunFolder, TransitionFolder, fingerprint, transition_key
from schedplan.plan import Plan
from schedplan.report import ended_trainings, trace
from schedplan.report.failure import search_failure
from schedplan.report.text import counted, duration
from schedplan.solver import Budget
from schedplan.solver.search import SUPERSEDED
from schedplan.space import State

Facts = dict[str, Any]


def best_so_far(folder: RunFolder) -> Plan | None:
    """Return the plan that lies in a run folder; None if there is none yet.

    It is `complete` only if it is the end of the search that the folder is bound to now.
    """
    if not folder.plan_file.exists():
        return None
    plan = Plan.load(folder.plan_file)
    if folder.config_file.exists():
        found_by = plan.provenance.get("fingerprint")
        plan = replace(plan, complete=plan.complete and found_by == fingerprint(folder.config()))
    return plan


def status_facts(folder: RunFolder, setup: Setup) -> Facts:
    """Return the best so far; what is done, begun, pruned, failed and waiting; how long the rest
    may take; and of what is begun, the epoch that would be kept if it ended now (`knee`), with its
    score.

    A transition that can never start because all that lead to it failed counts as waiting. One that
    was trained from several models has a row for each of them, but counts once.
    """
    edges = {transition_key(edge): edge for edge in setup.graph.dag.edges}
    rows: dict[str, list[Facts]] = {key: [] for key in edges}
    latest = []
    for training in folder.trainings():
        if edge := edges.get(training.transition):
            row = _row(training, edge[1], setup)
            rows[training.transition].append(row)
            if row["status"] == "begun" and (span := training.latest()):
                latest.append(span)
    for key, kin in rows.items():
        if not kin:
            kin.append({**_WAITING, "transition": key})
    every = [row for kin in rows.values() for row in kin]
    ended = ended_trainings(folder, setup.graph)
    shown = trace(setup.graph, ended, setup.config.mode).outcomes
    counts = Counter(shown[key].status if key in shown else _rest(kin) for key, kin in rows.items())
    plan = best_so_far(folder)
    is_finished = plan is not None and plan.complete
    failure = search_failure(setup.graph, ended) or None
    left = _foretell(every, counts["waiting"], latest)
    pruned = [row for row in every if row["status"] == "pruned"]
    return {
        "run": str(folder.path),
        "finished": is_finished,
        "failure": failure,
        "plan": plan and _plan_facts(plan),
        "best": _best(every, setup),
        "transitions": len(edges),
        **{status: counts[status] for status in ("done", "failed", "pruned", "begun", "waiting")},
        "epochs": sum(row["epochs"] for row in every),
        "cost": sum(row["cost"] for row in every) if setup.options.cost else None,
        "seconds": sum(row["seconds"] for row in every),
        "seconds_left": 0.0 if is_finished else None if failure else left,
        "pruned_by": dict(Counter(row["rule"] for row in pruned)),
        "pruned_after": sum(row["epochs"] for row in pruned),
        "details": every,
    }


def status_table(facts: Mapping[str, Any]) -> Group:
    """Show `status_facts`: a row per training, why some failed, and a summary at the end."""
    rows = [
        (r["transition"], _status(r), r["epochs"], *_kept(r), _left(r))
        for r in facts["details"]
        if r["status"] != "waiting"
    ]
    failures = [
        f"{r['transition']} failed: {r['reason']}"
        for r in facts["details"]
        if r["status"] == "failed"
    ]
    columns = ["transition", "status", "trained#", "kept#", "score#", "left#"]
    table = make_table(facts["run"], columns, rows)
    return Group(table, *map(Text, [*failures, *_footnotes(rows), *_summary(facts)]))


def _footnotes(rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    if any("@" in row[0] for row in rows):
        yield "with @: the same transition, trained once more or from another model of its source"
    if any(str(row[3]).startswith("(") for row in rows):
        yield "in brackets: the epoch that would be kept if training ended now, and its score"


def _summary(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from failed(facts)
    yield progress_in_words(facts)
    if facts["pruned_by"]:
        rules = ", ".join(f"{rule} {number}" for rule, number in facts["pruned_by"].items())
        gone = counted(facts["pruned_after"], "epoch")
        yield f"trainings pruned by {rules}; {gone} had gone into them"
    yield f"{spent(facts)}; {rest(facts)}"
    if facts["plan"]:
        yield f"the plan: {facts['plan']['summary']}"
    elif facts["best"]:
        yield "no plan yet; the best so far: {metric} {score:.4g} by {transition}".format_map(
            facts["best"]
        )


def progress_in_words(facts: Mapping[str, Any]) -> str:
    """Return in words how many transitions are how far, as told by `status_facts`."""
    return (
        f"{facts['done']} of {counted(facts['transitions'], 'transition')} done, "
        f"{facts['failed']} failed, {facts['pruned']} pruned, {facts['begun']} begun, "
        f"{facts['waiting']} waiting"
    )


def budget_ended(budget: Budget, facts: Mapping[str, Any]) -> str:
    """Return in words which limit has ended a search that `status_facts` tells about."""
    amounts = {
        "epochs": facts["epochs"],
        "cost": facts["epochs"] if facts["cost"] is None else facts["cost"],
        "hours": facts["seconds"] / 3600,
    }
    limits = {name: limit for name, limit in vars(budget).items() if limit < inf}
    # What is left of a limit of cost may be too little for one more epoch.
    name = max(limits, key=lambda each: amounts[each] / limits[each] if limits[each] else inf)
    share = f"{amounts[name]:,.6g} of {limits[name]:,.6g}"
    return f"search.budget.{name} has ended the search ({share}) after {spent(facts)}"


def rest(facts: Mapping[str, Any]) -> str:
    """Return in words how long what is told by the facts of a search or a replay still takes."""
    if facts["finished"]:
        return "finished"
    if facts["failure"]:
        return "failed"
    left = facts["seconds_left"]
    return "time left not known yet" if left is None else f"about {duration(left)} left"


def failed(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a search or a replay has failed by, told by its facts, if it has."""
    if facts["failure"]:
        yield f"failed: {facts['failure']}"


def spent(facts: Mapping[str, Any]) -> str:
    """Return in words what the training told by `status_facts` took."""
    cost = "" if facts["cost"] is None else f" of cost {facts['cost']:,.6g}"
    return f"{counted(facts['epochs'], 'epoch')}{cost} in {duration(facts['seconds'])}"


_WAITING: Facts = {
    "status": "waiting",
    "epochs": 0,
    "cost": 0.0,
    "epoch": None,
    "knee": None,
    "score": None,
    "seconds": 0.0,
    "seconds_left": None,
    "reason": None,
    "rule": None,
}


def _row(training: TransitionFolder, target: State, setup: Setup) -> Facts:
    """Return the facts of one training."""
    progress = training.progress()
    facts = {
        **_WAITING,
        "transition": training.key,
        "status": progress.status,
        "epochs": progress.epochs,
        "cost": progress.epochs * setup.options.epoch_cost(target),
        "seconds": progress.seconds,
    }
    if outcome := progress.outcome:
        epoch = None if outcome.status == "pruned" else outcome.epoch
        ended = {"epoch": epoch, "score": outcome.score, "reason": outcome.reason}
        return {**facts, **ended, "rule": outcome.rule}
    if progress.scores:
        verdict = setup.estimator(progress.scores, setup.config.mode)
        return {**facts, "knee": verdict.epoch, "score": verdict.score}
    return facts


def _foretell(
    rows: Sequence[Facts], waiting: int, latest: Iterable[tuple[float, float]]
) -> float | None:
    """Enter how long what is begun may take, by what has ended; return how long all may take."""
    pace = Pace()
    for row in rows:
        if row["status"] not in ("begun", "waiting") and row["rule"] != SUPERSEDED:
            pace.learn(row["status"], row["epochs"], row["seconds"])
    begun = [row for row in rows if row["status"] == "begun"]
    for row in begun:
        row["seconds_left"] = pace.left(Taken(row["epochs"], row["seconds"]))
    taken = [Taken(row["epochs"], row["seconds"]) for row in begun]
    return pace.rest(taken, waiting, at_work(latest))


def _plan_facts(plan: Plan) -> Facts:
    return {
        "summary": plan_title(plan),
        "score": plan.score,
        "observed": plan.path[-1].observed,
        "confirmed": plan.confirmed,
        "epochs": plan.epochs,
        "complete": plan.complete,
    }


def _best(rows: Sequence[Facts], setup: Setup) -> Facts | None:
    """Return the best score that a transition has ended with."""
    done = [row for row in rows if row["status"] == "done"]
    if not done:
        return None
    best = (max if setup.config.mode == "max" else min)(done, key=lambda row: row["score"])
    names = "transition", "score"
    return {"metric": setup.config.metric, **{name: best[name] for name in names}}


def _rest(rows: Sequence[Facts]) -> str:
    """Return the status of a transition none of whose trainings has ended."""
    return "begun" if any(row["status"] == "begun" for row in rows) else "waiting"


def _kept(row: Facts) -> tuple[Any, Any]:
    """Return the epoch that is kept and its score; in brackets where that may change."""
    if row["knee"] is None:
        return row["epoch"], row["score"]
    return f"({row['knee']})", f"({row['score']:.4g})"


def _left(row: Facts) -> str:
    return "" if row["seconds_left"] is None else duration(row["seconds_left"])


def _status(row: Facts) -> str:
    return f"pruned ({row['rule']})" if row["rule"] else row["status"]
