from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedplan import INITIAL, Axis, Link, Space
from schedplan.errors import SpaceError
from schedplan.testing.strategies import spaces

CLIPS = Axis("clip", (16, 32, 128))
RATES = Axis("rate", (0.1, 0.01))


@given(spaces())
def test_states_are_all_different_and_know_their_values(space):
    states = list(space.states())
    assert len(states) == len(set(states)) == space.size
    assert len({state.label.casefold() for state in states}) == space.size
    for state in states:
        values = {axis.name: state.value(axis.name) for axis in space.axes}
        assert space.state(**values) == state
        assert {name: space.params(state)[name] for name in values} == values
        assert space.params(state)["link"] == space.links[0].values[state[_followed(space)]]


def _followed(space: Space) -> int:
    return space.position(space.links[0].of[0])


@given(spaces(), st.data())
def test_a_state_survives_pickling(space, data):
    state = data.draw(st.sampled_from(list(space.states())))
    copy = pickle.loads(pickle.dumps(state))
    assert copy == state
    assert copy.space == space
    assert copy.label == state.label


def test_labels_are_distinct_where_values_look_alike():
    underscores = Space((Axis("a", ("x", "x_y")), Axis("b", ("y_z", "z"))))
    assert len({state.label for state in underscores.states()}) == 4
    signs = Space((Axis("a", (-1, 1, "S0", "", "~1", "a--b")),))
    labels = {state.label for state in signs.states()}
    assert len(labels) == 6
    assert INITIAL.label not in labels


def test_selection_by_keyword_value_and_list():
    space = Space((CLIPS, RATES))
    chosen = space.select({"clip": [16, 32], "rate": "first"})
    assert [state.label for state in chosen] == ["16_0.1", "32_0.1"]
    assert space.select({"clip": 128, "rate": "last"}) == [space.state(clip=128, rate=0.01)]
    assert len(space.select({})) == 6


def test_an_axis_whose_values_are_lists_or_the_word_first():
    sizes = Axis("size", ([112, 112], [224, 224]))
    assert sizes.select([112, 112]) == [0]
    assert sizes.select([[112, 112], [224, 224]]) == [0, 1]
    assert Axis("order", ("last", "first")).select("first") == [1]


def test_a_link_over_two_axes_and_plain_params():
    segments = Link("segments", ("clip", "rate"), ((1, 2), (3, 4), ([5], 6)))
    space = Space((CLIPS, RATES), (segments,))
    params = space.params(space.state(clip=128, rate=0.1))
    assert params == {"clip": 128, "rate": 0.1, "segments": [5]}


def test_the_initial_state_has_no_hyperparameters():
    assert INITIAL.space.params(INITIAL) == {}
    assert INITIAL.label == "S0"


@pytest.mark.parametrize(
    ("make", "message", "path"),
    [
        (lambda: Axis("rate", ()), "no values", ("axes", "rate")),
        (lambda: Axis("rate", "abc"), "no values", ("axes", "rate")),
        (lambda: Axis("rate", (1, 2, 1)), "value 1 twice", ("axes", "rate", 2)),
        (lambda: Axis("rate", (1, 1.0)), "twice", ("axes", "rate", 1)),
        (lambda: Axis("rate", (float("nan"),)), "has the value nan", ("axes", "rate", 0)),
        (lambda: Axis("rate", ({"a": 1},)), "has the value", ("axes", "rate", 0)),
        (lambda: Axis("learning rate", (1,)), "no name", ("axes", "learning rate")),
        (lambda: Space((RATES, RATES)), "used twice", ("axes", "rate")),
        (lambda: Link("batch", (), (1,)), "one or more", ("links", "batch", "of")),
        (
            lambda: Space((RATES,), (Link("rate", ("rate",), (1, 2)),)),
            "used twice",
            ("links", "rate"),
        ),
        (
            lambda: Space((RATES,), (Link("batch", ("rat",), (1, 2)),)),
            "did you mean 'rate'",
            ("links", "batch", "of"),
        ),
        (
            lambda: Space((RATES,), (Link("batch", ("rate",), (1, 2, 3)),)),
            "has 3 entries where the axis 'rate' has 2",
            ("links", "batch", "values"),
        ),
        (
            lambda: Space((CLIPS, RATES), (Link("n", ("clip", "rate"), ((1, 2), (1, 2), 3)),)),
            "is no list where the axis 'rate' has 2 levels; allowed: nested lists of shape 3 x 2",
            ("links", "n", "values", 2),
        ),
        (lambda: Space((CLIPS,)).select({"clip": 64}), "no value 64", ("clip",)),
        (lambda: Space((CLIPS,)).select({"clip": []}), "is selected", ("clip",)),
        (lambda: Space((CLIPS,)).select({"clop": 16}), "did you mean 'clip'", ("clop",)),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(make, message, path):
    with pytest.raises(SpaceError) as caught:
        make()
    assert message in str(caught.value)
    assert caught.value.path == path
