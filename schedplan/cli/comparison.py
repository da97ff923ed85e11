"""What a comparison has shown: facts as plain data, and the tables made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from schedplan.baselines import HAND_TUNED, Compared, Evolved, best, held_out, scores, spread
from schedplan.cli.status import status_facts
from schedplan.cli.tables import make_table
from schedplan.config import Setup
from schedplan.journal import RunFolder
from schedplan.report.text import duration

Facts = dict[str, Any]


def compare_facts(
    setup: Setup,
    folder: RunFolder,
    compared: Sequence[Compared],
    evolved: Sequence[Evolved],
    report: str,
) -> Facts:
    """Return what every strategy and every kind of them has reached, and what finding it takes.

    A group's `search` is what trying each of its strategies once takes; the plan's is all that its
    search has trained.
    """
    planned = [each for each in compared if each.strategy.kind == "plan"]
    grid = [each for each in compared if each.strategy.kind in HAND_TUNED]
    status = status_facts(folder, setup)
    search = {name: status[name] for name in ("epochs", "cost", "seconds")}
    if search["cost"] is None:
        search["cost"] = float(search["epochs"])
    groups = {"plan": planned, "hand-tuned": grid}
    groups |= {kind: [each for each in grid if each.strategy.kind == kind] for kind in HAND_TUNED}
    return {
        "name": setup.config.name,
        "metric": setup.config.metric,
        "mode": setup.config.mode,
        "report": report,
        "cost_unit": setup.options.cost,
        "seeds": len(compared[0].results),
        "groups": [
            _group(name, tried, setup, report, search if name == "plan" else None)
            for name, tried in groups.items()
            if tried
        ]
        + ([_population(evolved, setup, report)] if evolved else []),
        "strategies": [_strategy(each, setup, report) for each in compared],
    }


def _group(
    name: str, tried: Sequence[Compared], setup: Setup, report: str, search: Facts | None
) -> Facts:
    """Return the best of some strategies, and what finding it takes; `search` if that is known."""
    config = setup.config
    chosen = best(tried, config.metric, config.mode)
    others = held_out(tried, config.metric, config.mode)
    return {
        "group": name,
        "strategies": len(tried),
        "best": _strategy(chosen, setup, report) if chosen else None,
        "held_out": _scores(scores(others, report)),
        "search": search or _cost_of_trying(tried, setup.options.cost),
    }


def _population(evolved: Sequence[Evolved], setup: Setup, report: str) -> Facts:
    """Return what Population Based Training has reached, and what it takes with one seed."""
    reached = {
        name: _scores([each.metrics[name] for each in evolved])
        for name in dict.fromkeys((setup.config.metric, report))
    }
    took = {
        name: fmean(getattr(each, name) for each in evolved)
        for name in ("epochs", "cost", "seconds")
    }
    return {
        "group": "pbt",
        "strategies": evolved[0].members,
        "best": {
            "strategy": "the best member of the population",
            "scores": reached,
            **took,
            "epochs": evolved[0].length,
        },
        "held_out": reached[report],
        "search": took,
    }


def _cost_of_trying(tried: Sequence[Compared], unit: str | None) -> Facts:
    """Return what training along every strategy with one seed takes, on average over seeds."""
    return {
        "epochs": sum(fmean(result.epochs for result in each.results) for each in tried),
        "cost": sum(
            fmean(each.strategy.plan.cost(unit, result.epochs) for result in each.results)
            for each in tried
        ),
        "seconds": sum(_seconds(each) for each in tried),
    }


def _strategy(compared: Compared, setup: Setup, report: str) -> Facts:
    strategy, metric = compared.strategy, setup.config.metric
    names = dict.fromkeys((metric, report))
    return {
        "kind": strategy.kind,
        "strategy": strategy.name,
        "epochs": strategy.plan.epochs,
        "cost": float(strategy.plan.cost(setup.options.cost)),
        "seconds": _seconds(compared),
        "scores": {name: _scores(scores(compared.results, name)) for name in names},
        "failures": [result.failure for result in compared.results if result.failure],
        "stages": [
            {"params": stage.params, "epochs": stage.epochs} for stage in strategy.plan.path
        ],
    }


def _scores(values: Sequence[float]) -> Facts | None:
    """Return mean and spread of the scores with several seeds; None if there are none."""
    if not values:
        return None
    return {"mean": fmean(values), "std": spread(values), "values": list(values)}


def _seconds(compared: Compared) -> float:
    return fmean(result.seconds for result in compared.results)


def compare_table(facts: Mapping[str, Any]) -> Group:
    """Show `compare_facts`: the plan against the best by hand, all strategies, and the variants."""
    tables = [_summary(facts), _grid(facts), *_variants(facts)]
    return Group(*tables, Text(_note(facts)))


def _summary(facts: Mapping[str, Any]) -> Table:
    """Show the best of each group and what finding it takes, as the paper's Table 5."""
    planned, unit = facts["groups"][0], facts["cost_unit"]
    columns = ["", "tried#", "the best", "epochs#", *(f"{each}#" for each in _metrics(facts))]
    columns += ["held out#", "search: epochs#", *([f"cost ({unit})#"] if unit else []), "time#"]
    rows = [
        (
            group["group"],
            group["strategies"],
            *_reached(group["best"], facts),
            _in_words(group["held_out"]),
            *_spent(group["search"], planned["search"], unit),
        )
        for group in facts["groups"]
    ]
    seeds = "1 seed" if facts["seeds"] == 1 else f"{facts['seeds']} seeds"
    title = f"{facts['name']}: the plan against strategies tuned by hand, {seeds}"
    return make_table(title, columns, rows)


