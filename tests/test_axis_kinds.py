"""Axes by a formula: their levels, what a run remembers of them, what is refused and where."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan.axis_kinds import geometric, linear
from schedplan.config import load_config
from schedplan.errors import UsageError

CONFIG = """\
name: demo
metric: top1
axes:
  size: {sizes}
  rate: {rates}
trainer: {{use: simulated}}
"""


@pytest.fixture
def setup(tmp_path):
    def load(sizes, rates):
        file = tmp_path / "config.yaml"
        file.write_text(CONFIG.format(sizes=sizes, rates=rates))
        return load_config(file)

    return load


@given(
    first=st.floats(1e-4, 1e3),
    ratio=st.floats(1.01, 10),
    levels=st.integers(2, 6),
    up=st.booleans(),
)
def test_geometric_levels_are_at_equal_ratios(first, ratio, levels, up):
    ratio = ratio if up else 1 / ratio
    made = geometric(first, first * ratio ** (levels - 1), levels)
    assert (len(made), made[0], made[-1]) == (levels, first, first * ratio ** (levels - 1))
    assert all(b / a == pytest.approx(ratio, rel=1e-4) for a, b in pairwise(made))


@given(first=st.integers(-50, 50), step=st.integers(-9, 9), levels=st.integers(2, 6))
def test_linear_levels_are_at_equal_distances_and_whole_between_whole_numbers(first, step, levels):
    made = linear(first, first + step * (levels - 1), levels)
    assert made == [first + step * level for level in range(levels)]
    assert all(type(level) is int for level in made)


def test_a_run_knows_the_levels_and_not_the_formula(setup):
    by_formula = setup(
        "{geometric: {first: 16, last: 128, levels: 4}}",
        "{geometric: {first: 0.1, last: 1e-3, levels: 3}}",
    )
    written_out = setup("[16, 32, 64, 128]", "[0.1, 0.01, 0.001]")
    assert by_formula.facts() == written_out.facts()
    assert by_formula.space == written_out.space


@pytest.mark.parametrize(
    ("rates", "phrases"),
    [
        ("{geometic: {}}", ["no axis kind 'geometic'", "did you mean 'geometric'"]),
        ("{linear: {first: 1, last: 2, steps: 3}}", ["unknown key 'steps'", "first, last, levels"]),
        ("{linear: {first: 1, last: 2}}", ["'axes.rate.linear.levels' is missing"]),
        ("{linear: {first: 1, last: 2, levels: '3'}}", ["levels is '3'", "a whole number"]),
        ("{linear: {first: 1, last: 2, levels: 1}}", ["levels is 1; allowed: 2 to 1,000"]),
        ("{linear: {first: 1, last: .inf, levels: 3}}", ["last is inf", "a finite number"]),
        ("{geometric: {first: 1, last: 0, levels: 3}}", ["last is 0", "a finite number above 0"]),
        ("{linear: {first: 1, last: 2, levels: 3}}", ["the value 2 twice"]),
        ("{linear: 3}", ["cannot understand the axis kind {'linear': 3}", "{option: value}"]),
        ("{}", ["cannot understand the axis kind {}"]),
        ("3", ["axes.rate is 3", "a list of values, or {KIND: {option: value}}"]),
    ],
)
def test_what_is_no_axis_is_refused_with_its_line(setup, rates, phrases):
    with pytest.raises(UsageError) as refused:
        _ = setup("[16]", rates).space
    for phrase in ["config.yaml:5", *phrases]:
        assert phrase in str(refused.value)
