"""Places on arrows for marks, so that none hides a state, another mark or another arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from schedplan.report.geometry import Array, inside, overlaps, points, rectangle, stack
from schedplan.report.marks import Mark
from schedplan.report.panel import Point
from schedplan.report.routes import Route

_SPOTS = np.array([0.47, 0.4, 0.54, 0.32, 0.62, 0.24, 0.7])
"""Where marks may sit on a curve, the best first."""

_SAMPLES = np.linspace(0, 1, 33)


@dataclass(frozen=True)
class ArrowLabel:
    """A mark wanted on an arrow.

    Attributes:
        mark: what to draw.
        route: the number of the arrow's route.
        needed: whether it must be shown even where it hides something.
    """

    mark: Mark
    route: int
    needed: bool


def place_labels(
    labels: Iterable[ArrowLabel], routes: Sequence[Route], taken: Array
) -> Iterator[tuple[Mark, Point]]:
    """Yield the marks that there is room for, and their middles.

    Args:
        labels: what is wanted, the most important first.
        routes: all arrows of a panel.
        taken: rectangles that are to stay free.
    """
    drawn = np.concatenate([points(route.curve, _SAMPLES) for route in routes])
    owner = np.repeat(np.arange(len(routes)), len(_SAMPLES))
    for label in labels:
        foreign = drawn[owner != label.route]
        spots = points(routes[label.route].curve, _SPOTS)
        boxes = [rectangle((x, y), label.mark.size) for x, y in spots]
        hidden = [_hidden(box, taken, foreign) for box in boxes]
        best = int(np.argmin(hidden))
        if label.needed or not hidden[best]:
            taken = np.vstack([taken, boxes[best]])
            yield label.mark, (float(spots[best, 0]), float(spots[best, 1]))


def _hidden(box: Array, taken: Array, foreign: Array) -> int:
    """Return how much a mark would hide; a state or another mark weighs more than an arrow."""
    return 100 * overlaps(box, taken) + int(np.count_nonzero(inside(foreign, stack([box]))))
