"""A training that is gone on with, some times, when the process that was at it is lost."""

from __future__ import annotations

from typing import Final

from schedplan.errors import DamagedSnapshotError, WorkerLostError
from schedplan.journal import Outcome, RunFolder, is_sound

RETRIES: Final = 2
"""How many attempts may be lost without an epoch between before a training has failed."""


class Losses:
    """Counts how often in a row a training is lost without an epoch more.

    Example:
        >>> losses = Losses()
        >>> [losses.another(epochs) for epochs in (3, 3, 4)]
        [1, 2, 1]
    """

    def __init__(self) -> None:
        self._number = self._epochs = 0

    def another(self, epochs: int) -> int:
        """Take in a loss after so many epochs; return how many there were since the last one."""
        if epochs > self._epochs:
            self._number, self._epochs = 0, epochs
        self._number += 1
        return self._number


class Training:
    """One training of a transition, as its run's holder sees it.

    Args:
        run: the run folder.
        key: the training's name in it.
        origin: the identity of the model that training begins from; None for a new one.
        seed: what the trainer is begun with.

    Attributes:
        folder: where it is written down.
        attempt: the number of the attempt under way, which is begun.
    """

    def __init__(self, run: RunFolder, key: str, origin: str | None, seed: int) -> None:
        self.folder = run.transition(key)
        self.attempt = self.folder.begin_attempt(origin)
        self._run, self._origin, self._seed = run, origin, seed
        self._losses = Losses()

    def go_on(self, error: WorkerLostError | DamagedSnapshotError) -> Outcome | None:
        """Begin an attempt in place of one that ended with `error`; without a damaged snapshot.

        Returns:
            How the training has failed, to be published, if too many attempts were lost; or None.

        Raises:
            DamagedSnapshotError: snapshots are damaged again and again.
        """
        lost = self._losses.another(len(self.folder.records()))
        if isinstance(error, DamagedSnapshotError):
            if lost > RETRIES:
                raise error
            if not is_sound(self._run.path / error.snapshot):  # another machine may see it late
                self._run.remove(error.snapshot)
        elif lost > RETRIES:
            return self._failed(f"{lost} times, {error}")
        self.attempt = self.folder.begin_attempt(self._origin)
        return None

    def _failed(self, reason: str) -> Outcome:
        records = self.folder.records()
        return Outcome(
            status="failed",
            reason=reason,
            epoch=0,
            score=None,
            scores=tuple(record.score for record in records),
            snapshot=None,
            origin=self._origin,
            seed=self._seed,
            seconds=sum(record.seconds for record in records),
        )
