"""Ways for arrows around the states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import copysign, dist

import numpy as np

from schedplan.report.geometry import Array, arc, flow, inside, part, points, rectangle, stack
from schedplan.report.panel import HEADING_LINE, HEADING_POINTS, Heading, Panel, Point, Sizes
from schedplan.report.text import width
from schedplan.report.view import Arrow
from schedplan.space import INITIAL, State

_MARGIN = 0.06
"""The room that arrows leave around states."""

_BENDS = [side * height for height in (0.25, 0.4, 0.6, 0.9, 1.3) for side in (1, -1)]
"""How far arrows may bend away from the panel's middle, the best first."""

_LIFT = 0.06
"""How much farther they bend per length, so that long ones run outside of short ones."""

_PORTS = 0.6
"""The part of a state's side that arrows end on."""

_FINE = np.linspace(0, 1, 201)
_COARSE = np.linspace(0, 1, 41)


@dataclass(frozen=True)
class Route:
    """An arrow and its curve, from border to border."""

    arrow: Arrow
    curve: Array


def obstacles(panel: Panel, sizes: Sizes) -> Array:
    """Return the rectangles of a panel's states, in their order, and of its headings."""
    boxes = [rectangle(place, sizes.of(s), _MARGIN) for s, place in panel.places.items()]
    return stack([*boxes, *map(_heading_box, panel.headings)])


def straight_routes(panel: Panel, sizes: Sizes, arrows: Iterable[Arrow]) -> list[Route]:
    """Return curves from middle to middle, straight where nothing lies in between."""
    blocked = _Blocked(panel, sizes)
    routes = []
    for arrow in arrows:
        ends = panel.places[arrow.source], panel.places[arrow.target]
        lift, away = _LIFT * dist(*ends), _side_away(*ends, panel)
        heights = [0.0, *(away * (bend + copysign(lift, bend)) for bend in _BENDS)]
        curve = blocked.first_free(arrow, [arc(*ends, height) for height in heights])
        routes.append(Route(arrow, _outside(curve, arrow, panel, sizes)))
    return routes


def flowing_routes(panel: Panel, sizes: Sizes, arrows: Iterable[Arrow]) -> list[Route]:
    """Return curves from right sides to left sides, along the panel's lanes."""
    ways = {arrow: _way(panel, arrow) for arrow in arrows}
    starts = _ports([(each.source, way[0], way[1]) for each, way in ways.items()], sizes, side=1)
    ends = _ports([(each.target, way[-1], way[-2]) for each, way in ways.items()], sizes, side=-1)
    return [
        Route(arrow, flow([start, *_lane_ends(way[1:-1], sizes), end]))
        for (arrow, way), start, end in zip(ways.items(), starts, ends, strict=True)
    ]


class _Blocked:
    """Tells how much of a curve runs over what it should pass by."""

    def __init__(self, panel: Panel, sizes: Sizes) -> None:
        self._rectangles = obstacles(panel, sizes)
        self._row = {state: row for row, state in enumerate(panel.places)}
        (left, bottom), (width, height) = panel.corner, panel.size
        self._frame = stack([np.array([left, bottom, left + width, bottom + height])])

    def first_free(self, arrow: Arrow, curves: Sequence[Array]) -> Array:
        """Return the first curve that is free, or else the one that is blocked least."""
        ends = [self._row[arrow.source], self._row[arrow.target]]
        others = np.delete(self._rectangles, ends, axis=0)

        def blocked(curve: Array) -> int:
            drawn = points(curve, _COARSE)
            outside = np.count_nonzero(~inside(drawn, self._frame))
            return int(np.count_nonzero(inside(drawn, others)) + outside)

        for curve in curves:
            if not blocked(curve):
                return curve
        return min(curves, key=blocked)


def _side_away(start: Point, end: Point, panel: Panel) -> int:
    """Return 1 if the left side of an arrow is the farther from the panel's middle, else -1."""
    columns, rows = zip(*panel.places.values(), strict=True)
    across, up = end[0] - start[0], end[1] - start[1]
    right = (min(columns) + max(columns)) / 2 - start[0]
    above = (min(rows) + max(rows)) / 2 - start[1]
    return 1 if across * above - up * right <= 0 else -1


def _outside(curve: Array, arrow: Arrow, panel: Panel, sizes: Sizes) -> Array:
    """Return the part of a curve between the borders of the states it connects."""
    drawn = points(curve, _FINE)
    ends = stack(
        rectangle(panel.places[state], sizes.of(state)) for state in (arrow.source, arrow.target)
    )
    within = inside(drawn, ends)
    start = _FINE[np.argmin(within[:, 0])]
    end = _FINE[::-1][np.argmin(within[::-1, 1])]
    return part(curve, float(start), float(end))


def _way(panel: Panel, arrow: Arrow) -> list[Point]:
    """Return the middles of an arrow's source, lanes and target."""
    lanes = panel.lanes[arrow.source, arrow.target]
    return [panel.places[arrow.source], *lanes, panel.places[arrow.target]]


def _lane_ends(lanes: Iterable[Point], sizes: Sizes) -> Iterator[Point]:
    """Yield where each lane begins and ends: it is as long as a state is wide."""
    for x, y in lanes:
        yield x - sizes.box[0] / 2, y
        yield x + sizes.box[0] / 2, y


def _ports(ends: Sequence[tuple[State, Point, Point]], sizes: Sizes, side: int) -> list[Point]:
    """Return where on a state's left (-1) or right (1) side each arrow ends.

    Each of `ends` is a state, its middle, and where its arrow goes next; arrows are ordered so
    that they do not cross at the state.
    """
    nexts: dict[State, list[float]] = defaultdict(list)
    for state, _, (_, y) in ends:
        nexts[state].append(y)
    ports = []
    for state, (x, y), (_, next_y) in ends:
        rank = sorted(nexts[state]).index(next_y)
        spread = 0 if state == INITIAL else _PORTS * sizes.box[1]
        share = (rank + 0.5) / len(nexts[state]) - 0.5
        ports.append((x + side * sizes.of(state)[0] / 2, y + spread * share))
    return ports


def _heading_box(heading: Heading) -> Array:
    size = (width(heading.text, HEADING_POINTS), HEADING_LINE)
    return rectangle(heading.at, size[::-1] if heading.upright else size)
