"""What a terminal shows of a run: the transitions under way, and how far all of it is."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from schedplan.cli.pace import Pace
from schedplan.report.text import duration

_FOR_EVER = 1e9  # seconds; transitions may be hours apart, and all tell how fast it goes
_MOST_ROWS = 8
_PATIENCE = 1.0  # seconds beyond two epochs without news, after which a training is paused


@dataclass
class Row:
    """A training under way.

    Attributes:
        epoch: the last one trained.
        score: measured after it; None before the first.
        knee: the epoch whose model would be kept if it ended now; None where that is not known.
        seconds: spent.
        news: when it was last heard of, by the monotonic clock.
    """

    epoch: int = 0
    score: float | None = None
    knee: int | None = None
    seconds: float = 0.0
    news: float = 0.0

    def runs(self, now: float) -> bool:
        """Return whether it is being trained, and does not wait for its rivals.

        Nobody knows how long the first epoch takes.
        """
        return not self.epoch or now - self.news < 2 * self.seconds / self.epoch + _PATIENCE


class Live(Progress):
    """A table of what is being trained, above a bar for the whole run.

    Args:
        metric: the name of the metric.
        total: the number of transitions.
        console: where to show it; nothing is shown unless it is a terminal.
    """

    def __init__(self, metric: str, total: int, console: Console) -> None:
        self._metric = metric
        self._rows: dict[str, Row] = {}
        self._pace = Pace()
        self._ended = 0
        super().__init__(
            BarColumn(20),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("transitions"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            speed_estimate_period=_FOR_EVER,
        )
        self._task = self.add_task("training", total=total)

    def begin(self, key: str) -> None:
        """Show a training."""
        self._rows[key] = Row(news=time.monotonic())

    def epoch(self, key: str, epoch: int, score: float, seconds: float, knee: int | None) -> None:
        """Show that a training has an epoch more, which took so many seconds."""
        row = self._rows.setdefault(key, Row())
        row.epoch, row.score, row.knee = epoch, score, knee
        row.seconds += seconds
        row.news = time.monotonic()
        self._advance()

    def end(self, key: str, ended: int, epochs: int, seconds: float) -> None:
        """Show that a training has ended, `ended` transitions being at their end now."""
        self._rows.pop(key, None)
        self._ended = ended
        if epochs:
            self._pace.learn(epochs, seconds)
        self._advance()

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the table and the bar."""
        if self._rows:
            yield self.table(time.monotonic())
        yield self.make_tasks_table(self.tasks)

    def table(self, now: float) -> Table:
        """Return what is being trained at a time of the monotonic clock, the latest news first."""
        running = {key: row for key, row in self._rows.items() if row.runs(now)}
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("training", overflow="ellipsis", no_wrap=True)
        for name in ("epoch", self._metric, "knee", "left"):
            table.add_column(name, justify="right", no_wrap=True)
        latest = sorted(running.items(), key=lambda item: item[1].news, reverse=True)
        for key, row in latest[:_MOST_ROWS]:
            left = self._pace.left(row.epoch, row.seconds)
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

    def _advance(self) -> None:
        begun = sum(self._pace.share(row.epoch) for row in self._rows.values())
        self.update(self._task, completed=self._ended + begun)
