"""Members of teams that do what a rank may do; processes import them from here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from schedplan.errors import NotFiniteError, UsageError
from schedplan_video.ranks import Ranks


class Member:
    """Does what a rank may do, and what may go wrong with one."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def add(self, number: float) -> list[float]:
        """Return the sum over ranks of (rank + 1) times `number`."""
        return self.ranks.sum((self.ranks.rank + 1) * number)

    def everyone(self) -> list[tuple[Ranks, int]]:
        """Return all ranks, with the numbers of their processes."""
        return self.ranks.gather((self.ranks, os.getpid()))

    def told(self) -> int:
        return self.ranks.broadcast(self.ranks.rank)

    def fail(self) -> None:
        raise NotFiniteError("the loss became nan")

    def break_down(self, rank: int) -> None:
        if self.ranks.rank == rank:
            raise ValueError("mine")

    def open(self, rank: int, file: Path) -> None:
        if self.ranks.rank == rank:
            file.open()

    def refuse(self, rank: int) -> None:
        """Let one rank raise an error for which the others wait."""
        if self.ranks.rank == rank:
            raise UsageError("it is broken", where="it.mp4")
        self.ranks.sum(0)

    def die(self, rank: int) -> None:
        if self.ranks.rank == rank:
            os.kill(os.getpid(), signal.SIGKILL)
        self.ranks.sum(0)

    def hang(self, rank: int) -> None:
        if self.ranks.rank == rank:
            time.sleep(600)
        self.ranks.sum(0)
