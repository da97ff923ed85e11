"""What a terminal shows of a run: the transitions under way, and how far all of it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from schedplan.cli.pace import Pace, Taken
from schedplan.journal import Outcome
from schedplan.report.text import duration

_MOST_ROWS = 8


@dataclass
class Row:
    """A training under way.

    Attributes:
        epoch: the last one trained.
        score: measured after it; None before the first.
        knee: the epoch whose model would be kept if it ended now; None where that is not known.
        seconds: spent.
        paused: whether it waits for its rivals.
    """

    epoch: int = 0
    score: float | None = None
    knee: int | None = None
    seconds: float = 0.0
    paused: bool = False


class Live(Progress):
    """A table of what is being trained, above a bar for the whole run: of transitions or, where the
    length of every training is planned, of epochs.

    Args:
        metric: the name of the metric.
        total: the number of trainings.
        console: where to show it; nothing is shown unless it is a terminal.
        lengths: the epochs planned of every training, by its name; nothing in a search.
    """

    def __init__(
        self, metric: str, total: int, console: Console, lengths: Mapping[str, int] = {}
    ) -> None:
        self._metric, self._total = metric, total
        self._planned = dict(lengths)  # of what has not ended
        self._epochs = sum(lengths.values())
        self._rows: dict[str, Row] = {}  # the latest news last
        self._pace = Pace()
        self._ended = 0
        self._at_work = 1
        super().__init__(
            BarColumn(20),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs" if lengths else "transitions"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self.add_task("training", total=self._epochs or total, left="")

    def begin(self, key: str) -> None:
        """Show a training."""
        self._rows[key] = Row()
        self._count()

    def pause(self, key: str, over: bool) -> None:
        """Show that a training waits for its rivals, or goes on."""
        row = self._rows.setdefault(key, Row())
        row.paused = not over
        if over:
            self._count()

    def epoch(self, key: str, epoch: int, score: float, seconds: float, knee: int | None) -> None:
        """Show that a training has an epoch more, which took so many seconds."""
        row = self._rows[key] = self._rows.pop(key, Row())
        row.epoch, row.score, row.knee = epoch, score, knee
        row.seconds += seconds
        self._count()
        self._advance()

    def drop(self, key: str) -> None:
        """Show a training no more, which has ended while its transition goes on."""
        self._rows.pop(key, None)
        self._advance()

    def end(self, key: str, ended: int, outcome: Outcome) -> None:
        """Show that a training has ended, `ended` transitions being at their end now."""
        self._ended = ended
        self._planned.pop(key, None)
        self._pace.learn(outcome.status, outcome.epochs_trained, outcome.seconds)
        self.drop(key)

    def seconds_left(self) -> float | None:
        """Return in how many seconds all is trained; None while nobody knows."""
        begun = [self._taken(key, row) for key, row in self._rows.items()]
        planned = [Taken(planned=n) for key, n in self._planned.items() if key not in self._rows]
        waiting = max(self._total - self._ended - len(begun) - len(planned), 0)
        return self._pace.rest([*begun, *planned], waiting, self._at_work)

    def _taken(self, key: str, row: Row) -> Taken:
        return Taken(row.epoch, row.seconds, self._planned.get(key))

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the table and the bar."""
        if self._rows:
            yield self.table()
        yield self.make_tasks_table(self.tasks)

    def table(self) -> Table:
        """Return what is being trained, the latest news first."""
        running = {key: row for key, row in self._rows.items() if not row.paused}
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("training", overflow="ellipsis", no_wrap=True)
        for name in ("epoch", self._metric, "knee", "left"):
            table.add_column(name, justify="right", no_wrap=True)
        for key, row in list(reversed(running.items()))[:_MOST_ROWS]:
            left = self._pace.left(self._taken(key, row))
            table.add_row(
                Text(key),
                str(row.epoch),
                "" if row.score is None else f"{row.score:.4g}",
                "" if row.knee is None else str(row.knee),
                "" if left is None else duration(left),
            )
        more, paused = max(len(running) - _MOST_ROWS, 0), len(self._rows) - len(running)
        counts = {"more": more, "paused": paused}
        note = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        if note:
            table.add_row(Text(note, style="dim"))
        return table

    def _count(self) -> None:
        """Note how many are at work: where one has just ended or paused, the next begins."""
        self._at_work = max(sum(not row.paused for row in self._rows.values()), 1)

    def _advance(self) -> None:
        left = self.seconds_left()
        words = "" if left is None else f"about {duration(left)} left"
        self.update(self._task, completed=self._completed(), left=words)

    def _completed(self) -> float:
        """Return how far the bar is."""
        if not self._epochs:
            return self._ended + sum(self._pace.share(row.epoch) for row in self._rows.values())
        begun = sum(row.epoch for key, row in self._rows.items() if key in self._planned)
        return self._epochs - sum(self._planned.values()) + begun
