"""The tables that show what a comparison has come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from schedplan.baselines import HAND_TUNED, STAIRS, spread
from schedplan.cli.comparison import Facts
from schedplan.cli.tables import make_table
from schedplan.report.text import counted, duration


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
            kind = best.get("kind", group["group"])
            of_kind = "" if kind == group["group"] else f"{kind}, "
            yield f"{group['group']}: {of_kind}{best['strategy']}"
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
        "state S; (x n): n times the plan's; hand-tuned: all below it together, which are also "
        "shown by kind and by length."
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
    yield from _cheapest(facts)


def _cheapest(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield in a sentence which length by hand alone does no worse than the plan, at the least
    cost, if any does."""
    planned, *others = facts["groups"]
    if facts["reported"] != facts["metric"]:
        return
    own, sign = planned["held_out"]["mean"], 1 if facts["mode"] == "max" else -1
    level = [
        group
        for group in others
        if "length" in group and group["held_out"]
        if sign * (group["held_out"]["mean"] - own) >= 0
    ]
    if level:
        least = min(level, key=lambda group: group["search"]["epochs"])
        times = least["search"]["epochs"] / planned["search"]["epochs"]
        yield (
            f"Those of {least['group']} alone, which who knew the length could try for {times:.3g} "
            "times as many, do no worse."
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
