"""Checks of arguments, made once, in constructors: name, value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real
from pathlib import Path

from schedplan.errors import ConfigError, UsageError, did_you_mean


def require_whole(
    name: str, value: object, at_least: int, *, error: type[UsageError] = ConfigError
) -> None:
    """Raise `error` unless `value` is a whole number of at least `at_least`.

    Example:
        >>> require_whole("width", 0, at_least=1)
        Traceback (most recent call last):
        schedplan.errors.ConfigError: width is 0; allowed: whole numbers of at least 1
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < at_least:
        allowed = f"whole numbers of at least {at_least}"
        raise error(f"{name} is {value!r}", allowed=allowed, path=(name,))


def require_number(
    name: str,
    value: object,
    lowest: float,
    highest: float = math.inf,
    *,
    error: type[UsageError] = ConfigError,
) -> None:
    """Raise `error` unless `value` is a number from `lowest` to `highest`, both included."""
    number = not isinstance(value, bool) and isinstance(value, Real)
    if not number or not lowest <= float(value) <= highest:  # type: ignore[arg-type]
        bounds = (
            f"of at least {lowest:g}" if highest == math.inf else f"from {lowest:g} to {highest:g}"
        )
        raise error(f"{name} is {value!r}", allowed=f"numbers {bounds}", path=(name,))


def require_choice(
    name: str, value: object, allowed: Collection[str], *, error: type[UsageError] = ConfigError
) -> None:
    """Raise `error` unless `value` is one of the texts `allowed`."""
    if value not in allowed:
        hint = did_you_mean(value, allowed)
        raise error(f"{name} is {value!r}", allowed=allowed, hint=hint, path=(name,))


def require_suffix(file: Path, suffixes: Collection[str]) -> None:
    """Raise `UsageError` unless the name of a file to write ends in one of `suffixes`, in capitals
    or not.

    Example:
        >>> require_suffix(Path("graph.gif"), [".svg", ".png"])
        Traceback (most recent call last):
        schedplan.errors.UsageError: cannot write 'graph.gif'; allowed: names ending in .svg, .png
    """
    if file.suffix.lower() not in suffixes:
        allowed = f"names ending in {', '.join(suffixes)}"
        raise UsageError(f"cannot write {file.name!r}", allowed=allowed)
