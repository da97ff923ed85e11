"""The order of an epoch, and its shares among ranks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan.errors import UsageError
from schedplan_video.data.epoch_sampler import EpochSampler


def shares(rows: int, batch_size: int, world_size: int, epoch: int) -> list[list[int]]:
    """Return the rows of every rank in an epoch of training."""
    found = []
    for rank in range(world_size):
        sampler = EpochSampler(
            rows, shuffle=True, seed=3, batch_size=batch_size, rank=rank, world_size=world_size
        )
        sampler.epoch = epoch
        found.append([row for _, row in sampler])
        assert len(sampler) == len(found[-1])
    return found


@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 5), st.integers(1, 9))
def test_ranks_train_equally_many_batches_and_no_row_twice(rows, world_size, epoch, batch_size):
    if rows < world_size:
        return
    found = shares(rows, batch_size, world_size, epoch)
    assert len({math.ceil(len(share) / batch_size) for share in found}) == 1
    assert max(map(len, found)) - min(map(len, found)) <= 1
    merged = [row for share in found for row in share]
    left = rows % (world_size * batch_size)
    assert len(set(merged)) == len(merged) == rows - (left if left < world_size else 0)
    assert set(merged) <= set(range(rows))


@pytest.mark.parametrize(
    ("rows", "lengths"), [(12, [6, 6]), (13, [6, 6]), (14, [7, 7]), (15, [8, 7]), (17, [9, 8])]
)
def test_what_is_left_is_shared_out_evenly(rows, lengths):
    assert [len(share) for share in shares(rows, 3, 2, epoch=0)] == lengths


@given(st.integers(0, 60), st.integers(1, 8))
def test_ranks_evaluate_every_row_exactly_once(rows, world_size):
    samplers = [
        EpochSampler(rows, shuffle=False, seed=0, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    shares = [[row for _, row in sampler] for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(share) for share in shares]
    assert sorted(row for share in shares for row in share) == [*range(rows)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_no_row_is_left_out_for_good():
    seen = [{row for share in shares(7, 2, 3, epoch) for row in share} for epoch in range(60)]
    missed = [row for rows in seen for row in {*range(7)} - rows]
    assert {*missed} == {*range(7)}
    assert len(missed) == 60


def test_orders_differ_by_epoch_and_by_seed():
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(50, shuffle=True, seed=seed)
        sampler.epoch = epoch
        return [row for _, row in sampler]

    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    assert sorted(order(0, 0)) == [*range(50)]
    assert order(1, 2) == order(1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; allowed: whole numbers of at least 1"),
        ({"batch_size": 2.0}, "batch_size is 2.0; allowed: whole numbers of at least 1"),
        ({"world_size": 0}, "world_size is 0; allowed: whole numbers of at least 1"),
        ({"world_size": 1.5}, "world_size is 1.5"),
        ({"rank": -1}, "rank is -1; allowed: whole numbers of at least 0"),
        ({"rank": 0.5, "world_size": 2}, "rank is 0.5"),
        ({"rank": 2, "world_size": 2}, "rank is 2; allowed: 0 to 1"),
        ({"world_size": 17}, "16 videos cannot be shared out to 17 ranks"),
    ],
)
def test_bad_arguments_are_refused_at_once(options, message):
    with pytest.raises(UsageError, match=message):
        EpochSampler(16, shuffle=True, seed=0, **options)
