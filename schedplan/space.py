"""The space of hyperparameters: axes with their levels, links that follow them, and states.

Everything here is pure data. A `State` fixes one level on every axis; a `Link` is a table over
one or more axes, so a batch size, say, can follow the clip length; `Space.params` gives both.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import numpy as np

from schedplan.errors import SpaceError, did_you_mean

Params: TypeAlias = Mapping[str, Any]
"""All hyperparameters of a state by name: the values of its axes and links."""

Selection: TypeAlias = Mapping[str, Any]
"""Which levels of each axis: `first`, `last`, one value or a list of values; left out: any."""

MAX_SELECTED = 1_000_000
"""How many states one selection may name."""

_NAME = re.compile(r"[A-Za-z_]\w*")
_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Axis:
    """One hyperparameter and its levels, in the order in which training moves forward.

    Args:
        name: letters, digits and underscores.
        values: one or more distinct values; numbers, strings, booleans, null or lists of them.

    Raises:
        SpaceError: for a bad name, no values, or a value that appears twice.

    Example:
        >>> Axis("learning_rate", (0.04, 0.004, 0.0004)).level(0.004)
        1
    """

    name: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        _check_name("axis", self.name)
        path = ("axes", self.name)
        if not isinstance(self.values, (list, tuple, np.ndarray)) or not len(self.values):
            raise SpaceError(
                f"the axis {self.name!r} has no values", allowed="a list of values", path=path
            )
        object.__setattr__(self, "values", tuple(map(_frozen, self.values)))
        for position, value in enumerate(self.values):
            if not _is_plain(value):
                raise SpaceError(
                    f"the axis {self.name!r} has the value {value!r}",
                    allowed="numbers, strings, booleans, null, or lists of them",
                    path=(*path, position),
                )
            if value in self.values[:position]:
                raise SpaceError(
                    f"the axis {self.name!r} has the value {value!r} twice",
                    hint="give every level once",
                    path=(*path, position),
                )

    def level(self, value: Any) -> int:
        """Return the level (0 first) of `value`; SpaceError if the axis does not have it."""
        frozen = _frozen(value)
        if frozen not in self.values:
            raise SpaceError(
                f"the axis {self.name!r} has no value {value!r}",
                allowed=list(map(str, self.values)),
                hint=did_you_mean(value, map(str, self.values)),
            )
        return self.values.index(frozen)

    def select(self, chosen: Any, path: tuple[str | int, ...] = ()) -> list[int]:
        """Return the levels that `chosen` names: `first`, `last`, one value or a list of values.

        Example:
            >>> Axis("clip_length", (16, 32, 128)).select([16, 32])
            [0, 1]
        """
        if chosen in ("first", "last") and chosen not in self.values:
            return [0 if chosen == "first" else len(self.values) - 1]
        several = isinstance(chosen, (list, tuple)) and _frozen(chosen) not in self.values
        values = chosen if several else [chosen]
        levels = {self.level(value) for value in values if _frozen(value) in self.values}
        unknown = [value for value in values if _frozen(value) not in self.values]
        if unknown or not levels:
            raise SpaceError(
                f"the axis {self.name!r} has no value {unknown[0]!r}"
                if unknown
                else f"no value of the axis {self.name!r} is selected",
                allowed=["first", "last", *map(str, self.values)],
                path=path,
            )
        return sorted(levels)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """A short text per level, distinct even where letter case is ignored; safe in file names.

        None holds `_`, which joins them to the label of a state, nor is any `S0`, the label of the
        initial state.

        Example:
            >>> Axis("size", ((112, 112), (224, 224), "Big one", "big_one")).labels
            ('112-112', '224-224', 'Big-one~2', 'big-one~3')
        """
        plain = [re.sub(r"\(|\)|'", "", str(value)) for value in self.values]
        plain = [re.sub(r"(?:[^\w.+-]|_)+", "-", text)[:24].lstrip(".") for text in plain]
        folded = [label.casefold() for label in plain]
        return tuple(
            f"{label}~{level}" if folded.count(fold) > 1 or fold in ("", "s0") else label
            for level, (label, fold) in enumerate(zip(plain, folded, strict=True))
        )


@dataclass(frozen=True)
class Link:
    """A hyperparameter that follows one or more axes by a table.

    Args:
        name: the hyperparameter's name.
        of: the names of the axes it follows.
        values: nested lists, one nesting per axis of `of`, as long as that axis has levels.

    Example:
        >>> Link("batch_size", of=("clip_length",), values=(16, 8, 4)).values
        (16, 8, 4)
    """

    name: str
    of: tuple[str, ...]
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        _check_name("link", self.name)
        of = (self.of,) if isinstance(self.of, str) else tuple(self.of)
        if not of or len(set(of)) != len(of):
            raise SpaceError(
                f"the link {self.name!r} must follow one or more different axes, not {list(of)}",
                path=("links", self.name, "of"),
            )
        object.__setattr__(self, "of", of)
        object.__setattr__(self, "values", _frozen(self.values))

    def check(self, sizes: Sequence[int]) -> None:
        """Raise SpaceError unless the table's shape is `sizes`, the axes' numbers of levels."""

        def descend(table: Any, depth: int, path: tuple[str | int, ...]) -> None:
            if depth == len(sizes):
                return
            found = len(table) if isinstance(table, tuple) else None
            if found != sizes[depth]:
                what = "is no list" if found is None else f"has {found} entries"
                raise SpaceError(
                    f"in the link {self.name!r}, the table {what} where the axis "
                    f"{self.of[depth]!r} has {sizes[depth]} levels",
                    allowed=f"nested lists of shape {' x '.join(map(str, sizes))}",
                    path=path,
                )
            for position, entry in enumerate(table):
                descend(entry, depth + 1, (*path, position))

        descend(self.values, 0, ("links", self.name, "values"))


class State(tuple[int, ...]):
    """One level per axis of a space, in the space's order; hashable, compared by its levels.

    `state.value("clip_length")` is the axis' value, `state.level("clip_length")` its level.
    """

    space: Space

    def __new__(cls, levels: Sequence[int], space: Space) -> State:
        state = super().__new__(cls, levels)
        state.space = space
        return state

    def __reduce__(self) -> tuple[type[State], tuple[tuple[int, ...], Space]]:
        return State, (tuple(self), self.space)

    def level(self, axis: str) -> int:
        """Return the level on the axis named `axis`."""
        return self[self.space.position(axis)]

    def value(self, axis: str) -> Any:
        """Return the value on the axis named `axis`."""
        position = self.space.position(axis)
        return self.space.axes[position].values[self[position]]

    @property
    def label(self) -> str:
        """A text that names the state within its space, e.g. `uniform_16_0.04`."""
        if not self:
            return "S0"
        return "_".join(a.labels[n] for a, n in zip(self.space.axes, self, strict=True))

    def __repr__(self) -> str:
        return f"<State {self.label}>"


@dataclass(frozen=True)
class Space:
    """All axes and links.

    Raises:
        SpaceError: for a name given twice, a link to an unknown axis, or one of the wrong shape.

    Example:
        >>> space = Space(
        ...     axes=(Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))),
        ...     links=(Link("batch", of=("clip",), values=(8, 4)),),
        ... )
        >>> space.params(space.state(clip=32, rate=0.1))
        {'clip': 32, 'rate': 0.1, 'batch': 4}
        >>> space.size
        4
    """

    axes: tuple[Axis, ...]
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(self.axes))
        object.__setattr__(self, "links", tuple(self.links))
        names: set[str] = set()
        for kind, item in [("axes", a) for a in self.axes] + [("links", k) for k in self.links]:
            if item.name in names:
                raise SpaceError(f"the name {item.name!r} is used twice", path=(kind, item.name))
            names.add(item.name)
        for link in self.links:
            where = ("links", link.name, "of")
            link.check([len(self.axes[self.position(a, where)].values) for a in link.of])

    @property
    def size(self) -> int:
        """The number of states: the product of the axes' numbers of levels."""
        return prod(len(axis.values) for axis in self.axes)

    def position(self, axis: str, path: tuple[str | int, ...] = ()) -> int:
        """Return the index of the axis named `axis`; SpaceError with the nearest name if none."""
        try:
            return self._positions[axis]
        except (KeyError, TypeError):
            raise SpaceError(
                f"there is no axis {axis!r}",
                allowed=self._positions,
                hint=did_you_mean(axis, self._positions),
                path=path,
            ) from None

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {axis.name: position for position, axis in enumerate(self.axes)}

    def state(self, **values: Any) -> State:
        """Return the state with these axis values, one for every axis."""
        absent = [axis.name for axis in self.axes if axis.name not in values]
        if absent:
            raise SpaceError(f"a state needs a value for every axis; missing: {', '.join(absent)}")
        for name in values:
            self.position(name)
        return State([axis.level(values[axis.name]) for axis in self.axes], self)

    def states(self) -> Iterator[State]:
        """Yield every state, the last axis moving fastest."""
        for levels in itertools.product(*(range(len(axis.values)) for axis in self.axes)):
            yield State(levels, self)

    def params(self, state: State) -> dict[str, Any]:
        """Return all hyperparameters of `state`: axis values first, then links."""
        params = {
            axis.name: _plain(axis.values[n]) for axis, n in zip(self.axes, state, strict=True)
        }
        for link in self.links:
            value: Any = link.values
            for axis in link.of:
                value = value[state.level(axis)]
            params[link.name] = _plain(value)
        return params

    def facts(self) -> dict[str, Any]:
        """Return axes and links as plain data, the way a configuration states them."""
        return {
            "axes": {axis.name: _plain(axis.values) for axis in self.axes},
            "links": {
                link.name: {"of": list(link.of), "values": _plain(link.values)}
                for link in self.links
            },
        }

    def levels(self, selection: Selection, path: tuple[str | int, ...] = ()) -> list[list[int]]:
        """Return the levels that `selection` leaves on each axis; SpaceError if it does not fit."""
        levels = [list(range(len(axis.values))) for axis in self.axes]
        for name, chosen in selection.items():
            position = self.position(name, (*path, name))
            levels[position] = self.axes[position].select(chosen, (*path, name))
        return levels

    def select(self, selection: Selection, path: tuple[str | int, ...] = ()) -> list[State]:
        """Return the states that `selection` names, in the order of `states`.

        Example:
            >>> space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
            >>> space.select({"rate": "first", "clip": [16, 32]})
            [<State 16_0.1>, <State 32_0.1>]
        """
        levels = self.levels(selection, path)
        if prod(map(len, levels)) > MAX_SELECTED:
            raise SpaceError(
                f"{prod(map(len, levels)):,} states are selected",
                allowed=f"at most {MAX_SELECTED:,}",
                hint="name values of more axes",
                path=path,
            )
        return [State(each, self) for each in itertools.product(*levels)]


