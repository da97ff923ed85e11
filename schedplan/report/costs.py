"""What a search has cost, by state, and about what pruning has saved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from schedplan.report.content import Training


@dataclass(frozen=True)
class StateCost:
    """What the trainings into one state have cost together.

    Attributes:
        state: its label.
        trainings: how many have begun.
        epochs, cost, seconds: spent.
    """

    state: str
    trainings: int
    epochs: int
    cost: float
    seconds: float


@dataclass(frozen=True)
class Saving:
    """What pruning has saved.

    Attributes:
        rules: how many trainings each rule has ended, or kept from beginning.
        spent: the cost of what was pruned, before it was.
        saved: what training it to its end would have cost more, by estimate.
        share: the part of all cost, that saved included, that is saved; in [0, 1).
    """

    rules: Counter[str]
    spent: float
    saved: float
    share: float


def by_state(trainings: Iterable[Training]) -> list[StateCost]:
    """Return what every state that was trained has cost, the dearest first."""
    kin: dict[str, list[Training]] = defaultdict(list)
    for training in trainings:
        if training.scores:
            kin[training.target].append(training)
    costs = [
        StateCost(
            state,
            len(each),
            sum(t.epochs for t in each),
            sum(t.cost for t in each),
            sum(t.seconds for t in each),
        )
        for state, each in kin.items()
    ]
    return sorted(costs, key=lambda each: each.cost, reverse=True)


def saving(trainings: Sequence[Training]) -> Saving | None:
    """Return what pruning has saved; None where nothing was pruned, or nothing ended to tell.

    What was pruned is taken to have gone on as long as, on average, what was trained to its end:
    into the same state, or else into any.

    Example:
        >>> trained = Training("a", "S0", "A", {}, "done", scores=(0.1,) * 11, kept=10, score=0.1)
        >>> pruned = Training("b", "B", "A", {}, "pruned", "", "race", scores=(0.1,) * 5)
        >>> saving([trained, pruned]).saved
        6.0
    """
    pruned = [training for training in trainings if training.status == "pruned"]
    done = [training for training in trainings if training.status == "done"]
    if not pruned or not done:
        return None
    lengths: dict[str, list[int]] = defaultdict(list)
    for training in done:
        lengths[training.target].append(training.epochs)
    typical = fmean(training.epochs for training in done)

    def left(training: Training) -> float:
        whole = fmean(lengths[training.target]) if training.target in lengths else typical
        return max(whole - training.epochs, 0.0) * training.epoch_cost

    saved = sum(map(left, pruned))
    cost = sum(training.cost for training in trainings)
    return Saving(
        rules=Counter(training.rule for training in pruned if training.rule),
        spent=sum(training.cost for training in pruned),
        saved=saved,
        share=saved / (saved + cost) if saved else 0.0,
    )
