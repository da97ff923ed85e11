"""What a comparison has shown: facts as plain data, and the tables made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from schedplan.baselines import (
    HAND_TUNED,
    STAIRS,
    Compared,
    Evolved,
    Result,
    best,
    held_out,
    scores,
    spread,
)
from schedplan.cli.compare import Searched
from schedplan.cli.status import status_facts
from schedplan.cli.tables import make_table
from schedplan.config import Setup
from schedplan.report.text import counted, duration

Facts = dict[str, Any]

_AMOUNTS: Final = ("epochs", "cost", "seconds")


def compare_facts(
    searched: Sequence[Searched],
    compared: Sequence[Compared],
    evolved: Sequence[Evolved],
    reported: str,
) -> Facts:
    """Return what every strategy and every kind of them has reached, and what finding it takes.

    The `search` of a group of strategies is what trying each of them once takes; that of plans is
    all that a search has trained, on average. `held_out` are scores that nothing was chosen by,
    None if there are none; `failures` say why scores are missing.
    """
    setup = searched[0].setup
    planned = [each for each in compared if each.strategy.kind == "plan"]
    grid = [each for each in compared if each.strategy.kind in HAND_TUNED]
    groups = {"hand-tuned": grid}
    groups |= {kind: [each for each in grid if each.strategy.kind == kind] for kind in HAND_TUNED}
    return {
        "name": setup.config.name,
        "metric": setup.config.metric,
        "mode": setup.config.mode,
        "reported": reported,
        "cost_unit": setup.options.cost,
        "seeds": len(compared[0].results),
        "groups": [
            _plans(searched, planned, reported),
            *(_group(name, tried, setup, reported) for name, tried in groups.items() if tried),
            *([_populations(evolved, setup, reported)] if evolved else []),
        ],
        "strategies": [_strategy(each, setup, reported) for each in compared],
    }


def _plans(searched: Sequence[Searched], planned: Sequence[Compared], reported: str) -> Facts:
    """Return what the plans have reached, with all seeds, and what finding and training one takes.

    Their scores are held out: none of these trainings has chosen anything. A plan that several
    searches have found was trained once; its scores weigh as often as it was found.
    """
    setup = searched[0].setup
    own = [_strategy(each, setup, reported) for each in planned]
    paths = list(dict.fromkeys(each["strategy"] for each in own))
    found = Counter(each.strategy.key for each in planned)
    distinct = {each.strategy.key: each for each in planned}.values()
    results = [result for each in distinct for result in each.results]
    times = [found[each.strategy.key] for each in distinct for _ in each.results]
    reached = {name: _scores(scores(results, name), times) for name in own[0]["scores"]}
    searches = [
        {
            "seed": search.setup.config.seed,
            "strategy": plan["strategy"],
            "epochs": plan["epochs"],
            "complete": search.plan.complete,
            "search": _spent_by(search),
        }
        for search, plan in zip(searched, own, strict=True)
    ]
    return {
        "group": "plan",
        "strategies": len(own),
        "best": {
            "strategy": paths[0] if len(paths) == 1 else f"the plans of {len(own)} searches",
            **_mean(own),
            "scores": reached,
        },
        "held_out": reached[reported],
        "failures": [
            f"{each.strategy.name}, {failure}"
            for each in distinct
            for failure in _failures(each.results)
        ],
        "search": _mean([each["search"] for each in searches]),
        "searches": searches,
    }


def _spent_by(search: Searched) -> Facts:
    status = status_facts(search.folder, search.setup)
    spent = {name: status[name] for name in _AMOUNTS}
    return {**spent, "cost": float(spent["epochs"])} if spent["cost"] is None else spent


def _group(name: str, tried: Sequence[Compared], setup: Setup, reported: str) -> Facts:
    """Return the best of some strategies, and what trying all of them takes."""
    metric, mode = setup.config.metric, setup.config.mode
    chosen, others = best(tried, metric, mode), held_out(tried, metric, mode)
    return {
        "group": name,
        "strategies": len(tried),
        "best": _strategy(chosen, setup, reported) if chosen else None,
        "held_out": _scores(scores(others, reported)),
        "failures": _failures(others),
        "search": _cost_of_trying(tried, setup.options.cost),
    }


def _cost_of_trying(tried: Sequence[Compared], unit: str | None) -> Facts:
    """Return what training along every strategy with one seed takes, on average over seeds."""
    took = [
        {
            "epochs": result.epochs,
            "cost": each.strategy.plan.cost(unit, result.epochs),
            "seconds": result.seconds,
        }
        for each in tried
        for result in each.results
    ]
    seeds = len(tried[0].results)
    return {name: sum(each[name] for each in took) / seeds for name in _AMOUNTS}


def _populations(evolved: Sequence[Evolved], setup: Setup, reported: str) -> Facts:
    """Return what Population Based Training has reached, and what it takes with one seed.

    The best member is chosen by its score with that very seed, so that only another metric is held
    out.
    """
    metric = setup.config.metric
    failures = _failures(evolved)
    facts = {"group": "pbt", "strategies": evolved[0].members, "failures": failures}
    if failures:
        return {**facts, "best": None, "held_out": None, "search": None}
    took = _mean([vars(each) for each in evolved])
    reached = {name: _scores(scores(evolved, name)) for name in dict.fromkeys((metric, reported))}
    return {
        **facts,
        "best": {
            "strategy": "the best member of the population",
            **took,
            "epochs": evolved[0].length,
            "scores": reached,
        },
        "held_out": None if reported == metric else reached[reported],
        "search": took,
    }


def _strategy(compared: Compared, setup: Setup, reported: str) -> Facts:
    strategy, results = compared.strategy, compared.results
    names = dict.fromkeys((setup.config.metric, reported))
    return {
        "kind": strategy.kind,
        "strategy": strategy.name,
        "epochs": strategy.plan.epochs,
        "cost": float(strategy.plan.cost(setup.options.cost)),
        "seconds": fmean(result.seconds for result in results),
        "scores": {name: _scores(scores(results, name)) for name in names},
        "failures": _failures(results),
        "stages": [
            {"params": stage.params, "epochs": stage.epochs} for stage in strategy.plan.path
        ],
    }


def _failures(results: Sequence[Result | Evolved]) -> list[str]:
    """Return with which seeds a training failed, and why."""
    numbered = enumerate(results, start=1)
    return [f"seed {number}: {each.failure}" for number, each in numbered if each.failure]


def _mean(amounts: Sequence[Facts]) -> Facts:
    return {name: fmean(each[name] for each in amounts) for name in _AMOUNTS}


def _scores(values: Sequence[float], times: Sequence[int] | None = None) -> Facts | None:
    """Return the mean of some scores and their `spread`; None if there are none."""
    if not values:
        return None
    return {"mean": fmean(values, times), "std": spread(values, times), "values": list(values)}


def compare_table(facts: Mapping[str, Any]) -> Group:
    """Show `compare_facts`: the plan against the best by hand, all strategies, and the variants."""
    tables = [_grid(facts), *_variants(facts)]
    return Group(_summary(facts), *map(Text, _bests(facts)), *tables, *map(Text, _notes(facts)))


def _summary(facts: Mapping[str, Any]) -> Table:
    """Show the best of each group and what finding it takes, as the paper's Table 5."""
    planned, unit = facts["groups"][0], facts["cost_unit"]
    columns = ["", "tried#", "epochs#", *(f"{each}#" for each in _metrics(facts))]
    columns += ["held out#", "search: epochs#", *([f"cost ({unit})#"] if unit else []), "time#"]
    rows = [
        (
            group["group"],
            group["strategies"],
            *_reached(group, facts),
            *_spent(group, planned, unit),
        )
        for group in facts["groups"]
    ]
    seeds = counted(facts["seeds"], "seed")
    title = f"{facts['name']}: the plan against strategies tuned by hand, {seeds}"
    return make_table(title, columns, rows)


