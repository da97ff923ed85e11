"""How long trainings take, learned from those that have ended."""

from __future__ import annotations


class Pace:
    """Expects of a training what, on average, those that have ended took.

    Example:
        >>> pace = Pace()
        >>> pace.left(epochs=5, seconds=10.0) is None
        True
        >>> pace.learn(epochs=20, seconds=60.0)
        >>> pace.left(epochs=5, seconds=10.0), pace.left(epochs=0, seconds=0.0)
        (30.0, 60.0)
        >>> pace.share(epochs=5), pace.share(epochs=100)
        (0.25, 0.95)
    """

    def __init__(self) -> None:
        self._ended, self._epochs, self._seconds = 0, 0, 0.0

    def learn(self, epochs: int, seconds: float) -> None:
        """Take in a training that has ended."""
        self._ended += 1
        self._epochs += epochs
        self._seconds += seconds

    def left(self, epochs: int, seconds: float) -> float | None:
        """Return how many seconds a training that has taken so much has left, at its own speed.

        It has an epoch left at least. None until one has ended.
        """
        if not self._epochs:
            return None
        own = seconds / epochs if epochs else self._seconds / self._epochs
        return max(self._epochs / self._ended - epochs, 1) * own

    def share(self, epochs: int) -> float:
        """Return how far a training is, from 0 to not quite 1."""
        return min(epochs * self._ended / self._epochs, _ALMOST) if self._epochs else 0.0


_ALMOST = 0.95
"""A training that is longer than others is not at its end before it is."""
