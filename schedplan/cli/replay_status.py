"""How far a replay is, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from schedplan.cli.pace import Pace, Taken
from schedplan.cli.status import failed, rest
from schedplan.cli.tables import make_table
from schedplan.journal import RunFolder
from schedplan.plan import Plan
from schedplan.report import of_replay
from schedplan.report.content import Training
from schedplan.report.text import counted, duration

Facts = dict[str, Any]


def replay_status_facts(folder: RunFolder, plan: Plan) -> Facts:
    """Return which stages of `plan` are done, begun, failed and waiting in the folder of a replay,
    what they took, and how long the rest may take."""
    content = of_replay(folder, plan)
    trainings, lengths = content.trainings, [stage.epochs for stage in plan.path]
    return {
        "run": str(folder.path),
        "finished": content.finished,
        "failure": content.failure or None,
        "metric": plan.metric,
        "epochs": sum(training.epochs for training in trainings),
        "planned": plan.epochs,
        "seconds": sum(training.seconds for training in trainings),
        "seconds_left": None if content.failure else _seconds_left(trainings, lengths),
        "details": [
            _row(training, length) for training, length in zip(trainings, lengths, strict=True)
        ],
    }


def replay_status_table(facts: Mapping[str, Any]) -> Group:
    """Show `replay_status_facts`: a row per stage, why one failed, and a summary at the end."""
    columns = ["stage", "state", "status", "trained#", "planned#", f"{facts['metric']}#"]
    names = ("training", "state", "status", "epochs", "planned", "score")
    rows = [[row[name] for name in names] for row in facts["details"]]
    return Group(make_table(facts["run"], columns, rows), *map(Text, _summary(facts)))


def _row(training: Training, length: int) -> Facts:
    return {
        "training": training.key,
        "state": training.target,
        "status": training.status,
        "epochs": training.epochs,
        "planned": length,
        "score": training.scores[-1] if training.scores else None,
        "seconds": training.seconds,
        "reason": training.reason or None,
    }


def _seconds_left(trainings: Sequence[Training], lengths: Sequence[int]) -> float | None:
    """Return the seconds of all epochs left; None before one is trained."""
    pace, left = Pace(), []
    for each, length in zip(trainings, lengths, strict=True):
        if each.status == "done":
            pace.learn(each.status, each.epochs, each.seconds)
        else:
            left.append(Taken(each.epochs, each.seconds, length))
    return pace.rest(left)


def _summary(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from failed(facts)
    trained = f"{facts['epochs']:,} of {counted(facts['planned'], 'epoch')}"
    yield f"{trained} in {duration(facts['seconds'])}; {rest(facts)}"
