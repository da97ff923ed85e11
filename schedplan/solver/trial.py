"""One training of a transition from one model, as the search sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from schedplan.frontier import Label
from schedplan.journal import Outcome
from schedplan.pruning import Array, Drop
from schedplan.space import State

END: Final = math.inf
"""As the epoch to train to: until the estimator says stop."""

_ENDED: Final = ("done", "failed")


@dataclass(eq=False, slots=True)
class Trial:
    """One training of a transition from one model; compared by identity.

    Attributes:
        source: the label whose model training begins from.
        target: the state that is trained.
        sign: 1 if scores are maximised, -1 if minimised.
        outcome: what is known so far; None before the model as handed over was evaluated.
        label: the model found, once training has ended well.
        drop: why it was given up, if it was.
        wanted: the epoch to train to; -1 for none.
        busy: whether it is being trained now.
        urgent: whether it goes before all others.
        queued: whether it waits to be handed out.
    """

    source: Label
    target: State
    sign: float = 1.0
    outcome: Outcome | None = None
    label: Label | None = None
    drop: Drop | None = None
    wanted: float = -1
    busy: bool = False
    urgent: bool = False
    queued: bool = False

    @property
    def trained(self) -> int:
        """The last epoch known; -1 if there is none."""
        return len(self.outcome.scores) - 1 if self.outcome else -1

    @property
    def ended(self) -> bool:
        """Whether training has ended by itself, well or not."""
        return self.outcome is not None and self.outcome.status in _ENDED

    @property
    def from_scratch(self) -> bool:
        """Whether training begins from a new model."""
        return self.source.previous is None

    def reached(self, epoch: float) -> bool:
        """Return whether all there is to know about the epochs up to `epoch` is known."""
        if self.outcome is None:
            return epoch < 0
        return len(self.outcome.scores) > epoch or self.outcome.status in _ENDED

    def ended_by(self, epoch: float) -> bool:
        """Return whether training, seen up to `epoch`, has ended; failures show an epoch later."""
        if self.outcome is None or self.outcome.status not in _ENDED:
            return False
        return len(self.outcome.scores) - (self.outcome.status == "done") <= epoch

    def scores(self, epoch: float) -> Array:
        """Return the scores up to `epoch`, higher being better, shape (epochs + 1,)."""
        assert self.outcome is not None
        seen = self.outcome.scores if epoch == END else self.outcome.scores[: int(epoch) + 1]
        return self.sign * np.asarray(seen, dtype=np.float64)


Worth: TypeAlias = Callable[[Array], float]
"""Tells what a training is worth that ends with some scores; higher is better for both."""

Needs: TypeAlias = Sequence[tuple[Trial, float]]
"""Trials, and the epoch that each has to be trained to."""

Steps: TypeAlias = Generator[Needs, None, Any]
"""A part of the search: it yields what it needs and is resumed once that is known."""