def _reached(group: Facts, facts: Mapping[str, Any]) -> Iterator[object]:
    """Yield the epochs and scores of the best of a group, and what is held out."""
    best, failed = group["best"], group["failures"]
    missing = "failed" if failed else "not finite"
    yield best and _amount([each["epochs"] for each in group.get("searches", [best])])
    for metric in _metrics(facts):
        yield best and (_in_words(best["scores"][metric]) or missing)
    yield _in_words(group["held_out"]) or ("failed" if failed else None)


def _bests(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the best of each group is, a line each: names are too long for a column."""
    for group in facts["groups"]:
        best, failed = group["best"], group["failures"]
        if best is not None:
            kind = f"{best['kind']}, " if group["group"] == "hand-tuned" else ""
            yield f"{group['group']}: {kind}{best['strategy']}"
        else:
            why = f"failed: {failed[0]}" if failed else "each has failed with some seed"
            yield f"{group['group']}: {why}"


def _spent(group: Facts, planned: Facts, unit: str | None) -> Iterator[str | None]:
    """Yield what a group's search takes, and how many times that of the plan's."""
    names = ("epochs", "cost") if unit else ("epochs",)
    if group["search"] is None:
        yield from (None for _ in (*names, "seconds"))
        return
    for name in names:
        amount = _amount([each["search"][name] for each in group.get("searches", [group])])
        times = group["search"][name] / planned["search"][name]
        yield amount if group is planned else f"{amount} (x {times:.3g})"
    yield duration(group["search"]["seconds"])


def _grid(facts: Mapping[str, Any]) -> Table:
    """Show hand-tuned strategies by their epochs, as the paper's Table 3."""
    tuned = [each for each in facts["strategies"] if each["kind"] in HAND_TUNED]
    lengths = sorted({each["epochs"] for each in tuned})
    rows: dict[tuple[str, str], dict[int, Facts]] = {}
    for each in tuned:
        rows.setdefault((each["kind"], each["strategy"]), {})[each["epochs"]] = each
    cells = [
        (*names, *(_cell(found.get(length), facts["reported"]) for length in lengths))
        for names, found in rows.items()
    ]
    title = f"{facts['reported']} after so many epochs"
    return make_table(title, ["kind", "strategy", *(f"{length}#" for length in lengths)], cells)


def _cell(strategy: Facts | None, metric: str) -> str | None:
    if strategy is None:
        return None
    if strategy["failures"]:
        return "failed"
    return _in_words(strategy["scores"][metric]) or "not finite"


def _variants(facts: Mapping[str, Any]) -> Iterator[Table]:
    """Show the first plan with one state more or less, if that was trained."""
    found = [each for each in facts["strategies"] if each["kind"] == "variant"]
    if found:
        metric = facts["reported"]
        own = facts["strategies"][0]["scores"][metric]
        rows = [
            (
                each["strategy"],
                ", ".join(str(stage["epochs"]) for stage in each["stages"]),
                _cell(each, metric),
                _difference(each["scores"][metric], own),
            )
            for each in found
        ]
        columns = ["the plan", "epochs#", f"{metric}#", "difference#"]
        yield make_table("the plan with one state more or less", columns, rows)


def _difference(found: Facts | None, own: Facts | None) -> str | None:
    return f"{found['mean'] - own['mean']:+.2g}" if found and own else None


def _notes(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the numbers are, a line each, and why some are missing."""
    planned, seeds = facts["groups"][0], facts["seeds"]
    searches = len(planned["searches"])
    yield from _verdict(facts)
    spread = f"mean \u00b1 standard deviation over {seeds} seeds" if seeds > 1 else "with one seed"
    yield (
        f"Scores: of the model of the last epoch, {spread}, the same for all and not the search's."
    )
    yield (
        f"The plan: scores over {searches} searches and all seeds, the search's cost over searches."
        if searches > 1
        else "The plan: of one search; with another seed it may find another plan (--searches)."
    )
    yield (
        "Names: 'a>b' one value after the other, 'a~b' a cosine, '10 x S' so many epochs in the "
        "state S; (x n): n times the plan's; hand-tuned: all the kinds below it together."
    )
    held_out = "; held out: what the best by the other seeds scores, seed by seed"
    yield (
        f"The best: by {facts['metric']}, and partly by luck{held_out if seeds > 1 else ''}."
        " Search: all that was trained for a plan, and every strategy once."
    )
    yield (
        f"Every stage has a fresh optimiser, and so has each of the up to {STAIRS} stairs of a "
        "cosine. The time of strategies leaves out what is measured before a stage's first epoch."
    )
    if cut := sum(not search["complete"] for search in planned["searches"]):
        which = "the search" if searches == 1 else f"{cut} of {searches} searches"
        yield f"A budget has ended {which} early: the plan is the best so far."
    for group in facts["groups"]:
        if group["group"] == "pbt" and group["best"] and facts["reported"] == facts["metric"]:
            yield "pbt: the best member by this very score and seed, so that nothing is held out."
        for failure in group["failures"]:
            yield f"{group['group']}: failed: {failure}"


def _verdict(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield in a sentence how the plan does against the best by hand, if both are known."""
    planned, tuned = facts["groups"][:2]
    own, others = planned["held_out"], tuned["held_out"]
    if own is None or others is None or None in (own["std"], others["std"]):
        return
    lead, noise = own["mean"] - others["mean"], max(own["std"], others["std"])
    size = "within" if abs(lead) <= noise else "beyond"
    times = tuned["search"]["epochs"] / planned["search"]["epochs"]
    yield (
        f"The plan is {abs(lead):.2g} {_side(lead, facts)} in {facts['reported']} than the best by "
        f"hand, both held out, {size} the spread of {noise:.2g}; trying all by hand took "
        f"{times:.3g} times as many epochs as finding the plan."
    )


def _side(lead: float, facts: Mapping[str, Any]) -> str:
    """Return whether a score that is higher by `lead` is better; of a metric that was not planned
    for, nobody knows, and it is just higher."""
    if facts["reported"] != facts["metric"]:
        return "higher" if lead >= 0 else "lower"
    gain = lead if facts["mode"] == "max" else -lead
    return "better" if gain >= 0 else "worse"


def _in_words(found: Facts | None) -> str | None:
    if found is None:
        return None
    spread = "" if found["std"] is None else f" \u00b1 {found['std']:.2g}"
    return f"{found['mean']:.4g}{spread}"


def _amount(values: Sequence[float]) -> str:
    """Return in words the mean of epochs or costs, and their spread to two digits."""
    found = spread(values)
    about = "" if found is None else f" \u00b1 {float(f'{found:.2g}'):,.6g}"
    return f"{round(fmean(values), 1):,.6g}{about}"


def _metrics(facts: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys((facts["metric"], facts["reported"])))
