"""Rules that say which transitions are allowed, and their algebra.

A rule is a pure function of (source, target). Rules compose by `&`, `|` and `~`; any function of
two states becomes one through `Where`. "Forward" means towards the later values of an axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TypeAlias

from schedplan.errors import RuleError
from schedplan.space import Selection, Space, State

Step: TypeAlias = tuple[int, ...]
"""The difference of two states' levels, axis by axis."""

_MAX_STEPS = 10_000
"""More steps than this are not worth listing: asking about all states is then as fast."""


class Rule(ABC):
    """A predicate over pairs of states.

    Example:
        >>> from schedplan.space import Axis, Space
        >>> space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
        >>> rule = OneStep() & ~Fixed(("rate",))
        >>> rule(space.state(clip=16, rate=0.1), space.state(clip=16, rate=0.01))
        True
        >>> rule(space.state(clip=16, rate=0.1), space.state(clip=32, rate=0.1))
        False
    """

    @abstractmethod
    def __call__(self, source: State, target: State) -> bool:
        """Return whether a model may pass from `source` to `target`."""

    def steps(self, space: Space) -> frozenset[Step] | None:
        """Return steps outside which the rule is never true, or None if it knows no bound.

        Only such steps are tried when the graph is built, which keeps large spaces fast.
        """
        return None

    @property
    def stepwise(self) -> bool:
        """Whether the rule looks at nothing but the step from the source to the target.

        It is then asked about a step once, not wherever the step is possible.
        """
        return False

    def check(self, space: Space) -> None:  # noqa: B027 - most rules name no axis
        """Raise SpaceError if the rule names an axis or a value that `space` does not have."""

    def __and__(self, other: Rule) -> Rule:
        return AllOf((*_parts(AllOf, self), *_parts(AllOf, other)))

    def __or__(self, other: Rule) -> Rule:
        return AnyOf((*_parts(AnyOf, self), *_parts(AnyOf, other)))

    def __invert__(self) -> Rule:
        return Not(self)


@dataclass(frozen=True)
class AllOf(Rule):
    """True where every one of `rules` is; what `&` makes."""

    rules: tuple[Rule, ...]

    def __call__(self, source: State, target: State) -> bool:
        return all(rule(source, target) for rule in self.rules)

    def steps(self, space: Space) -> frozenset[Step] | None:
        known = [steps for rule in self.rules if (steps := rule.steps(space)) is not None]
        return frozenset.intersection(*known) if known else None

    @property
    def stepwise(self) -> bool:
        return all(rule.stepwise for rule in self.rules)

    def check(self, space: Space) -> None:
        for rule in self.rules:
            rule.check(space)


@dataclass(frozen=True)
class AnyOf(Rule):
    """True where at least one of `rules` is; what `|` makes."""

    rules: tuple[Rule, ...]

    def __call__(self, source: State, target: State) -> bool:
        return any(rule(source, target) for rule in self.rules)

    def steps(self, space: Space) -> frozenset[Step] | None:
        union: set[Step] = set()
        for rule in self.rules:
            steps = rule.steps(space)
            if steps is None:
                return None
            union |= steps
        return frozenset(union)

    @property
    def stepwise(self) -> bool:
        return all(rule.stepwise for rule in self.rules)

    def check(self, space: Space) -> None:
        for rule in self.rules:
            rule.check(space)


@dataclass(frozen=True)
class Not(Rule):
    """True where `rule` is not; what `~` makes."""

    rule: Rule

    def __call__(self, source: State, target: State) -> bool:
        return not self.rule(source, target)

    @property
    def stepwise(self) -> bool:
        return self.rule.stepwise

    def check(self, space: Space) -> None:
        self.rule.check(space)


@dataclass(frozen=True)
class Where(Rule):
    """A rule from any function of two states.

    Example:
        >>> from schedplan.space import Axis, Space
        >>> space = Space((Axis("size", (64, 128, 256)),))
        >>> doubling = Where(lambda a, b: b.value("size") == 2 * a.value("size"))
        >>> doubling(space.state(size=64), space.state(size=256))
        False
    """

    function: Callable[[State, State], bool]

    def __call__(self, source: State, target: State) -> bool:
        try:
            return bool(self.function(source, target))
        except Exception as error:
            name = getattr(self.function, "__qualname__", repr(self.function))
            raise RuleError(
                f"the rule {name} cannot judge {source.label} > {target.label}: "
                f"{type(error).__name__}: {error}"
            ) from error


class _Stepwise(Rule):
    """A rule that looks at nothing but the step; its subclasses must keep to that."""

    @property
    def stepwise(self) -> bool:
        return True


@dataclass(frozen=True)
class OneStep(_Stepwise):
    """Exactly one axis moves, by one level, forward (the paper's basic graph, section 3.2)."""

    def __call__(self, source: State, target: State) -> bool:
        moved = [b - a for a, b in zip(source, target, strict=True) if a != b]
        return moved == [1]

    def steps(self, space: Space) -> frozenset[Step]:
        return frozenset(_unit(len(space.axes), {i: 1}) for i in range(len(space.axes)))


