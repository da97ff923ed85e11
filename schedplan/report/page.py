"""The report as one file: a page of HTML that has its pictures, style and script in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from schedplan.journal import write_bytes, write_text
from schedplan.report.content import Content, Training
from schedplan.report.costs import saving
from schedplan.report.curve_picture import curve_picture, peak_of
from schedplan.report.graph_picture import graph_picture
from schedplan.report.picture import Picture
from schedplan.report.schedule_picture import schedule_picture
from schedplan.report.sections import (
    Amount,
    Anchor,
    Share,
    cost_table,
    front_table,
    name_of,
    no_worse_rivals,
    origin_table,
    rivals_table,
    stage_table,
    status_in_words,
    transition_table,
)
from schedplan.report.text import counted, duration, listed, printable
from schedplan.yaml_file import dump_yaml

if TYPE_CHECKING:
    from jinja2 import Environment

_SECTIONS: Final = {
    "answer": "The answer",
    "graph": "What was tried",
    "transitions": "All trainings",
    "curves": "Curves",
    "cost": "What it cost",
    "origin": "Where it comes from",
}
"""What the parts of a page are called, by their ids."""


@dataclass(frozen=True)
class _Figure:
    """A number that matters most."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class _Detail:
    """A training as the page shows it, in an element called `id`."""

    id: str
    name: str
    training: Training
    picture: Picture
    facts: Mapping[str, Any]


def write_report(file: Path, content: Content) -> None:
    """Write a report as one file of HTML; a reader finds the old file or the new one.

    Args:
        file: where to.
        content: what it tells, see `of_search` and `of_replay`.

    Raises:
        OSError: the file cannot be written; an older one stays.

    Example:
        >>> import tempfile
        >>> from schedplan import Axis, Problem, SearchOptions, SimulatedTrainer, Space
        >>> from schedplan import build_graph, solve
        >>> from schedplan.graph import basic
        >>> from schedplan.journal import RunFolder
        >>> from schedplan.report import of_search
        >>> space = Space((Axis("rate", (0.1, 0.01)),))
        >>> graph = build_graph(space, basic(), space.states(), space.select({"rate": "last"}))
        >>> problem = Problem(graph, SimulatedTrainer, metric="top1")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plan, run = solve(problem, Path(folder)), RunFolder(Path(folder))
        ...     content = of_search(run, graph, problem.estimator, SearchOptions(), plan)
        ...     write_report(run.report, content)
        ...     run.report.read_text().splitlines()[0]
        '<!doctype html>'
    """
    write_text(file, render(content))


def render(content: Content) -> str:
    """Return a report as the text of an HTML file."""
    shown = [training for training in content.trainings if training.scores]
    ids = {training.key: f"training-{number}" for number, training in enumerate(shown, start=1)}
    details = [_detail(training, ids[training.key], content) for training in shown]
    sections = {k: v for k, v in _SECTIONS.items() if k != "graph" or content.view}
    page = _environment().get_template("report.html")
    return page.render(
        content=content,
        title="Report of a search" if content.view else "Report of a replay",
        sections=sections,
        state=printable(_state(content)),
        figures=list(_figures(content)),
        schedule=schedule_picture(content) if content.epochs else None,
        stages=stage_table(content),
        no_answer=_no_answer(content),
        front=front_table(content),
        graph=graph_picture(content.view) if content.view else None,
        rivals=rivals_table(content, ids) if content.view else None,
        doubts=list(_doubts(content)),
        rules=_rules(content),
        transitions=transition_table(content, ids),
        curves=_groups(details),
        saved=list(_spending(content)),
        costs=cost_table(content),
        origin=origin_table(content),
        configuration=dump_yaml(dict(content.config)),
        version=version("schedplan"),
    )


def write_figures(folder: Path, content: Content) -> list[Path]:
    """Write the pictures of a report singly, each as SVG and as PNG; return the files.

    Args:
        folder: made on demand. The curve of a training goes into `curves/`, by its name in the
            run folder.
        content: what the report tells.

    Raises:
        OSError: a file cannot be written; those before it are there.
    """
    files = []
    for name, picture in _pictures(content):
        for suffix, image in ((".svg", picture.svg()), (".png", picture.png())):
            file = folder / f"{name}{suffix}"
            write_bytes(file, image)
            files.append(file)
    return files


