"""Levels of an axis by a formula, for configurations: `axes: {rate: {geometric: {...}}}`.

A run folder and a plan state the levels themselves, whatever made them.
"""

from __future__ import annotations

from math import inf
from typing import TypeAlias

import numpy as np

from schedplan.errors import SpaceError

Number: TypeAlias = int | float

MAX_LEVELS = 1_000
"""How many levels a formula may make."""


def linear(first: int | float, last: int | float, levels: int) -> list[Number]:
    """Return `levels` levels at equal distances.

    Args:
        first, last: where they begin and end; between whole numbers, all are rounded to whole ones,
            and to six digits otherwise.
        levels: how many, from 2 to 1,000.

    Raises:
        SpaceError: for an argument out of bounds.

    Example:
        >>> linear(first=0.0, last=0.3, levels=4)
        [0.0, 0.1, 0.2, 0.3]
    """
    _check(first, last, levels)
    return _rounded(first, np.linspace(first, last, levels), last)


def geometric(first: int | float, last: int | float, levels: int) -> list[Number]:
    """Return `levels` levels at equal ratios.

    Args:
        first, last: above 0, otherwise as in `linear`.
        levels: how many, from 2 to 1,000.

    Raises:
        SpaceError: for an argument out of bounds.

    Example:
        >>> geometric(first=0.1, last=0.001, levels=3)
        [0.1, 0.01, 0.001]
        >>> geometric(first=16, last=100, levels=4)
        [16, 29, 54, 100]
    """
    _check(first, last, levels, above=0)
    return _rounded(first, np.geomspace(first, last, levels), last)


def _check(first: Number, last: Number, levels: int, above: float = -inf) -> None:
    for name, value in (("first", first), ("last", last)):
        if not above < value < inf:
            allowed = "a finite number" if above == -inf else f"a finite number above {above}"
            raise SpaceError(f"{name} is {value}", allowed=allowed, path=(name,))
    if not 2 <= levels <= MAX_LEVELS:
        raise SpaceError(f"levels is {levels}", allowed=f"2 to {MAX_LEVELS:,}", path=("levels",))


def _rounded(first: Number, values: np.ndarray, last: Number) -> list[Number]:
    """Return the values without the noise of their computation, the ends as they were given."""
    whole = isinstance(first, int) and isinstance(last, int)
    between = [round(each) if whole else float(f"{each:.6g}") for each in values[1:-1].tolist()]
    return [first, *between, last]
