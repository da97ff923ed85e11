"""The parts of a picture: panels of states and their headings.

All lengths are inches, x to the right and y upwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from schedplan.graph import Transition
from schedplan.space import INITIAL, State

Point: TypeAlias = tuple[float, float]

HEADING_POINTS = 8.5
"""The font size of headings."""

HEADING_LINE = 0.2
"""The height of a line of headings."""


@dataclass(frozen=True)
class Sizes:
    """How much room states take.

    Attributes:
        box: width and height of a state.
        gap: the free room between neighbours, across and down.
        lane: the height of a lane for a transition that passes a layer by; 0 for no lanes.
        levels: whether a table has room to name its levels.
    """

    box: Point
    gap: Point
    lane: float
    levels: bool

    @property
    def pitch(self) -> Point:
        """The distance between the centres of neighbours."""
        return self.box[0] + self.gap[0], self.box[1] + self.gap[1]

    @property
    def initial(self) -> float:
        """The diameter of `INITIAL`."""
        return min(self.box[1], 0.42)

    def of(self, state: State) -> Point:
        """Return the width and height of `state`."""
        return (self.initial, self.initial) if state == INITIAL else self.box


@dataclass(frozen=True)
class Heading:
    """A text beside the states.

    Attributes:
        text: one line.
        at: the middle of the text.
        kind: what it names.
        upright: whether it reads from bottom to top.
    """

    text: str
    at: Point
    kind: Literal["panel", "axis", "level"]
    upright: bool = False

    def moved(self, x: float, y: float) -> Heading:
        """Return the heading, `x` further right and `y` further up."""
        return replace(self, at=(self.at[0] + x, self.at[1] + y))


@dataclass(frozen=True)
class Panel:
    """One part of the picture, with a place of its own for `INITIAL`.

    Attributes:
        places: the middle of every state.
        size: width and height.
        headings: the panel's title, axes and levels.
        lanes: the way of every transition past the layers between its ends.
        corner: the lower left.
    """

    places: Mapping[State, Point]
    size: Point
    headings: tuple[Heading, ...] = ()
    lanes: Mapping[Transition, tuple[Point, ...]] = field(default_factory=dict)
    corner: Point = (0.0, 0.0)

    def moved(self, x: float, y: float) -> Panel:
        """Return the panel, `x` further right and `y` further up."""
        return replace(
            self,
            corner=(self.corner[0] + x, self.corner[1] + y),
            places={state: (a + x, b + y) for state, (a, b) in self.places.items()},
            headings=tuple(heading.moved(x, y) for heading in self.headings),
            lanes={
                edge: tuple((a + x, b + y) for a, b in lane) for edge, lane in self.lanes.items()
            },
        )

    def titled(self, title: str) -> Panel:
        """Return the panel with a title above it; the same panel if the title is empty."""
        if not title:
            return self
        width, height = self.size
        heading = Heading(title, (width / 2, height + HEADING_LINE), "panel")
        return replace(
            self,
            size=(width, height + 1.5 * HEADING_LINE),
            headings=(*self.headings, heading),
        )
