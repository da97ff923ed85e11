"""How wide a text is, and how a picture words what it shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from schedplan.report.canvas import FONT
from schedplan.space import State

_LONGEST = 22
"""Texts of more characters are broken into several lines."""


@lru_cache(maxsize=4096)
def width(text: str, points: float) -> float:
    """Return the width of one line of `text` in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FONT, size=points)
    return float(text_to_path.get_text_width_height_descent(text, font, False)[0]) / 72


def widest(texts: Iterable[str], points: float) -> float:
    """Return the width in inches of the widest of `texts`; 0 if there is none."""
    return max((width(text, points) for text in texts), default=0.0)


def values(state: State, axes: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that tell a state by its values on `axes`; up to two share a line."""
    space = state.space
    labels = [space.axes[space.position(axis)].labels[state.level(axis)] for axis in axes]
    together = " · ".join(labels)
    short = len(labels) <= 2 and len(together) <= _LONGEST
    return (together,) if short else tuple(labels)


def rounding(scores: Iterable[float]) -> Callable[[float], str]:
    """Return a function that words scores alike: the largest gets three digits.

    Example:
        >>> as_text = rounding([0.5, 0.8125])
        >>> as_text(0.5)
        '0.500'
    """
    peak = max(map(abs, scores), default=0.0)
    decimals = max(0, 2 - math.floor(math.log10(peak))) if peak > 0 else 0
    return lambda score: f"{score:z.{decimals}f}"


def counted(number: int, noun: str) -> str:
    """Return a number and its noun.

    Example:
        >>> counted(1, "state"), counted(2000, "state")
        ('1 state', '2,000 states')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return names as a person lists them, the first few of many.

    Example:
        >>> listed(["a"]), listed(["a", "b"]), listed("abcde")
        ('a', 'a and b', 'a, b, c and 2 more')
    """
    shown, rest = list(names[:most]), len(names) - most
    if rest > 0:
        shown.append(f"{rest} more")
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def duration(seconds: float) -> str:
    """Return a length of time for people.

    Example:
        >>> duration(3700), duration(59)
        ('1 h 1 min', '59 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def exact(value: object) -> str | None:
    """Return what shows a hyperparameter as it is: scores are rounded, what trains is not.

    Example:
        >>> exact(0.000123456), exact([0.1, 2]), exact(None)
        ('0.000123456', '[0.1, 2]', None)
    """
    return None if value is None else str(value)


def printable(text: str) -> str:
    """Return a text without control characters, which neither XML nor HTML knows."""
    return "".join(c if c.isprintable() else " " for c in text)
