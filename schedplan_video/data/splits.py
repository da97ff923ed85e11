"""Splitting videos into training, validation and test sets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from schedplan.errors import UsageError

SPLITS = ("train", "val", "test")


def assign_splits(
    labels: Sequence[int],
    groups: Sequence[str],
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> list[str]:
    """Split videos so that every class has its share in each split and no group is parted.

    The groups, shuffled, go one after the other, the largest first, to the split that still lacks
    most of what the group holds. Where every video is a group of its own, a class is off its share
    by less than one video; a class of very few videos may miss a split.

    Args:
        labels: class of every video.
        groups: group of every video.
        fractions: share of train, val and test; not negative, they sum to 1.
        seed: decides the shuffling.

    Returns:
        one of `SPLITS` for every video.

    Raises:
        UsageError: fractions that are not shares.

    Example:
        >>> sorted(assign_splits([0] * 5, ["a", "b", "c", "d", "e"]))
        ['test', 'train', 'train', 'train', 'val']
    """
    if len(fractions) != len(SPLITS) or min(fractions) < 0 or not np.isclose(sum(fractions), 1):
        raise UsageError(
            f"the fractions {fractions} are no shares",
            allowed=f"one for each of {', '.join(SPLITS)}, from 0 to 1, with the sum 1",
        )
    held: dict[str, Counter[int]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        held[group][label] += 1
    shuffled = np.random.default_rng(seed).permutation(sorted(held)).tolist()
    totals = Counter(labels)
    lacking = [{label: share * totals[label] for label in totals} for share in fractions]
    chosen = {}
    for group in sorted(shuffled, key=lambda name: -held[name].total()):
        gains = [sum(n * lack[label] for label, n in held[group].items()) for lack in lacking]
        chosen[group] = int(np.argmax(gains))
        for label, count in held[group].items():
            lacking[chosen[group]][label] -= count
    return [SPLITS[chosen[group]] for group in groups]
