"""The plug-in keeps the contracts of schedplan, which come as tests to inherit."""

import pytest
from schedplan_letters.doubling import doubling
from schedplan_letters.plateau import Plateau
from schedplan_letters.product import ProductAtMost
from schedplan_letters.trainer import LettersTrainer

from schedplan import Axis, Space
from schedplan.errors import SpaceError
from schedplan.testing.contracts import EstimatorContract, RuleContract, TrainerContract


class TestLettersTrainer(TrainerContract):
    params = {"text_length": 16, "batch_size": 64, "learning_rate": 1.0}  # noqa: RUF012
    metric = "accuracy"

    def make(self):
        return LettersTrainer(languages=2)


class TestProductAtMost(RuleContract):
    def make(self):
        return ProductAtMost(["length", "batch"], limit=64)

    def space(self):
        return Space((Axis("length", (8, 16)), Axis("batch", (4, 8))))

    def test_it_keeps_what_is_too_large_out(self):
        space, rule = self.space(), self.make()
        small = space.state(length=8, batch=8)
        assert rule(small, space.state(length=16, batch=4))
        assert not rule(small, space.state(length=16, batch=8))


class TestPlateau(EstimatorContract):
    def make(self):
        return Plateau(window=2)


def test_doubling_meets_its_ends():
    assert doubling(3, 24) == [3, 6, 12, 24]
    with pytest.raises(SpaceError, match="doubling 8 does not meet; the nearest is 64"):
        doubling(8, 40)
