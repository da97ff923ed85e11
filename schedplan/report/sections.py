"""The tables of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from schedplan.knees import Mode
from schedplan.report.content import Content, Training
from schedplan.report.costs import StateCost, by_state
from schedplan.report.text import exact
from schedplan.space import names_in


@dataclass(frozen=True)
class Anchor:
    """A text that leads to the element called `target`, if there is one."""

    text: str
    target: str | None = None


@dataclass(frozen=True)
class Share:
    """A part of a whole, in [0, 1], and of the largest part, in [0, 1]."""

    part: float
    of_largest: float


@dataclass(frozen=True)
class Amount:
    """A time or a cost, whose digits are all shown; other numbers with a point are scores."""

    value: float


Cell: TypeAlias = str | int | float | Amount | Anchor | Share | Training | None


@dataclass(frozen=True)
class Column:
    """A column of a table; one of numbers is aligned to the right."""

    name: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Attributes:
        caption: what it shows.
        columns: what stands above it.
        rows: as many cells as there are columns, each.
        sortable: whether its readers may sort it.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False

    @classmethod
    def of(
        cls, caption: str, columns: Iterable[str], rows: Iterable[Iterable[Cell]], sortable: bool
    ) -> Table:
        """Return a table; columns whose name ends in `#` hold numbers."""
        named = tuple(Column(name.rstrip("#"), name.endswith("#")) for name in columns)
        return cls(caption, named, [tuple(row) for row in rows], sortable)


def stage_table(content: Content) -> Table:
    """Return the stages of the answer."""
    names = names_in(step.params for step in content.steps)
    is_replay = content.view is None
    again = any(step.again is not None for step in content.steps)
    scores = ["planned#", "measured then#"] if is_replay else ["fitted#", "measured#"]
    scores += (["reached#"] if is_replay else ["confirmed#"]) if again or is_replay else []
    rows = [
        [
            name,
            *(exact(step.params.get(name)) for name in names),
            step.epochs,
            *(step.score, step.observed, step.again)[: len(scores)],
        ]
        for name, step in zip(_stage_names(content), content.steps, strict=True)
    ]
    columns = ["stage", *names, "epochs#", *(f"{content.metric}, {each}" for each in scores)]
    return Table.of("The stages, in the order of training", columns, rows, sortable=False)


def _stage_names(content: Content) -> Iterator[str]:
    """Yield the number of each stage; what has no epochs is but a place to be measured at."""
    number = 0
    for step in content.steps:
        number += step.epochs > 0
        yield str(number) if step.epochs else "final" if number else "initial"


def front_table(content: Content) -> Table | None:
    """Return the plans that trade score for cost; None if they were not searched for."""
    if not content.front:
        return None
    rows = []
    for name, plan in content.front.items():
        way = " > ".join(stage.state for stage in plan.stages)
        rows.append((name, Amount(plan.cost(content.cost)), plan.epochs, plan.score, way))
    columns = ["plan", _unit(content), "epochs#", f"{content.metric}#", "stages"]
    return Table.of("Plans, the cheapest first", columns, rows, sortable=True)


def rivals_table(content: Content, ids: Mapping[str, str]) -> Table | None:
    """Return what the chosen path was compared with at each of its states."""
    assert content.view is not None
    rows: list[list[Cell]] = []
    for arrow in content.view.path:
        into = [each for each in content.trainings if each.target == arrow.target.label]
        winner = next(each for each in into if each.chosen)
        others = _ranked(_rivals(winner, content), content.mode)
        words = "; ".join(_rival(each, content) for each in others)
        scores = winner.score, winner.observed
        rows.append([winner.target, link(winner, ids), *scores, words or "none"])
    columns = ["state", "reached by", f"{content.metric}#", "measured#"]
    columns.append("rivals into the same state")
    caption = "At every state of the path, the best of the transitions into it"
    return Table.of(caption, columns, rows, sortable=False) if rows else None


def no_worse_rivals(winner: Training, content: Content) -> list[Training]:
    """Return what was trained to its end into the same state, and measured there no worse."""
    sign = 1 if content.mode == "max" else -1
    least = winner.observed
    return [
        rival
        for rival in _rivals(winner, content)
        if rival.observed is not None and least is not None
        if sign * rival.observed >= sign * least
    ]


def transition_table(content: Content, ids: Mapping[str, str]) -> Table:
    """Return all trainings.

    Args:
        content: what the report tells.
        ids: the elements that show their curves, by key.
    """
    priced = [_unit(content)] if content.cost else []

    def row(each: Training) -> list[Cell]:
        cost = [Amount(each.cost)] if priced else []
        took = Amount(round(each.seconds, 1))
        facts: list[Cell] = [each.epochs, *cost, each.kept, each.score, took]
        return [link(each, ids), each, *facts, each.reason]

    columns = ["training", "status", "epochs#", *priced, "kept#", f"{content.metric}#"]
    columns += ["seconds#", "why it ended"]
    caption = "Every training: how it ended, what it took and why it stopped"
    return Table.of(caption, columns, map(row, content.trainings), sortable=True)


def cost_table(content: Content) -> Table:
    """Return what every state has cost."""
    costs = by_state(content.trainings)
    shares = [each.cost for each in costs if each.cost] or [1.0]
    priced = [_unit(content)] if content.cost else []

    def row(each: StateCost) -> list[Cell]:
        cost = [Amount(each.cost)] if priced else []
        facts: list[Cell] = [each.trainings, each.epochs, *cost, Amount(round(each.seconds, 1))]
        return [each.state, *facts, Share(each.cost / sum(shares), each.cost / max(shares))]

    unit = "cost" if priced else "epochs"
    columns = ["state", "trainings#", "epochs#", *priced, "seconds#", f"share of the {unit}"]
    caption = f"Training by state, the most {unit} first"
    return Table.of(caption, columns, map(row, costs), sortable=True)


def origin_table(content: Content) -> Table:
    """Return where the answer comes from."""
    rows = [[name, str(value)] for name, value in _origin(content)]
    return Table.of("What determines the result", ["fact", "value"], rows, sortable=False)


def name_of(training: Training) -> str:
    """Return what people call a training."""
    if not training.source:
        return training.target
    again = training.key.rpartition("@")
    suffix = f" ({again[2]})" if again[1] else ""
    return f"{training.source} \N{RIGHTWARDS ARROW} {training.target}{suffix}"


def link(training: Training, ids: Mapping[str, str]) -> Anchor:
    """Return the name of a training, leading to its curve."""
    return Anchor(name_of(training), ids.get(training.key))


def _origin(content: Content) -> Iterator[tuple[str, Any]]:
    provenance = content.plan.provenance if content.plan else {}
    yield "seed", content.config.get("seed", provenance.get("seed", 0))
    for name in ("fingerprint", "source", "model_sha256"):
        if name in provenance:
            yield name.replace("_", " "), provenance[name]
    for name, each in (provenance.get("versions") or {}).items():
        yield f"version of {name}", each
    for name, each in (content.config.get("data") or {}).items():
        yield f"data: {name}", each


def status_in_words(status: str, content: Content) -> str:
    """Return a status for people: once a run is finished, nothing waits for anything."""
    return "could not start" if status == "waiting" and content.finished else status


def _rivals(winner: Training, content: Content) -> list[Training]:
    """Return the trainings into the same state from others."""
    return [
        each
        for each in content.trainings
        if each.target == winner.target and not each.chosen and each.source != winner.source
    ]


def _rival(training: Training, content: Content) -> str:
    if training.status == "done":
        return f"{training.source} {training.score:.4g}, measured {training.observed:.4g}"
    rule = f" ({training.rule})" if training.rule else ""
    return f"{training.source} {status_in_words(training.status, content)}{rule}"


def _ranked(trainings: Iterable[Training], mode: Mode) -> list[Training]:
    """Return trainings, the best first and those without a score last."""
    sign = -1 if mode == "max" else 1
    worst = float("inf")
    return sorted(trainings, key=lambda t: worst if t.score is None else sign * t.score)


def _unit(content: Content) -> str:
    return f"cost ({content.cost})#" if content.cost else "cost#"
