"""Scores are the same however they were parted: by micro-batches, views or processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan_video.scores import Scores, merge


def views(rows: list[int], classes: int = 3) -> Scores:
    """Return one score for every view, drawn at random; a video's label is its row's."""
    rng = np.random.default_rng(len(rows))
    found = rng.dirichlet(np.ones(classes), len(rows))
    ours = np.array(rows, dtype=np.int64)
    ones = np.ones(len(rows), dtype=np.int64)
    return Scores(ours, ours % classes, ones, found, rng.exponential(size=len(rows)))


def some(whole: Scores, chosen: np.ndarray) -> Scores:
    return Scores(*(values[chosen] for values in vars(whole).values()))


def equal(one: Scores, other: Scores) -> bool:
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(np.allclose(a, b, rtol=1e-12) and a.dtype == b.dtype for a, b in pairs)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30))
def test_parts_merge_to_the_whole_in_any_order(drawn: list[tuple[int, int]]) -> None:
    whole = views([row for row, _ in drawn])
    part_of = np.array([part for _, part in drawn])
    parts = [some(whole, np.flatnonzero(part_of == number)) for number in (2, 0, 3, 1)]
    assert equal(merge(parts), merge([whole]))
    assert equal(merge(merge([part]) for part in parts), merge([whole]))


def test_a_view_counts_as_much_as_any_other_however_it_came() -> None:
    whole = views([4, 4, 4, 1])
    found = merge([merge([some(whole, np.array([0]))]), some(whole, np.array([3, 1, 2]))])
    assert (found.rows.tolist(), found.views.tolist()) == ([1, 4], [1, 3])
    assert found.labels.tolist() == [1, 1]
    np.testing.assert_allclose(found.scores[1], whole.scores[:3].mean(axis=0))
    np.testing.assert_allclose(found.losses, [whole.losses[3], whole.losses[:3].mean()])


def test_nothing_merges_with_anything() -> None:
    nothing = merge([])
    assert len(nothing.rows) == 0
    assert equal(merge([nothing, views([0, 1]), nothing]), views([0, 1]))


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([0, 0, 1, 1, 2, 2], None),
        ([0, 0, 1, 1], "1 rows \\(2\\)"),
        ([0, 0, 0, 1, 1, 2, 2], "1 rows \\(0\\)"),
        ([0, 1, 2, 2], "2 rows \\(0, 1\\)"),
        ([0, 0, 1, 1, 2, 2, 3, 3], "1 rows \\(3\\)"),
        ([], "3 rows \\(0, 1, 2\\)"),
    ],
)
def test_what_is_missing_or_there_twice_is_found(rows: list[int], wrong: str | None) -> None:
    found = merge([views(rows)])
    if wrong is None:
        found.check_complete(3, views=2)
    else:
        with pytest.raises(RuntimeError, match=wrong):
            found.check_complete(3, views=2)
