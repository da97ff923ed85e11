"""How long trainings take, learned from those that have ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schedplan.journal import TrainingStatus


class Taken(NamedTuple):
    """What a training that has not ended has taken.

    Attributes:
        epochs: so far.
        seconds: so far.
        planned: how many epochs it is to have in the end; None: as many as its curve asks for.
    """

    epochs: int = 0
    seconds: float = 0.0
    planned: int | None = None


class Pace:
    """Expects that trainings are as long as planned, or as those that have ended were on average.

    Example:
        >>> pace = Pace()
        >>> pace.left(Taken(epochs=5, seconds=10.0)) is None
        True
        >>> pace.learn("done", epochs=20, seconds=60.0)
        >>> pace.learn("pruned", epochs=4, seconds=20.0)
        >>> pace.left(Taken(epochs=5, seconds=10.0)), pace.left(Taken())
        (30.0, 60.0)
        >>> pace.share(epochs=5), pace.share(epochs=100)
        (0.25, 0.95)
        >>> pace.rest([Taken(5, 10.0), Taken(5, 10.0)], waiting=1, at_work=2)
        50.0
        >>> pace.rest([Taken(5, 10.0, planned=105), Taken(planned=2)])
        206.0
    """

    def __init__(self) -> None:
        self._ended, self._seconds = 0, 0.0
        self._done, self._done_epochs, self._done_seconds = 0, 0, 0.0

    def learn(self, status: TrainingStatus, epochs: int, seconds: float) -> None:
        """Take in a training that has ended, and how: only one that is `done` was a whole one."""
        self._ended += 1
        self._seconds += seconds
        if status == "done":
            self._done += 1
            self._done_epochs += epochs
            self._done_seconds += seconds

    def left(self, taken: Taken) -> float | None:
        """Return how many seconds a training has left, at its own speed once it has one.

        Where its length is not planned, it has an epoch left at least. None while nothing tells how
        long it is, or how fast.
        """
        return self._left(taken, self._speed([taken]))

    def share(self, epochs: int) -> float:
        """Return how far a training is whose length is not planned, from 0 to not quite 1."""
        if not self._done_epochs:
            return 0.0
        return min(epochs * self._done / self._done_epochs, _ALMOST)

    def rest(self, begun: Iterable[Taken], waiting: int = 0, at_work: int = 1) -> float | None:
        """Return in how many seconds all is trained.

        Args:
            begun: what is under way, and what waits but is planned.
            waiting: how many others have not begun; some of these will be pruned, as those before.
            at_work: how many are trained at a time; at least 1.

        Returns:
            The seconds by the clock. None while nobody knows: until a training is done, or an epoch
            where all is planned.
        """
        begun = list(begun)
        speed = self._speed(begun)
        left = [self._left(each, speed) for each in begun]
        if None in left or (waiting and not self._done_epochs):
            return None
        ahead = waiting * self._seconds / self._ended if waiting else 0.0
        return (sum(filter(None, left)) + ahead) / at_work

    def _left(self, taken: Taken, speed: float | None) -> float | None:
        epochs = self._epochs_left(taken)
        if epochs is None or speed is None:
            return None
        return epochs * (taken.seconds / taken.epochs if taken.epochs else speed)

    def _epochs_left(self, taken: Taken) -> float | None:
        if taken.planned is not None:
            return taken.planned - taken.epochs
        if not self._done_epochs:
            return None
        return max(self._done_epochs / self._done - taken.epochs, 1)

    def _speed(self, begun: Iterable[Taken]) -> float | None:
        """Return the seconds of an epoch of what is done or, before anything is, of what is
        begun."""
        if self._done_epochs:
            return self._done_seconds / self._done_epochs
        epochs = sum(each.epochs for each in begun)
        return sum(each.seconds for each in begun) / epochs if epochs else None


def at_work(latest: Iterable[tuple[float, float]]) -> int:
    """Return how many trainings were at work when the last epoch of all was written down.

    That is all but those of which nothing was heard since for longer than their last epoch took.

    Args:
        latest: when the last epoch of every training begun was begun and written down, in seconds.

    Returns:
        The number; at least 1.

    Example:
        >>> at_work([(0.0, 10.0), (4.0, 14.0), (2.0, 5.0)])
        2
    """
    spans = list(latest)
    last = max((written for _, written in spans), default=0.0)
    return max(sum(last - written < written - begun for begun, written in spans), 1)


_ALMOST = 0.95
"""A training that is longer than others is not at its end before it is."""
