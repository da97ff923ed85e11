"""Splitting videos: which are set aside to validate or to test, and which stay for training."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from schedplan.errors import UsageError

SPLITS = ("train", "val", "test")
"""Training videos; those that planning validates on, taken from the training videos; the official
validation or test set, never touched while planning."""


def split_names(split: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of one split or several, each once; UsageError if there is none.

    Example:
        >>> split_names("train"), split_names(["train", "val"])
        (('train',), ('train', 'val'))
    """
    names = (split,) if isinstance(split, str) else tuple(dict.fromkeys(split))
    if not names:
        raise UsageError("no split is named", allowed=SPLITS)
    return names


def quantity(text: int | str, total: int, name: str) -> float:
    """Return how many of `total` videos `text` means.

    Args:
        text: a number such as 20, or a share such as "1%".
        total: the videos that a share is of.
        name: of the option, for the message.

    Raises:
        UsageError: neither of both, or out of bounds.

    Example:
        >>> quantity("1%", 250, "allow_missing")
        2.5
    """
    share = str(text).endswith("%")
    try:
        number = float(str(text)[:-1]) / 100 if share else float(int(str(text)))
    except ValueError:
        number = -1.0
    if not 0 <= number <= (1 if share else float("inf")):
        raise UsageError(
            f"{name} is {text!r}", allowed="a number of videos such as 20, or a share such as 1%"
        )
    return number * total if share else number


def hold_out(labels: Sequence[int], groups: Sequence[str], size: int, seed: int = 0) -> list[bool]:
    """Choose `size` videos, every class by its share, without parting a group.

    What is chosen is a function of the set of videos and the seed, not of their order. Of every
    class at least one group stays. A group of several classes is chosen while that brings the
    classes nearer to their shares, the largest first; groups of one class then fill up what each
    class lacks, as far as their sizes allow, and what one cannot fill goes to the next.

    Where every video is a group of its own, exactly `size` are chosen if so many can be, and a
    class is off its share by less than one video unless its last video would have to go. Else it
    may be fewer than `size`, never more.

    Args:
        labels: class of every video.
        groups: group of every video, such as one recording; unique for a video without one.
        size: how many to choose.
        seed: decides which.

    Returns:
        whether each video is chosen.

    Raises:
        UsageError: `size` is negative, or leaves nothing.

    Example:
        >>> hold_out([0, 0, 0, 1, 1, 1], ["a", "a", "b", "c", "d", "e"], size=2)
        [False, False, True, True, False, False]
    """
    if not 0 <= size < max(len(labels), 1):
        raise UsageError(
            f"{size} of {len(labels)} videos cannot be set aside", allowed="fewer than there are"
        )
    held: dict[str, Counter[int]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        held[group][label] += 1
    names = sorted(held)
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    shuffled = {group: held[group] for group in order}
    staying = Counter(labels)
    lacking = _shares(size, staying)
    chosen = _choose_mixed(shuffled, lacking, staying) | _choose_pure(shuffled, lacking, staying)
    return [group in chosen for group in groups]


def _shares(size: int, totals: Counter[int]) -> Counter[int]:
    """Divide `size` among the classes in proportion to `totals`, by largest remainders."""
    videos = totals.total()
    shares = Counter({label: size * totals[label] // videos for label in totals})
    by_remainder = sorted(totals, key=lambda label: (-(size * totals[label] % videos), label))
    shares.update(by_remainder[: size - shares.total()])
    return shares


def _choose_mixed(
    held: Mapping[str, Counter[int]], lacking: Counter[int], staying: Counter[int]
) -> set[str]:
    """Choose among the groups of several classes, and take them off both counts."""
    chosen = set()
    mixed = [group for group in held if len(held[group]) > 1]
    for group in sorted(mixed, key=lambda group: -held[group].total()):
        counts = held[group]
        # The sum of squares of what the classes lack would fall.
        nearer = sum(n * (2 * lacking[label] - n) for label, n in counts.items()) > 0
        stays = all(staying[label] > n for label, n in counts.items())
        if nearer and stays and counts.total() <= lacking.total():
            chosen.add(group)
            lacking.subtract(counts)
            staying.subtract(counts)
    return chosen


def _choose_pure(
    held: Mapping[str, Counter[int]], lacking: Counter[int], staying: Counter[int]
) -> set[str]:
    """Choose among the groups of one class, to fill up what is lacking."""
    pure = defaultdict(list)
    for group, counts in held.items():
        if len(counts) == 1:
            pure[next(iter(counts))].append(group)
    chosen: set[str] = set()
    # What the classes before could not fill, or have too much; those with most groups come last.
    missed = sum(min(lacking[label], 0) for label in lacking)
    for label in sorted(lacking, key=lambda label: (len(pure[label]), label)):
        missed += max(lacking[label], 0)
        sizes = [held[group][label] for group in pure[label]]
        picked = _pick(sizes, min(missed, staying[label] - 1))
        chosen.update(pure[label][index] for index in picked)
        missed -= sum(sizes[index] for index in picked)
    return chosen


def _pick(sizes: Sequence[int], target: int) -> list[int]:
    """Return indices of `sizes` that sum up to `target`, or to the nearest sum below it."""
    target = max(target, 0)
    sums = [1]  # bit n of item i: some of the first i sizes sum up to n
    for size in sizes:
        if sums[-1] >> target & 1:
            break
        sums.append((sums[-1] | sums[-1] << size) & ((2 << target) - 1))
    rest = sums[-1].bit_length() - 1
    picked = []
    for index in reversed(range(len(sums) - 1)):
        if not sums[index] >> rest & 1:
            picked.append(index)
            rest -= sizes[index]
    return picked