INITIAL = State((), Space(axes=()))
"""S0, the model before any training: the one state of the space without axes."""


def names_in(settings: Iterable[Params]) -> tuple[str, ...]:
    """Return the hyperparameters that any of the settings has, in the order of their appearance.

    Example:
        >>> names_in([{"rate": 0.1}, {"rate": 0.1, "batch": 8}])
        ('rate', 'batch')
    """
    return tuple(dict.fromkeys(name for params in settings for name in params))


def changing_in(settings: Sequence[Params]) -> tuple[str, ...]:
    """Return those of `names_in` whose values are not all equal; None where a setting lacks one.

    Example:
        >>> changing_in([{"rate": 0.1}, {"rate": 0.1, "batch": 8}])
        ('batch',)
    """
    return tuple(
        name
        for name in names_in(settings)
        if any(params.get(name) != settings[0].get(name) for params in settings)
    )


def _check_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpaceError(
            f"{name!r} is no name for {'an' if kind == 'axis' else 'a'} {kind}",
            allowed="letters, digits and underscores, not starting with a digit",
            path=("axes" if kind == "axis" else "links", str(name)),
        )


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _SCALARS) and value == value  # NaN equals nothing, itself included


def _frozen(value: Any) -> Any:
    """Return plain Python values, hashable where they can be."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(map(_frozen, value))
    return value.item() if isinstance(value, np.generic) else value


def _plain(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, tuple) else value
