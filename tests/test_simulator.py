from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan import SimulatedTrainer
from schedplan.errors import TrainerError
from schedplan.simulator import HORIZON, SimulatedCurve

params = st.dictionaries(st.text(max_size=3), st.integers(), max_size=3)


@given(st.integers(0, 10**6), params)
def test_every_curve_starts_at_zero_is_concave_and_peaks_before_the_horizon(problem, target):
    curve = SimulatedCurve.of(problem, target)
    values = [curve.at(epoch) for epoch in range(HORIZON + 1)]
    assert values[0] == 0.0
    slopes = [after - before for before, after in itertools.pairwise(values)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(slopes))
    assert curve.knee == max(range(HORIZON + 1), key=values.__getitem__) < HORIZON


@given(params, params, st.integers(0, 5), st.integers(0, 5))
def test_qualities_add_up_along_a_path_and_snapshots_carry_them(tmp_path_factory, a, b, m, n):
    folder = tmp_path_factory.mktemp("snapshot")
    trainer = SimulatedTrainer()
    trainer.begin(a, None, seed=0)
    for _ in range(m):
        trainer.train_epoch()
    trainer.save(folder)
    trainer.begin(b, folder, seed=1)
    for _ in range(n):
        trainer.train_epoch()
    expected = SimulatedCurve.of(0, a).at(m) + SimulatedCurve.of(0, b).at(n)
    assert trainer.evaluate()["quality"] == pytest.approx(expected)


def test_noise_depends_on_seed_and_epoch_alone():
    def measure(seed: int) -> float:
        trainer = SimulatedTrainer(noise=0.1)
        trainer.begin({}, None, seed)
        return trainer.evaluate()["quality"]

    assert measure(1) == measure(1) != measure(2)


def test_negative_noise_is_refused():
    with pytest.raises(TrainerError, match="noise is -1"):
        SimulatedTrainer(noise=-1)
