"""Which of the models found for a state are kept to go on from: the best, a beam, a Pareto front.

A `Label` is a model and the path that led to it. A frontier is a frozen strategy that says which
labels of one state to keep, and what a label not trained to its end has to reach to be kept too.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schedplan.checks import require_whole
from schedplan.journal import Outcome
from schedplan.space import State


@dataclass(eq=False, slots=True)
class Label:
    """A model found for a state, and the path that led to it; compared by identity.

    It never changes. That it is not `frozen` is for speed: there is one for every transition.

    Attributes:
        state: the state.
        outcome: how the last transition ended; None for `INITIAL`.
        previous: the label that this one was trained from; None for `INITIAL`.
        epochs: the length of the path in epochs.
        cost: what these epochs cost together, at least 0.
        value: the score, its sign such that higher is better; -inf for `INITIAL`.
    """

    state: State
    outcome: Outcome | None = None
    previous: Label | None = None
    epochs: int = 0
    cost: float = 0.0
    value: float = -math.inf

    @property
    def snapshot(self) -> str | None:
        """The model, relative to the run folder; None for `INITIAL`."""
        return self.outcome.snapshot if self.outcome else None

    @property
    def identity(self) -> str | None:
        """Tells the model, and all that led to it, from any other; None for `INITIAL`."""
        return self.outcome.identity if self.outcome else None

    @property
    def path(self) -> list[Label]:
        """The labels from `INITIAL` to this one."""
        labels: list[Label] = []
        label: Label | None = self
        while label is not None:
            labels.append(label)
            label = label.previous
        return labels[::-1]

    @property
    def merit(self) -> tuple[float, int]:
        """What labels are ranked by, higher being better: the score, then fewer epochs."""
        return self.value, -self.epochs


def best_label(labels: Sequence[Label]) -> Label:
    """Return the label of highest merit, the first one where several are equal."""
    return max(labels, key=lambda label: label.merit)


class Frontier(ABC):
    """A strategy that chooses which labels of one state to keep."""

    @abstractmethod
    def keep(self, labels: Sequence[Label]) -> list[Label]:
        """Return those of `labels` to go on from, best score first; earlier ones win ties."""

    @abstractmethod
    def bar(self, kept: Sequence[Label], cost: float) -> float:
        """Return the value below which a further label would not be kept.

        Args:
            kept: what `keep` has returned for the labels known.
            cost: the least that the further label can cost.
        """


@dataclass(frozen=True)
class Beam(Frontier):
    """Keep the `width` best labels by score; ties go to shorter paths.

    Raises:
        ConfigError: if `width` is no whole number of at least 1.
    """

    width: int

    def __post_init__(self) -> None:
        require_whole("beam", self.width, at_least=1)

    def keep(self, labels: Sequence[Label]) -> list[Label]:
        return sorted(labels, key=lambda label: label.merit, reverse=True)[: self.width]

    def bar(self, kept: Sequence[Label], cost: float) -> float:
        return kept[-1].value if len(kept) == self.width else -math.inf


BEST: Final = Beam(1)
"""Keep the best label alone: the paper's dynamic program."""


@dataclass(frozen=True)
class Pareto(Frontier):
    """Keep the labels that no other one beats in both score and cost, the best scores first.

    Args:
        width: how many to keep at most. A front grows with every state, and so does the search:
            two labels a state took 1.4 times the epochs of one in trials.

    Raises:
        ConfigError: if `width` is no whole number of at least 1.
    """

    width: int = 2

    def __post_init__(self) -> None:
        require_whole("pareto", self.width, at_least=1)

    def keep(self, labels: Sequence[Label]) -> list[Label]:
        front: list[Label] = []
        for label in sorted(labels, key=lambda label: (-label.value, label.cost)):
            if not front or label.cost < front[-1].cost:
                front.append(label)
        return front[: self.width]

    def bar(self, kept: Sequence[Label], cost: float) -> float:
        least = kept[-1].value if len(kept) == self.width else -math.inf
        return max((label.value for label in kept if label.cost <= cost), default=least)


def best() -> Frontier:
    """Return `BEST`."""
    return BEST


FRONTIERS: Final[Mapping[str, Callable[..., Frontier]]] = {
    "best": best,
    "beam": Beam,
    "pareto": Pareto,
}
"""What makes every frontier, by its name in configurations."""