@dataclass(frozen=True)
class Trade(_Stepwise):
    """One axis moves one level forward while one of `back` moves one level back.

    With `back=("clip_length",)` this is what the paper's extended graph adds (section 3.2).
    """

    back: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "back", _names(self.back))

    def __call__(self, source: State, target: State) -> bool:
        moved = [(b - a, i) for i, (a, b) in enumerate(zip(source, target, strict=True)) if a != b]
        if sorted(step for step, _ in moved) != [-1, 1]:
            return False
        _, falling = min(moved)
        return source.space.axes[falling].name in self.back

    def steps(self, space: Space) -> frozenset[Step]:
        count = len(space.axes)
        backs = [space.position(axis) for axis in self.back]
        return frozenset(_unit(count, {i: 1, j: -1}) for i in range(count) for j in backs if i != j)

    def check(self, space: Space) -> None:
        _check_axes(space, self.back)


@dataclass(frozen=True)
class Onward(_Stepwise):
    """At least one axis moves forward and no axis moves back, except those in `back`."""

    back: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "back", _names(self.back))

    def __call__(self, source: State, target: State) -> bool:
        free = {source.space.position(axis) for axis in self.back}
        pairs = list(zip(source, target, strict=True))
        return any(b > a for a, b in pairs) and all(
            b >= a or i in free for i, (a, b) in enumerate(pairs)
        )

    def check(self, space: Space) -> None:
        _check_axes(space, self.back)


@dataclass(frozen=True)
class Fixed(_Stepwise):
    """The axes named never change."""

    axes: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", _names(self.axes))

    def __call__(self, source: State, target: State) -> bool:
        return all(source.level(axis) == target.level(axis) for axis in self.axes)

    def check(self, space: Space) -> None:
        _check_axes(space, self.axes)


@dataclass(frozen=True)
class Forward(_Stepwise):
    """The axes named never move back."""

    axes: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", _names(self.axes))

    def __call__(self, source: State, target: State) -> bool:
        return all(target.level(axis) >= source.level(axis) for axis in self.axes)

    def check(self, space: Space) -> None:
        _check_axes(space, self.axes)


@dataclass(frozen=True)
class MaxStep(_Stepwise):
    """The axes named (all, when none is) move by at most `levels` levels, in either direction."""

    levels: int
    axes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise RuleError(f"levels must be at least 1, not {self.levels}")
        object.__setattr__(self, "axes", _names(self.axes))

    def __call__(self, source: State, target: State) -> bool:
        axes = self.axes or [axis.name for axis in source.space.axes]
        return all(abs(target.level(axis) - source.level(axis)) <= self.levels for axis in axes)

    def steps(self, space: Space) -> frozenset[Step] | None:
        bounded = [not self.axes or axis.name in self.axes for axis in space.axes]
        reach = [
            min(self.levels, len(axis.values) - 1) if bound else len(axis.values) - 1
            for axis, bound in zip(space.axes, bounded, strict=True)
        ]
        if prod(2 * levels + 1 for levels in reach) > _MAX_STEPS:
            return None
        return frozenset(product(*(range(-levels, levels + 1) for levels in reach)))

    def check(self, space: Space) -> None:
        _check_axes(space, self.axes)


@dataclass(frozen=True)
class OneAxis(_Stepwise):
    """At most one axis changes."""

    def __call__(self, source: State, target: State) -> bool:
        return sum(a != b for a, b in zip(source, target, strict=True)) <= 1

    def steps(self, space: Space) -> frozenset[Step]:
        return frozenset(
            _unit(len(space.axes), {position: levels})
            for position, axis in enumerate(space.axes)
            for levels in range(1 - len(axis.values), len(axis.values))
        )


@dataclass(frozen=True)
class Forbid(Rule):
    """No transition from a state in `source` to a state in `target`; left out: any state.

    Both are selections as in `Space.select`.
    """

    source: Selection = field(default_factory=dict)
    target: Selection = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.source and not self.target:
            raise RuleError(
                "forbid needs a source, a target, or both", hint="name at least one axis"
            )

    def __call__(self, source: State, target: State) -> bool:
        return not (_matches(self.source, source) and _matches(self.target, target))

    def check(self, space: Space) -> None:
        for selection in (self.source, self.target):
            space.levels(selection)


def _matches(selection: Selection, state: State) -> bool:
    axes = state.space.axes
    return all(
        state.level(name) in axes[state.space.position(name)].select(chosen)
        for name, chosen in selection.items()
    )


def _check_axes(space: Space, axes: Iterable[str]) -> None:
    for axis in axes:
        space.position(axis)


def _names(axes: str | Iterable[str]) -> tuple[str, ...]:
    """Let the name of one axis stand for a list of one."""
    return (axes,) if isinstance(axes, str) else tuple(axes)


def _unit(count: int, moves: dict[int, int]) -> Step:
    return tuple(moves.get(i, 0) for i in range(count))


def _parts(kind: type[AllOf] | type[AnyOf], rule: Rule) -> Sequence[Rule]:
    return rule.rules if isinstance(rule, kind) else (rule,)
