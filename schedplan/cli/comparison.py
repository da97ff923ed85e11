"""What a comparison has shown, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any, Final

from schedplan.baselines import (
    HAND_TUNED,
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
from schedplan.config import Setup
from schedplan.report.text import counted

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
    by_length = _by_length(grid)
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
            *(
                {**_group(counted(length, "epoch"), tried, setup, reported), "length": length}
                for length, tried in by_length.items()
            ),
            *([_populations(evolved, setup, reported)] if evolved else []),
        ],
        "strategies": [_strategy(each, setup, reported) for each in compared],
    }


def _by_length(grid: Sequence[Compared]) -> dict[int, list[Compared]]:
    """Return the strategies of each length in epochs; nothing if they are all of one."""
    found: dict[int, list[Compared]] = {}
    for each in sorted(grid, key=lambda each: each.strategy.plan.epochs):
        found.setdefault(each.strategy.plan.epochs, []).append(each)
    return found if len(found) > 1 else {}


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
