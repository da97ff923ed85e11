from __future__ import annotations

import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan import Axis, Fixed, Forbid, Forward, MaxStep, OneAxis, OneStep, Onward, Space, Trade
from schedplan.errors import RuleError, SpaceError
from schedplan.rules import Rule, Where
from schedplan.testing.strategies import spaces

SPACE = Space((Axis("clip", (16, 32, 128)), Axis("rate", (0.1, 0.01, 0.001))))


def allowed(rule: Rule, clip: int, rate: float) -> set[str]:
    source = SPACE.state(clip=clip, rate=rate)
    return {target.label for target in SPACE.states() if target != source and rule(source, target)}


@pytest.mark.parametrize(
    ("rule", "targets"),
    [
        (OneStep(), {"128_0.01", "32_0.001"}),
        (Trade(("clip",)), {"16_0.001"}),
        (Trade(("rate",)), {"128_0.1"}),
        (OneStep() | Trade(("clip",)), {"128_0.01", "32_0.001", "16_0.001"}),
        (Onward(), {"128_0.01", "32_0.001", "128_0.001"}),
        (Onward(("clip",)), {"128_0.01", "32_0.001", "128_0.001", "16_0.001"}),
        (Fixed(("clip",)), {"32_0.1", "32_0.001"}),
        (Forward(("clip",)) & Fixed(("rate",)), {"128_0.01"}),
        (~Forward(("clip",)), {"16_0.1", "16_0.01", "16_0.001"}),
        (OneAxis() & ~OneStep(), {"16_0.01", "32_0.1"}),
        (Onward() & Forbid(target={"clip": "last", "rate": "last"}), {"128_0.01", "32_0.001"}),
        (Onward() & Forbid(source={"clip": [16]}), {"128_0.01", "32_0.001", "128_0.001"}),
        (Onward() & Forbid(source={"clip": 32}, target={"rate": 0.01}), {"32_0.001", "128_0.001"}),
        (
            Where(lambda a, b: b.value("clip") == 4 * a.value("clip")) & Fixed(("rate",)),
            {"128_0.01"},
        ),
    ],
)
def test_what_each_rule_allows_from_the_middle(rule, targets):
    assert allowed(rule, 32, 0.01) == targets


def test_max_step_counts_levels():
    assert allowed(MaxStep(1) & Onward(), 16, 0.1) == {"32_0.1", "16_0.01", "32_0.01"}
    assert "128_0.01" in allowed(MaxStep(1, ("rate",)) & Onward(), 16, 0.1)


@st.composite
def rules(draw: st.DrawFn, names: list[str]) -> Rule:
    some = st.lists(st.sampled_from(names), unique=True).map(tuple)
    atom = st.one_of(
        st.just(OneStep()),
        st.just(OneAxis()),
        some.map(Trade),
        some.map(Onward),
        some.map(Fixed),
        some.map(Forward),
        st.builds(MaxStep, st.integers(1, 2), some),
    )
    return draw(
        st.recursive(
            atom,
            lambda inner: st.one_of(
                st.builds(lambda a, b: a & b, inner, inner),
                st.builds(lambda a, b: a | b, inner, inner),
                inner.map(lambda rule: ~rule),
            ),
            max_leaves=5,
        )
    )


@given(spaces(), st.data())
def test_the_algebra_is_that_of_truth_and_steps_bound_every_rule(space, data):
    names = [axis.name for axis in space.axes]
    one, two = data.draw(rules(names)), data.draw(rules(names))
    steps = one.steps(space)
    for source, target in itertools.product(space.states(), repeat=2):
        a, b = one(source, target), two(source, target)
        assert (one & two)(source, target) == (a and b)
        assert (one | two)(source, target) == (a or b)
        assert (~one)(source, target) == (not a)
        if a and steps is not None and source != target:
            assert tuple(y - x for x, y in zip(source, target, strict=True)) in steps


@given(spaces(), st.data())
def test_rules_survive_pickling(space, data):
    rule = data.draw(rules([axis.name for axis in space.axes]))
    assert pickle.loads(pickle.dumps(rule)) == rule


def test_unknown_axes_and_empty_rules_are_refused():
    for rule in (Fixed(("clop",)), ~Forward(("clop",)), OneStep() | Trade(("clop",))):
        with pytest.raises(SpaceError, match="did you mean 'clip'"):
            rule.check(SPACE)
    with pytest.raises(SpaceError, match="no value 17"):
        Forbid(source={"clip": 17}).check(SPACE)
    with pytest.raises(RuleError, match="at least 1"):
        MaxStep(0)
    with pytest.raises(RuleError, match="a source, a target"):
        Forbid()
