"""What one hyperparameter goes through in a hand-tuned training: steps, or a cosine."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from schedplan.space import Axis, State

STAIRS: Final = 20
"""A cosine goes down in so many stairs: each is a stage, with an optimiser and evaluation of its
own, so that a stair an epoch would cost a training more than it gains."""


class Course(Protocol):
    """The values of one hyperparameter over a training of any length."""

    @property
    def label(self) -> str:
        """The course in short."""

    @property
    def shortest(self) -> int:
        """The least number of epochs that shows all of it."""

    def at(self, epoch: int, epochs: int) -> Any:
        """Return the value in epoch `epoch` of [0, epochs)."""


@dataclass(frozen=True)
class Steps:
    """Takes one value after the other, for equally many epochs each (paper, section 5.2).

    Example:
        >>> course = Steps((16, 32, 128))
        >>> course.label, [course.at(epoch, 6) for epoch in range(6)]
        ('16>32>128', [16, 16, 32, 32, 128, 128])
    """

    values: tuple[Any, ...]

    @property
    def label(self) -> str:
        return ">".join(map(str, self.values))

    @property
    def shortest(self) -> int:
        return len(self.values)

    def at(self, epoch: int, epochs: int) -> Any:
        return self.values[epoch * len(self.values) // epochs]


@dataclass(frozen=True)
class Cosine:
    """Falls from `first` to `last` along half a cosine (Loshchilov and Hutter, SGDR, 2017), in at
    most `STAIRS` stairs as high as the cosine is in their middle.

    Example:
        >>> course = Cosine(1.0, 0.0)
        >>> course.label, [round(course.at(epoch, 40), 3) for epoch in (0, 1, 19, 20, 39)]
        ('1.0~0.0', [0.998, 0.998, 0.539, 0.461, 0.002])
    """

    first: float
    last: float

    @property
    def label(self) -> str:
        return f"{self.first}~{self.last}"

    @property
    def shortest(self) -> int:
        return 1

    def at(self, epoch: int, epochs: int) -> float:
        stairs = min(STAIRS, epochs)
        share = (epoch * stairs // epochs + 0.5) / stairs
        return self.last + (self.first - self.last) * (1 + math.cos(math.pi * share)) / 2


def is_annealed(axis: Axis) -> bool:
    """Return whether an axis is one that people anneal: its values are numbers that fall, and not
    all of them are whole.

    Example:
        >>> is_annealed(Axis("rate", (1, 0.1, 0.01))), is_annealed(Axis("batch", (64, 32)))
        (True, False)
    """
    values = axis.values
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values)
    if not numbers or len(values) < 2 or all(float(value).is_integer() for value in values):
        return False
    return all(after < before for before, after in itertools.pairwise(values))


def courses(axis: Axis, start: State, final: State) -> Iterator[Course]:
    """Yield the courses of `axis` from its value in `start` to that in `final`.

    One that is annealed takes every level, or falls along a cosine unless something is linked to
    its levels. Any other may leave out levels in between, as clips of 16 frames may be followed by
    clips of 128.
    """
    first, last = start.level(axis.name), final.level(axis.name)
    if first == last:
        yield Steps((axis.values[first],))
        return
    between = range(first + 1, last) if first < last else range(first - 1, last, -1)
    annealed = is_annealed(axis)
    for count in range(len(between), -1, -1):
        for middle in itertools.combinations(between, count):
            yield Steps(tuple(axis.values[level] for level in (first, *middle, last)))
        if annealed:
            break
    if annealed and not any(axis.name in link.of for link in start.space.links):
        yield Cosine(axis.values[first], axis.values[last])
