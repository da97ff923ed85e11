"""The processes that train one network together, as one of them sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is; they are joined by torch's default process group.

    Args:
        rank: the number of this process, from 0; rank 0 alone measures and writes.
        size: how many there are.
        local: its number among those of this machine.
        neighbours: how many this machine has.

    Example:
        >>> ALONE.sum(1.5, 3), ALONE.gather("mine"), ALONE.broadcast("mine")
        ([1.5, 3], ['mine'], 'mine')
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    neighbours: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def sum(self, *numbers: float) -> list[float]:
        """Return the sums of each rank's numbers, in float64, on every rank."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(sums)
        return sums.tolist()

    def gather(self, value: Any) -> list[Any]:
        """Return each rank's value, in their order, on rank 0; an empty list elsewhere."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.leads else None
        distributed.gather_object(value, values)
        return values or []

    def broadcast(self, value: Any) -> Any:
        """Return the value of rank 0 on every rank."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]


ALONE = Ranks()
"""One process that trains by itself."""
