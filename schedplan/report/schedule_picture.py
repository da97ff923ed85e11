"""The answer as a picture: a strip for every hyperparameter over the epochs, below the score."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np

from schedplan.report import palette
from schedplan.report.canvas import Canvas, Font, Pen
from schedplan.report.chart import Chart
from schedplan.report.content import Content, Step
from schedplan.report.picture import AnyCanvas, Picture
from schedplan.report.text import counted, widest, width
from schedplan.space import changing_in, names_in

_WIDTH: Final = 9.5
_MARGIN: Final = 0.15
_PLANE: Final = 1.5
"""The height of the chart."""

_ROW: Final = 0.3
_BELOW: Final = 0.42
"""Room for the numbers of the epochs."""

_NAME = Font(8.5, palette.INK)
_VALUE = Font(8, palette.INK)
_BLOCK = Pen(palette.BLUE, 0.9)
_BORDER = Pen(palette.SOFT, 0.7, "dotted")


def schedule_picture(content: Content) -> Picture:
    """Return the picture of an answer that has an epoch at least."""
    steps = [step for step in content.steps if step.epochs]
    settings = [step.params for step in steps]
    names = changing_in(settings) or names_in(settings)
    ends = [0, *accumulate(step.epochs for step in steps)]

    def draw(sheet: type[AnyCanvas]) -> AnyCanvas:
        left = widest([*names, "0.0000"], _NAME.size) + 2 * _MARGIN
        rows = len(names) * _ROW
        canvas = sheet((_WIDTH, _BELOW + rows + _PLANE + 0.5))
        size = (_WIDTH - left - _MARGIN, _PLANE)
        scores = [
            score for step in steps for score in (*step.scores, step.score) if score is not None
        ]
        chart = Chart.around(scores or [0.0, 1.0], ends[-1], (left, _BELOW + rows + 0.2), size)
        _draw_scores(canvas, chart, steps, ends, content.metric)
        for number, name in enumerate(names):
            y = _BELOW + rows - (number + 0.5) * _ROW
            canvas.text((left - _MARGIN, y), name, _NAME, align="right")
            _draw_strip(canvas, chart, _runs([step.params.get(name) for step in steps], ends), y)
        chart.draw_epochs(canvas, _BELOW)
        return canvas

    words = "; then ".join(_in_words(step, names) for step in steps)
    title = f"{content.name}: {counted(content.epochs, 'epoch')} in {counted(len(steps), 'stage')}"
    return Picture(title, f"{words}.", draw)


def _draw_scores(
    canvas: Canvas, chart: Chart, steps: Sequence[Step], ends: Sequence[int], metric: str
) -> None:
    chart.draw_scores(canvas, metric)
    bottom, top = chart.corner[1], chart.corner[1] + chart.size[1]
    for end in ends[1:-1]:
        x = float(chart.x(np.array(end)))
        canvas.lines([((x, bottom), (x, top))], _BORDER)
    for start, step in zip(ends, steps, strict=False):
        epochs = start + np.arange(len(step.scores))
        at = chart.at(epochs, step.scores)
        canvas.polyline(at, palette.CURVE)


def _draw_strip(
    canvas: Canvas, chart: Chart, runs: Sequence[tuple[Any, int, int]], y: float
) -> None:
    """Draw a block for every run of one value, with the value where there is room."""
    for number, (value, start, end) in enumerate(runs):
        left, right = (float(chart.x(np.array(epoch))) for epoch in (start, end))
        face = palette.SKY if number % 2 == 0 else palette.WHITE
        canvas.box(((left + right) / 2, y), (right - left, 0.8 * _ROW), face, _BLOCK, rounding=0.04)
        text = str(value)
        if width(text, _VALUE.size) + 0.06 < right - left:
            canvas.text(((left + right) / 2, y), text, _VALUE)


def _runs(values: Sequence[Any], ends: Sequence[int]) -> list[tuple[Any, int, int]]:
    """Return each value with its first epoch and its end, equal neighbours together."""
    found: list[tuple[Any, int, int]] = []
    for value, (start, end) in zip(values, pairwise(ends), strict=True):
        if found and found[-1][0] == value:
            found[-1] = (value, found[-1][1], end)
        else:
            found.append((value, start, end))
    return found


def _in_words(step: Step, names: Sequence[str]) -> str:
    settings = ", ".join(f"{name} {step.params.get(name)}" for name in names)
    return f"{counted(step.epochs, 'epoch')} with {settings}"
