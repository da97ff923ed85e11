"""A rule: a pure function of two states, here as a class with options of its own."""

from dataclasses import dataclass
from math import prod

from schedplan.errors import RuleError
from schedplan.rules import Rule


@dataclass(frozen=True)
class ProductAtMost(Rule):
    """Only states whose values on `axes` multiply to `limit` at most, such as what fits in memory.

    Raises:
        RuleError: if `axes` is empty.
    """

    axes: list[str]
    limit: int

    def __post_init__(self):
        if not self.axes:
            raise RuleError("product_at_most needs one or more axes", path=("axes",))

    def __call__(self, source, target):
        return prod(target.value(axis) for axis in self.axes) <= self.limit

    def check(self, space):
        for position, axis in enumerate(self.axes):
            space.position(axis, ("axes", position))
