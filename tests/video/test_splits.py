from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.splits import SPLITS, assign_splits

SHARES = st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.5, 0.0), (0.8, 0.1, 0.1), (1.0, 0.0, 0.0)])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), SHARES, st.integers(0, 9))
def test_every_class_has_its_share_of_each_split(labels, fractions, seed):
    splits = assign_splits(labels, [str(row) for row in range(len(labels))], fractions, seed)
    counts = Counter(zip(labels, splits, strict=True))
    for label, total in Counter(labels).items():
        for split, share in zip(SPLITS, fractions, strict=True):
            assert abs(counts[label, split] - share * total) < 1 + 1e-9


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcdefgh")), min_size=1), st.integers(0)
)
def test_no_group_is_parted(rows, seed):
    labels, groups = zip(*rows, strict=True)
    splits = assign_splits(labels, groups, seed=seed)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    assert splits == assign_splits(labels, groups, seed=seed)


def test_recordings_of_all_classes_split_by_their_number():
    labels = [label for label in range(6) for _ in range(10)]
    groups = [f"seq{recording}" for _ in range(6) for recording in range(10)]
    splits = assign_splits(labels, groups)
    assert Counter(splits) == {"train": 36, "val": 12, "test": 12}
    assert splits != assign_splits(labels, groups, seed=1)


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.5, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_what_is_no_share_is_refused(fractions):
    with pytest.raises(UsageError, match="no shares"):
        assign_splits([0], ["a"], fractions)
