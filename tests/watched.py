"""Trainers that tests can watch or break."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from schedplan import SimulatedTrainer


class WatchedTrainer(SimulatedTrainer):
    """Appends a line to `diary` for every transition begun and every epoch trained, and obeys
    `orders`: at the n-th epoch trained in this process, raise the exception given."""

    def __init__(self, diary: Path, orders: dict[int, BaseException], problem: int, noise: float):
        super().__init__(problem=problem, noise=noise)
        self._diary, self._orders, self._count = diary, orders, 0

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        self._name = f"{seed}"

    def train_epoch(self):
        self._count += 1
        if self._count in self._orders:
            raise self._orders[self._count]
        metrics = super().train_epoch()
        with self._diary.open("a") as stream:
            stream.write(f"{self._name} {self._epoch}\n")
        return metrics


def watched(
    diary: Path,
    orders: dict[int, BaseException] | None = None,
    problem: int = 0,
    noise: float = 0.02,
) -> partial[WatchedTrainer]:
    return partial(WatchedTrainer, diary, orders or {}, problem, noise)