def _pictures(content: Content) -> Iterator[tuple[str, Picture]]:
    if content.epochs:
        yield "schedule", schedule_picture(content)
    if content.view:
        yield "graph", graph_picture(replace(content.view, title=content.name))
    for training in content.trainings:
        if training.scores:
            yield f"curves/{training.key}", curve_picture(training, content.metric, content.mode)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("schedplan.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = _plain
    kinds = {"amount": Amount, "link": Anchor, "share": Share, "training": Training}
    for name, kind in kinds.items():
        environment.tests[name] = lambda value, kind=kind: isinstance(value, kind)
    return environment


def _plain(value: object) -> str:
    """Return how a number or a text is shown."""
    if isinstance(value, float):
        return f"{value:#,.4g}".rstrip(".") if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def _detail(training: Training, id_: str, content: Content) -> _Detail:
    facts = {
        "why it ended": training.reason or "it has not ended",
        "epochs trained": training.epochs,
        "peak": peak_of(training),
        "epoch kept": training.kept,
        f"{content.metric}, fitted": training.score if training.verdict else None,
        f"{content.metric}, measured": training.observed,
        "took": duration(training.seconds),
    }
    known = {name: value for name, value in facts.items() if value is not None}
    picture = curve_picture(training, content.metric, content.mode)
    return _Detail(id_, name_of(training), training, picture, known)


def _groups(details: Sequence[_Detail]) -> list[dict[str, Any]]:
    """Return the trainings of the chosen path, which are shown, and the others, which are not."""
    chosen = [each for each in details if each.training.chosen]
    others = [each for each in details if not each.training.chosen]
    groups: list[dict[str, Any]] = [
        {"name": "The chosen path", "open": True, "trainings": chosen},
        {
            "name": "All others" if chosen else "All",
            "open": not chosen and len(others) < 20,
            "trainings": others,
        },
    ]
    return [group for group in groups if group["trainings"]]


def _state(content: Content) -> str:
    """Return in words how far the run is."""
    if content.finished:
        return "Finished."
    if content.failure:
        return f"Failed: {content.failure}."
    counts = Counter(training.status for training in content.trainings)
    left = counts["begun"] + counts["waiting"]
    what = f"{counts['begun']} begun, {counts['waiting']} waiting"
    return f"Not finished: {counted(left, 'training')} left ({what}). All here is the best so far."


def _no_answer(content: Content) -> str:
    scored = [training for training in content.trainings if training.score is not None]
    if not scored:
        return "No training has ended yet."
    best = (max if content.mode == "max" else min)(scored, key=lambda each: each.score or 0.0)
    if content.steps or content.finished:
        return "No training improved on the model as it was made."
    return (
        "No final state is reached yet. The best so far: "
        f"{content.metric} {best.score:.4g} by {name_of(best)}."
    )


def _figures(content: Content) -> Iterator[_Figure]:
    plan, steps = content.plan, content.steps
    if steps and content.view and steps[-1].score is not None:
        yield _Figure(content.metric, f"{steps[-1].score:.4g}", _beside(content))
    elif steps and not content.view:
        reached, planned = steps[-1].again, steps[-1].score
        value = "-" if reached is None else f"{reached:.4g}"
        note = "" if planned is None else f"planned: {planned:.4g}"
        yield _Figure(f"{content.metric} reached", value, note)
    if plan and content.view and plan.confirmed is not None:
        yield _Figure("confirmed", f"{plan.confirmed:.4g}", "trained along once more, another seed")
    if content.epochs:
        stages = counted(sum(step.epochs > 0 for step in steps), "stage")
        yield _Figure("schedule", counted(content.epochs, "epoch"), f"in {stages}")
    counts = Counter(training.status for training in content.trainings)
    done = counts.pop("done", 0)
    rest = ", ".join(
        f"{number} {status_in_words(kind, content)}" for kind, number in counts.items()
    )
    yield _Figure("trained to the end", f"{done} of {len(content.trainings)}", rest)
    spent = sum(training.epochs for training in content.trainings)
    time = duration(sum(training.seconds for training in content.trainings))
    yield _Figure("spent", counted(spent, "epoch"), f"{time} of training{_cost_in_words(content)}")


def _beside(content: Content) -> str:
    """Return what the score is, and what was measured."""
    observed = content.steps[-1].observed
    best = "higher" if content.mode == "max" else "lower"
    measured = "" if observed is None else f"measured: {observed:.4g}; "
    return f"{measured}{best} is better"


def _cost_in_words(content: Content) -> str:
    if not content.cost:
        return ""
    cost = sum(training.cost for training in content.trainings)
    return f"; cost {cost:,.6g} ({content.cost})"


def _doubts(content: Content) -> Iterator[str]:
    """Yield what may speak against the path, and what its arrows do not say, a sentence each."""
    path = [training for training in content.trainings if training.chosen]
    if level := [each.target for each in path if no_worse_rivals(each, content)]:
        yield (
            f"Into {listed(level)}, a rival measured no worse: there the fitted curves decided, or "
            "the fewer epochs. Two trainings of the same settings may differ by as much."
        )
    limit = (content.config.get("knee") or {}).get("max_epochs")
    if cut := [each.target for each in path if limit and each.epochs >= limit]:
        yield (
            f"Training into {listed(cut)} ended at the limit of {limit} epochs and not after its "
            "peak: a higher knee.max_epochs may lead further."
        )
    if still := [each.target for each in path if each.kept == 0]:
        yield (
            f"Into {listed(still)}, no epoch was kept: by its curve, training made nothing better, "
            "and the model went on as it was. Such states are no stages of the schedule."
        )


_RULES: Final = {
    "race": "even a hopeful forecast of its curve stayed below what a rival had reached",
    "cut": "its part of the graph trailed at several states in a row",
    "superseded": "a better model to begin from was found",
}


def _rules(content: Content) -> dict[str, str]:
    """Return what the rules mean that something was pruned by."""
    used = {training.rule for training in content.trainings}
    return {rule: meaning for rule, meaning in _RULES.items() if rule in used}


def _spending(content: Content) -> Iterator[str]:
    """Yield what was spent and what pruning has saved, a sentence each."""
    trained = sum(training.epochs for training in content.trainings)
    if content.epochs and content.view:
        yield (
            f"The schedule takes {counted(content.epochs, 'epoch')}; "
            f"finding it took {trained / content.epochs:.1f} times as many."
        )
    saved = saving(content.trainings)
    if saved:
        rules = ", ".join(f"{rule} {number}" for rule, number in saved.rules.items())
        unit = f"cost ({content.cost})" if content.cost else "epochs"
        yield (
            f"{counted(saved.rules.total(), 'training')} pruned ({rules}) after "
            f"{saved.spent:,.4g} {unit} in all. Trained on as long as what was trained to its end, "
            f"they would have taken about {saved.saved:,.0f} more: pruning has saved about "
            f"{saved.share:.0%} of the search."
        )
