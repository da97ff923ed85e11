"""Which hyperparameters mean what to the simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from schedplan.errors import TrainerError
from schedplan.space import Params


@dataclass(frozen=True)
class Roles:
    """Which hyperparameters have which meaning; absent ones have no effect.

    Args:
        rate: the learning rate, a number above 0.
        range: what lets a model see far, such as the clip length, a number above 0.
        strategy: any value; strategies differ by an amount drawn at random.
        highest_rate: the rate at which coarse features are learned fastest.
        shortest, longest: the ends of the range; beyond them its effect stays the same.
    """

    rate: str = "learning_rate"
    range: str = "clip_length"
    strategy: str = "sampling"
    highest_rate: float = 0.04
    shortest: float = 16
    longest: float = 128

    def __post_init__(self) -> None:
        for name in ("highest_rate", "shortest", "longest"):
            _require_positive(name, getattr(self, name))
        if self.longest <= self.shortest:
            raise TrainerError(
                f"longest is {self.longest}",
                allowed=f"numbers above shortest, {self.shortest}",
                path=("longest",),
            )

    def decades(self, params: Params) -> float:
        """Return how many powers of ten the rate lies below the highest one; 0 without a rate."""
        if self.rate not in params:
            return 0.0
        rate = _require_positive(self.rate, params[self.rate])
        return math.log10(self.highest_rate / rate)

    def reach(self, params: Params) -> float:
        """Return where the range lies between shortest (0) and longest (1) on a log scale."""
        if self.range not in params:
            return 0.0
        length = _require_positive(self.range, params[self.range])
        octaves = math.log2(self.longest / self.shortest)
        return min(max(math.log2(length / self.shortest) / octaves, 0.0), 1.0)


def _require_positive(name: str, value: object) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:  # type: ignore[operator]
        raise TrainerError(
            f"{name} is {value!r}, and the simulation needs a number",
            allowed="finite numbers above 0",
            path=(name,),
        )
    return float(value)  # type: ignore[arg-type]
