"""The plane of a chart: epochs to the right, scores upwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from schedplan.report import palette
from schedplan.report.canvas import Canvas, Pen
from schedplan.report.geometry import Array
from schedplan.report.panel import Point

_GRID = Pen(palette.PALE, 0.6)
_TICK = 0.06
"""Between an axis and its numbers."""

_ROOM = 0.05
"""The part of the range of scores that is left free above and below."""


@dataclass(frozen=True)
class Chart:
    """Where a chart lies on its sheet, and what it spans.

    Attributes:
        corner: the lower left, in inches.
        size: width and height, in inches.
        epochs: the last epoch, at least 1; the first is 0.
        low, high: the scores at the bottom and at the top.
    """

    corner: Point
    size: Point
    epochs: float
    low: float
    high: float

    @classmethod
    def around(cls, scores: ArrayLike, epochs: int, corner: Point, size: Point) -> Chart:
        """Return the chart that spans `scores`, of which one is finite at least."""
        values = np.asarray(scores, dtype=np.float64)
        values = values[np.isfinite(values)]
        low, high = float(values.min()), float(values.max())
        room = _ROOM * (high - low) or 0.01 * max(abs(high), 1e-6)
        return cls(corner, size, max(epochs, 1), low - room, high + room)

    def at(self, epochs: ArrayLike, scores: ArrayLike) -> Array:
        """Return the points of these epochs and scores, shape (n, 2); those not finite are out."""
        x, y = np.broadcast_arrays(np.asarray(epochs, float), np.asarray(scores, float))
        found = np.stack([self.x(x), self.y(y)], axis=-1).reshape(-1, 2)
        return np.asarray(found[np.isfinite(found).all(axis=1)])

    def x(self, epochs: Array) -> Array:
        """Return how far to the right epochs lie."""
        return self.corner[0] + epochs / self.epochs * self.size[0]

    def y(self, scores: Array) -> Array:
        """Return how high scores lie."""
        share = (scores - self.low) / (self.high - self.low)
        return self.corner[1] + np.clip(share, 0, 1) * self.size[1]

    def draw_scores(self, canvas: Canvas, metric: str) -> None:
        """Draw lines at round scores, with their numbers and the name of the metric."""
        left, bottom = self.corner
        right = left + self.size[0]
        scores = _round_numbers(self.low, self.high, 4)
        heights = self.y(np.array(scores)).tolist()
        canvas.lines([((left, y), (right, y)) for y in heights], _GRID)
        for score, y in zip(scores, heights, strict=True):
            canvas.text((left - _TICK, y), f"{score:.6g}", palette.TICKS, align="right")
        canvas.lines([((left, bottom), (right, bottom))], Pen(palette.GREY, 0.8))
        canvas.text((left, bottom + self.size[1] + 0.12), metric, palette.TICKS, align="left")

    def draw_epochs(self, canvas: Canvas, y: float) -> None:
        """Write the numbers of epochs below `y`."""
        for epoch in _round_numbers(0, self.epochs, 8):
            if epoch == round(epoch):
                x = float(self.x(np.array(epoch)))
                canvas.text((x, y - 0.11), f"{epoch:.6g}", palette.TICKS)
        right = self.corner[0] + self.size[0]
        canvas.text((right, y - 0.27), "epochs", palette.TICKS, align="right")


def _round_numbers(low: float, high: float, most: int) -> Sequence[float]:
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]
