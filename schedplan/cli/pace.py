"""How long trainings take, learned from those that have ended."""

from __future__ import annotations

from collections.abc import Iterable

from schedplan.journal import TrainingStatus


class Pace:
    """Expects of a training what, on average, those that have ended took.

    Example:
        >>> pace = Pace()
        >>> pace.left(epochs=5, seconds=10.0) is None
        True
        >>> pace.learn("done", epochs=20, seconds=60.0)
        >>> pace.learn("pruned", epochs=4, seconds=20.0)
        >>> pace.left(epochs=5, seconds=10.0), pace.left(epochs=0, seconds=0.0)
        (30.0, 60.0)
        >>> pace.share(epochs=5), pace.share(epochs=100)
        (0.25, 0.95)
        >>> pace.rest(begun=[(5, 10.0), (5, 10.0)], waiting=1, at_work=2)
        50.0
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

    def left(self, epochs: int, seconds: float) -> float | None:
        """Return how many seconds a training that has taken so much has left, at its own speed.

        It has an epoch left at least. None until one is done.
        """
        if not self._done_epochs:
            return None
        own = seconds / epochs if epochs else self._done_seconds / self._done_epochs
        return max(self._done_epochs / self._done - epochs, 1) * own

    def share(self, epochs: int) -> float:
        """Return how far a training is, from 0 to not quite 1."""
        if not self._done_epochs:
            return 0.0
        return min(epochs * self._done / self._done_epochs, _ALMOST)

    def rest(self, begun: Iterable[tuple[int, float]], waiting: int, at_work: int) -> float | None:
        """Return in how many seconds all is trained.

        Args:
            begun: the epochs and seconds that every training under way has taken.
            waiting: how many have not begun; some of these will be pruned, as those before.
            at_work: how many are trained at a time; at least 1.

        Returns:
            The seconds by the clock. None until a training is done.
        """
        left = [self.left(epochs, seconds) for epochs, seconds in begun]
        if not self._done_epochs:
            return None
        return (sum(filter(None, left)) + waiting * self._seconds / self._ended) / at_work


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