def _reached(best: Facts | None, facts: Mapping[str, Any]) -> list[object]:
    if best is None:
        return ["all have failed", None, *(None for _ in _metrics(facts))]
    found = [_in_words(best["scores"][metric]) for metric in _metrics(facts)]
    return [best["strategy"], best["epochs"], *found]


def _spent(search: Facts, planned: Facts, unit: str | None) -> Iterator[str]:
    """Yield what a search takes, and how many times that of the plan's."""
    for name in ("epochs", "cost") if unit else ("epochs",):
        times = f" (x {search[name] / planned[name]:.3g})" if search is not planned else ""
        yield f"{search[name]:,.6g}{times}"
    yield duration(search["seconds"])


def _grid(facts: Mapping[str, Any]) -> Table:
    """Show hand-tuned strategies by their epochs, as the paper's Table 3."""
    tuned = [each for each in facts["strategies"] if each["kind"] in HAND_TUNED]
    lengths = sorted({each["epochs"] for each in tuned})
    rows: dict[tuple[str, str], dict[int, Facts]] = {}
    for each in tuned:
        rows.setdefault((each["kind"], each["strategy"]), {})[each["epochs"]] = each
    cells = [
        (*names, *(_cell(found.get(length), facts["report"]) for length in lengths))
        for names, found in rows.items()
    ]
    title = f"{facts['report']} after so many epochs"
    return make_table(title, ["kind", "strategy", *(f"{length}#" for length in lengths)], cells)


def _cell(strategy: Facts | None, metric: str) -> str | None:
    if strategy is None:
        return None
    return "failed" if strategy["failures"] else _in_words(strategy["scores"][metric])


def _variants(facts: Mapping[str, Any]) -> Iterator[Table]:
    """Show the plan with one state more or less, if that was trained."""
    found = [each for each in facts["strategies"] if each["kind"] == "variant"]
    if found:
        metric = facts["report"]
        own = facts["groups"][0]["best"]
        rows = [
            (
                each["strategy"],
                ", ".join(str(stage["epochs"]) for stage in each["stages"]),
                _cell(each, metric),
                _difference(each["scores"][metric], own and own["scores"][metric]),
            )
            for each in found
        ]
        columns = ["the plan", "epochs#", f"{metric}#", "difference#"]
        yield make_table("the plan with one state more or less", columns, rows)


def _difference(found: Facts | None, own: Facts | None) -> str | None:
    return f"{found['mean'] - own['mean']:+.2g}" if found and own else None


def _note(facts: Mapping[str, Any]) -> str:
    """Return what the scores are."""
    several = facts["seeds"] > 1
    spread = "mean \u00b1 standard deviation over seeds" if several else "with one seed"
    held_out = (
        "; held out: what the best by the other seeds scores, seed by seed" if several else ""
    )
    return (
        f"Scores: {spread}, the same for all and not the search's, of the model of the last epoch. "
        f"The best is so by {facts['metric']}, and partly by luck{held_out}. Search: all that was "
        "trained for the plan, and every strategy once."
    )


def _in_words(found: Facts | None) -> str | None:
    if found is None:
        return None
    spread = "" if found["std"] is None else f" \u00b1 {found['std']:.2g}"
    return f"{found['mean']:.4g}{spread}"


def _metrics(facts: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys((facts["metric"], facts["report"])))
