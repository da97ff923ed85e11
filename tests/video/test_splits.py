"""Setting videos aside: by class, by group, and the same ones every time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.splits import hold_out, quantity

SEEDS = st.integers(0, 9)
CLASSES = st.lists(st.integers(2, 30), min_size=1, max_size=5)
ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcdefghijkl")), min_size=2)


def ungrouped(sizes: list[int]) -> tuple[list[int], list[str]]:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    return labels, [str(row) for row in range(len(labels))]


@given(CLASSES, st.floats(0, 0.5), SEEDS)
def test_without_groups_the_size_is_exact_and_every_class_has_its_share(sizes, share, seed):
    labels, groups = ungrouped(sizes)
    size = int(share * len(labels))
    chosen = hold_out(labels, groups, size, seed)
    assert sum(chosen) == size
    counts = Counter(label for label, is_chosen in zip(labels, chosen, strict=True) if is_chosen)
    for label, total in enumerate(sizes):
        assert abs(counts[label] - total * size / len(labels)) < 1


@given(CLASSES, st.integers(0), SEEDS)
def test_a_class_never_loses_all_its_videos(sizes, size, seed):
    labels, groups = ungrouped(sizes)
    size %= len(labels)
    chosen = hold_out(labels, groups, size, seed)
    assert sum(chosen) == min(size, len(labels) - len(sizes))
    staying = {label for label, is_chosen in zip(labels, chosen, strict=True) if not is_chosen}
    assert staying == set(labels)


@given(ROWS, st.floats(0, 0.6), SEEDS)
def test_no_group_is_parted_and_no_more_are_chosen_than_asked_for(rows, share, seed):
    labels, groups = zip(*rows, strict=True)
    size = int(share * len(rows))
    chosen = hold_out(labels, groups, size, seed)
    assert len(set(zip(groups, chosen, strict=True))) == len(set(groups))
    assert sum(chosen) <= size
    staying = {label for label, is_chosen in zip(labels, chosen, strict=True) if not is_chosen}
    assert staying == set(labels)


def test_groups_of_several_classes_that_hold_too_much_of_one_are_made_up_for():
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    groups = ["a", "a", "b", "c", "a", "b", "b", "d"]
    for seed in range(20):
        assert sum(hold_out(labels, groups, 3, seed)) <= 3


@given(ROWS, st.randoms(use_true_random=False), SEEDS)
def test_the_choice_is_of_videos_not_of_rows(rows, random, seed):
    size = len(rows) // 3
    numbered = list(enumerate(rows))
    picked = []
    for _ in range(2):
        random.shuffle(numbered)
        labels, groups = zip(*(row for _, row in numbered), strict=True)
        chosen = hold_out(labels, groups, size, seed)
        picked.append({n for (n, _), is_chosen in zip(numbered, chosen, strict=True) if is_chosen})
    assert picked[0] == picked[1]


@given(st.lists(st.integers(1, 7), min_size=2, max_size=9), st.integers(0), SEEDS)
def test_of_groups_of_one_class_the_best_sum_is_found(sizes, target, seed):
    groups = [f"{number}" for number, size in enumerate(sizes) for _ in range(size)]
    target %= len(groups)
    sums = {0}
    for size in sizes:
        sums |= {total + size for total in sums}
    best = max(total for total in sums if total <= target)
    assume(best < len(groups))
    assert sum(hold_out([0] * len(groups), groups, target, seed)) == best


def test_groups_of_ucf101_give_the_size_exactly():
    # 101 classes of 18 recordings, with 4 to 7 videos each
    rows = [
        (label, f"{label}_g{recording}")
        for label in range(101)
        for recording in range(18)
        for _ in range(4 + (7 * label + recording) % 4)
    ]
    labels, groups = zip(*rows, strict=True)
    assert sum(hold_out(labels, groups, 3783)) == 3783


def test_recordings_of_all_classes_are_chosen_whole():
    labels = [label for label in range(6) for _ in range(10)]
    groups = [f"seq{recording}" for _ in range(6) for recording in range(10)]
    chosen = hold_out(labels, groups, 12)
    counts = Counter(label for label, is_chosen in zip(labels, chosen, strict=True) if is_chosen)
    assert counts == dict.fromkeys(range(6), 2)
    assert chosen != hold_out(labels, groups, 12, seed=1)


@pytest.mark.parametrize("size", [-1, 3, 4])
def test_a_size_that_leaves_nothing_is_refused(size):
    with pytest.raises(UsageError, match=rf"{size} of 3 videos"):
        hold_out([0, 0, 0], ["a", "b", "c"], size)


@pytest.mark.parametrize(
    ("text", "number"),
    [("20", 20), (20, 20), ("0", 0), ("1%", 2.5), ("0.4%", 1), ("100%", 250), ("0%", 0)],
)
def test_a_quantity_is_a_number_or_a_share(text, number):
    assert quantity(text, 250, "it") == number


@pytest.mark.parametrize("text", ["", "%", "many", "0.5", 0.5, "-1", -1, "101%", "-1%", "nan%"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(UsageError, match=r"^it is .*20, or a share such as 1%"):
        quantity(text, 250, "it")
