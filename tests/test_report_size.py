"""A report of a long search can still be opened quickly."""

from __future__ import annotations

import math
from functools import cache

from schedplan import Axis, CurveFit, Space, StateGraph, Verdict, build_graph
from schedplan.graph import Transition, extended
from schedplan.journal import Outcome, transition_key
from schedplan.report import Content, write_report
from schedplan.report.content import Training
from schedplan.report.view import GraphView

SPACE = Space(
    (
        Axis("clip_length", tuple(range(8, 72, 8))),
        Axis("learning_rate", tuple(10.0**-power for power in range(7))),
        Axis("batch_size", (32, 64, 96, 128, 160)),
    )
)
EPOCHS = 100


def long_graph() -> StateGraph:
    first = {"learning_rate": "first", "batch_size": "first"}
    last = {axis.name: "last" for axis in SPACE.axes}
    rule = extended(reversible=("clip_length",))
    return build_graph(SPACE, rule, SPACE.select(first), SPACE.select(last))


@cache
def curve(number: int) -> tuple[tuple[float, ...], Verdict]:
    """Return scores of one of a few trainings, and what is made of them."""
    scores = tuple(
        0.9 - 0.8 * math.exp(-epoch / (10 + number)) + 0.01 * math.sin(7 * epoch + number)
        for epoch in range(EPOCHS + 1)
    )
    return scores, CurveFit()(scores)


def trained(number: int, edge: Transition) -> Training:
    source, target = edge
    scores, verdict = curve(number % 10)
    return Training(
        key=transition_key(edge),
        source=source.label,
        target=target.label,
        params=SPACE.params(target),
        status="done",
        reason=verdict.reason,
        scores=scores,
        kept=verdict.epoch,
        score=verdict.score,
        seconds=12.3,
        verdict=verdict,
    )


def outcome(training: Training) -> Outcome:
    return Outcome(
        status="done",
        reason=training.reason,
        epoch=training.kept,
        score=training.score,
        scores=training.scores,
        snapshot=None,
        origin=None,
        seed=0,
        seconds=training.seconds,
    )


def test_a_page_of_a_thousand_trainings_stays_below_ten_megabytes(tmp_path):
    graph = long_graph()
    assert graph.transitions >= 1000
    trainings = tuple(trained(*each) for each in enumerate(graph.dag.edges))
    outcomes = {training.key: outcome(training) for training in trainings}
    view = GraphView.of(graph, outcomes, (), metric="top1", mode="max")
    content = Content("long", "top1", "max", {"name": "long"}, trainings, (), view=view)
    write_report(tmp_path / "page.html", content)
    text = (tmp_path / "page.html").read_text()
    assert len(text.encode()) < 10e6
    assert text.count('id="training-') == len(trainings)
