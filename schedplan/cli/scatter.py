"""The picture of a comparison: score against cost."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schedplan.journal import write_bytes
from schedplan.report import palette
from schedplan.report.bitmap import plain_style
from schedplan.report.canvas import FONT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURES: dict[str, dict[str, None]] = {".svg": {"Date": None}, ".png": {"Software": None}}
"""What a picture may end in, and what is left out of it, so that it is the same every time."""

_MARKS = {
    "side-by-side": ("o", palette.SOFT),
    "one-by-one": ("s", palette.SOFT),
    "constant": ("^", palette.SOFT),
    "variant": ("x", palette.BLUE),
    "plan": ("*", palette.BLUE),
}
"""Shape and colour of every kind; no two differ in colour alone."""

_SEARCHES = {
    "plan": ("the plan", "*", 11, palette.BLUE),
    "hand-tuned": ("the best by hand", "D", 7, palette.RED),
    "pbt": ("the best of a population", "P", 8, palette.INK),
}
"""Name, shape, size and colour of what is found by a search, by its group."""


def draw_comparison(file: Path, facts: Mapping[str, Any]) -> None:
    """Draw what strategies score against what they cost, and against what finding them costs.

    A small mark is a strategy: its mean score, and the cost of training it once. The large ones are
    the plan, the best strategy tuned by hand and the best of a population, at the cost of the
    search that finds them. Filled ones show scores held out; a hollow one shows that by which the
    best was chosen, which is optimistic.

    Args:
        file: ends in `.svg` or `.png`.
        facts: see `comparison.compare_facts`.
    """
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(figsize=(7.5, 4.5), dpi=160, layout="constrained")
        axes = figure.add_subplot()
        _draw_strategies(axes, facts)
        _draw_searches(axes, facts)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        unit = facts["cost_unit"]
        cost = f"cost in epochs x {unit}" if unit else "cost in epochs"
        plain: dict[str, Any] = {"family": FONT, "parse_math": False}
        axes.set_xlabel(cost, **plain)
        axes.set_ylabel(facts["reported"], **plain)
        axes.set_title(f"{facts['name']}: score against cost", loc="left", **plain)
        axes.grid(color=palette.PALE, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False, loc="lower right")
        stream, form = BytesIO(), file.suffix.lower()
        figure.savefig(stream, format=form[1:], metadata=PICTURES[form])
    write_bytes(file, stream.getvalue())


def _draw_strategies(axes: Axes, facts: Mapping[str, Any]) -> None:
    for kind, (marker, color) in _MARKS.items():
        points = [
            (each["cost"], each["scores"][facts["reported"]]["mean"])
            for each in facts["strategies"]
            if each["kind"] == kind and each["scores"][facts["reported"]]
        ]
        if points:
            axes.plot(
                *zip(*points, strict=True),
                linestyle="none",
                marker=marker,
                markersize=4,
                markerfacecolor="none",
                markeredgecolor=color,
                label=f"{kind}, one training",
            )


def _draw_searches(axes: Axes, facts: Mapping[str, Any]) -> None:
    for group in facts["groups"]:
        if group["group"] not in _SEARCHES or group["best"] is None:
            continue
        name, marker, size, color = _SEARCHES[group["group"]]
        honest = group["held_out"]
        found = honest or group["best"]["scores"][facts["reported"]]
        if found:
            axes.errorbar(
                group["search"]["cost"],
                found["mean"],
                yerr=found["std"],
                marker=marker,
                markersize=size,
                color=color,
                markerfacecolor=color if honest else "white",
                capsize=3,
                linestyle="none",
                label=f"{name}, with the search for it{_chosen(group)}",
                zorder=3,
            )


def _chosen(group: Mapping[str, Any]) -> str:
    """Return in words what the best of a group was chosen by, where anything was chosen."""
    if group["group"] == "plan":
        return ""
    return " (held out)" if group["held_out"] else " (chosen by its score)"
