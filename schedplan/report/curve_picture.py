"""The curve of one training as a picture: measured, fitted, its peak and the wait after it.

Source: "Optimization Planning for 3D ConvNets" (ICML 2021), Figure 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from schedplan.knees import Mode
from schedplan.report import palette
from schedplan.report.canvas import Canvas, Pen
from schedplan.report.chart import Chart
from schedplan.report.content import Training
from schedplan.report.geometry import Array
from schedplan.report.picture import AnyCanvas, Picture
from schedplan.report.text import counted, width

_SIZE: Final = (5.4, 2.75)
_CORNER: Final = (0.62, 0.42)
_PLANE: Final = (4.6, 1.75)
_DOT: Final = 0.05
_RING: Final = 0.12
_MOST_DOTS: Final = 80
"""More would touch each other; they are left to the line through them."""

_SAMPLE: Final = 0.22
_GAPS: Final = (0.06, 0.18)
"""After a sample, and between entries of the legend."""

_FINEST: Final = 80
"""The most straight pieces that a fitted curve is drawn with."""

_MEASURED = Pen(palette.GREY, 0.7)
_PEAK = Pen(palette.SOFT, 0.8, "dashed")


def curve_picture(training: Training, metric: str, mode: Mode) -> Picture:
    """Return the picture of a training that has a score at least."""
    epochs = np.arange(len(training.scores), dtype=np.float64)
    scores = np.array(training.scores)
    fitted = _fitted(training, mode, epochs)
    peak = peak_of(training)
    waited = peak if training.status == "done" else None

    def draw(sheet: type[AnyCanvas]) -> AnyCanvas:
        canvas = sheet(_SIZE)
        values = scores if fitted is None else np.concatenate([scores, fitted])
        chart = Chart.around(values, training.epochs, _CORNER, _PLANE)
        if waited is not None:
            _draw_wait(canvas, chart, waited, training.epochs)
        chart.draw_scores(canvas, metric)
        chart.draw_epochs(canvas, _CORNER[1])
        if fitted is not None:
            fine = np.linspace(0, training.epochs, min(_FINEST, 4 * len(epochs)))
            curve = _fitted(training, mode, fine)
            assert curve is not None
            canvas.polyline(chart.at(fine, curve), palette.CURVE)
        _draw_measured(canvas, chart.at(epochs, scores), training.epochs <= _MOST_DOTS)
        if training.kept is not None:
            _draw_ring(canvas, chart.at(training.kept, scores[training.kept]))
        _draw_legend(canvas, training, waited is not None, fitted is not None)
        return canvas

    title = f"{training.source} to {training.target}" if training.source else training.target
    return Picture(title, _in_words(training, metric, peak), draw)


def peak_of(training: Training) -> int | None:
    """Return the epoch at which the fitted curve is highest; without one, the epoch chosen."""
    verdict = training.verdict
    if verdict is None or not math.isfinite(verdict.score):
        return None
    if verdict.curve is None:
        return verdict.epoch
    return int(np.argmax(verdict.curve.value(np.arange(len(training.scores)))))


def _fitted(training: Training, mode: Mode, epochs: Array) -> Array | None:
    """Return the fitted scores; the fit is one of maximised scores."""
    curve = training.verdict.curve if training.verdict else None
    if curve is None:
        return None
    return curve.value(epochs) * (1 if mode == "max" else -1)


def _draw_measured(canvas: Canvas, at: Array, dots: bool) -> None:
    canvas.polyline(at, _MEASURED)
    if dots:
        canvas.dots([(x, y) for x, y in at.tolist()], _DOT, palette.INK, palette.NO_LINE)


def _draw_ring(canvas: Canvas, at: Array) -> None:
    canvas.dots([(x, y) for x, y in at.tolist()], _RING, "none", Pen(palette.INK, 1.3))


def _draw_wait(canvas: Canvas, chart: Chart, peak: int, last: int) -> None:
    """Shade the epochs from the peak on, which were trained to see whether it is one."""
    (left, bottom), (right, top) = chart.at([peak, last], [chart.low, chart.high]).tolist()
    corners = np.array([(left, bottom), (right, bottom), (right, top), (left, top)])
    canvas.polygon(corners, palette.SKY)
    canvas.lines([((left, bottom), (left, top))], _PEAK)


def _draw_legend(canvas: Canvas, training: Training, waits: bool, fits: bool) -> None:
    """Name what is drawn, in one line at the top."""
    x, y = _CORNER[0], _SIZE[1] - 0.13

    def entry(meaning: str, draw: Callable[[Array], None]) -> None:
        nonlocal x
        draw(np.array([(x, y), (x + _SAMPLE / 2, y), (x + _SAMPLE, y)]))
        canvas.text((x + _SAMPLE + _GAPS[0], y), meaning, palette.TICKS, align="left")
        x += _SAMPLE + width(meaning, palette.TICKS.size) + sum(_GAPS)

    dots = training.epochs <= _MOST_DOTS
    entry("measured", lambda at: _draw_measured(canvas, at, dots))
    if fits:
        entry("fitted", lambda at: canvas.polyline(at, palette.CURVE))
    if training.kept is not None:
        entry("kept", lambda at: _draw_ring(canvas, at[1:2]))
    if waits:
        entry("wait after the peak", lambda at: _draw_wait_sample(canvas, at))


def _draw_wait_sample(canvas: Canvas, at: Array) -> None:
    left, right = at[0], at[2]
    height = np.array([0, 0.055])
    canvas.polygon(
        np.stack([left - height, right - height, right + height, left + height]), palette.SKY
    )
    canvas.lines([(tuple(left - height), tuple(left + height))], _PEAK)


def _in_words(training: Training, metric: str, peak: int | None) -> str:
    """Return what the picture shows."""
    first, last = training.scores[0], training.scores[-1]
    words = f"{metric} from {first:.4g} to {last:.4g} over {counted(training.epochs, 'epoch')}"
    if peak is not None:
        words += f"; peak at epoch {peak}"
    if training.kept is not None:
        words += f"; the model of epoch {training.kept} is kept, at {training.observed:.4g}"
    return f"{words}. {training.status}: {training.reason}" if training.reason else f"{words}."
