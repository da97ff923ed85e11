"""One network on two processes computes what it does on one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from trainees import Trainee, random_batches, small_network, two_heads

from schedplan.errors import NotFiniteError
from schedplan_video.launch import Machines, Team
from schedplan_video.models.freezing import freeze_batchnorm

CLIP = (16, 3, 32, 32)


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    made = Team(Trainee, Machines(processes=2), "cpu", time_limit=60)
    yield made
    made.stop()


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    counted = [key for key in one["model"] if key.endswith("num_batches_tracked")]
    for result in (one, other):
        for key in counted:  # by each rank for itself
            del result["model"][key]
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shard", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_two_ranks_equal_one_with_twice_the_accumulation(
    team: Team, shard: bool, frozen: bool
) -> None:
    networks = [small_network() for _ in range(2)]
    for network in networks:
        if frozen:
            freeze_batchnorm(network)
    batches = random_batches([2] * 10, CLIP)
    alone = Trainee().train(networks[0], [batches], accumulation=4)
    both = team.call("train", networks[1], [batches[0::2], batches[1::2]], 2, shard)
    assert_same(both, alone)


@pytest.mark.parametrize("sizes", [[3, 3, 3, 2, 2, 1], [2, 1]])
def test_every_sample_weighs_the_same_however_they_are_shared_out(
    team: Team, sizes: list[int]
) -> None:
    batches = random_batches(sizes)
    alone = Trainee().train(two_heads(), [batches], accumulation=4)
    both = team.call("train", two_heads(), [batches[0::2], batches[1::2]], 2)
    assert_same(both, alone)


def test_all_ranks_begin_with_the_weights_of_the_first(team: Team) -> None:
    assert team.call("train_each_other") is True


@pytest.mark.parametrize("shares", [(3, 0), (0, 3), (1, 2)])
def test_metrics_are_those_of_all_samples(team: Team, shares: tuple[int, int]) -> None:
    network, batches = two_heads(), random_batches([2, 1, 2])
    parts = [batches[: shares[0]], batches[shares[0] :]]
    assert team.call("measure", network, parts) == Trainee().measure(network, [batches])


def test_a_loss_that_is_not_finite_on_one_rank_ends_the_epoch_on_all(team: Team) -> None:
    batches = random_batches([2, 2])
    clips, labels, rows = batches[1]
    bad = [[batches[0]], [(clips.float().fill_(torch.nan), labels, rows)]]
    with pytest.raises(NotFiniteError):
        team.call("train", two_heads(), bad, 1)
    assert not team.ended
