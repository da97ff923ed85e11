from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given

from schedplan import INITIAL, Axis, Forbid, Space, Where, build_graph
from schedplan.errors import GraphError
from schedplan.graph import any_onward, basic, default_final, default_start, extended
from schedplan.testing.strategies import Drawn, graphs

SAMPLING = Axis("sampling", ("consecutive", "uniform"))
RATES = Axis("learning_rate", (0.04, 0.004, 0.0004))


def paper_graph(preset, clips):
    space = Space((SAMPLING, Axis("clip_length", clips), RATES))
    fixed, reversible = ("sampling",), ("clip_length",)
    starts = space.select(default_start(space, fixed, reversible))
    return build_graph(
        space, preset(fixed, reversible), starts, space.select(default_final(space, fixed))
    )


@pytest.mark.parametrize(
    ("clips", "preset", "states", "transitions"),
    [
        ((16, 32, 128), basic, 18, 28),
        ((16, 32, 128), extended, 18, 36),
        ((16, 32), basic, 12, 18),
        ((16, 32), extended, 12, 22),
    ],
)
def test_the_papers_spaces_have_the_papers_counts(clips, preset, states, transitions):
    graph = paper_graph(preset, clips)
    assert (graph.states, graph.transitions) == (states, transitions)
    assert len(graph.starts) == 4
    assert len(graph.finals) == 2


@given(graphs())
def test_every_state_lies_between_a_start_and_a_final_state(drawn: Drawn):
    graph = drawn.graph
    assert nx.is_directed_acyclic_graph(graph.dag)
    assert set(graph.dag.successors(INITIAL)) == set(graph.starts)
    after_start = nx.descendants(graph.dag, INITIAL)
    for state in graph.dag:
        assert state == INITIAL or state in after_start
        assert any(nx.has_path(graph.dag, state, final) for final in graph.finals)
    rank = {state: position for position, state in enumerate(graph.order)}
    assert all(rank[source] < rank[target] for source, target in graph.dag.edges)


@given(graphs())
def test_the_built_graph_is_the_one_found_by_asking_about_every_pair(drawn: Drawn):
    graph, space = drawn.graph, drawn.graph.space
    loose = build_graph(
        space,
        Where(lambda a, b: graph.dag.has_edge(a, b)),
        graph.starts,
        graph.finals,
    )
    assert set(loose.dag.edges) == set(graph.dag.edges)


def test_states_on_no_path_are_left_out():
    space = Space((Axis("a", (1, 2, 3)),))
    graph = build_graph(space, basic(), [space.state(a=2)], [space.state(a=3)])
    assert [state.label for state in graph.order] == ["S0", "2", "3"]


def test_final_states_that_no_start_leads_to_are_told():
    space = Space((SAMPLING, RATES))
    graph = build_graph(
        space,
        basic(("sampling",)),
        space.select({"sampling": "uniform", "learning_rate": "first"}),
        space.select({"learning_rate": "last"}),
    )
    assert [state.label for state in graph.unreached] == ["consecutive_0.0004"]


def test_a_cycle_is_shown():
    space = Space((Axis("a", (1, 2)), Axis("b", (1, 2))))
    with pytest.raises(GraphError, match=r"cycle: .*1_2 > 2_1 > 1_2|cycle: .*2_1 > 1_2 > 2_1"):
        build_graph(space, extended((), ("a", "b")), space.states(), space.select({"a": "last"}))


def test_the_rule_that_cuts_off_the_final_state_is_named():
    space = Space((SAMPLING, RATES))
    start = space.select({"sampling": "uniform", "learning_rate": "first"})
    final = space.select({"sampling": "consecutive", "learning_rate": "last"})
    with pytest.raises(GraphError, match=r"without the rule Fixed\(axes=\('sampling',\)\)"):
        build_graph(space, any_onward(("sampling",), ("sampling",)), start, final)
    forbidden = Forbid(target={"learning_rate": "last"})
    with pytest.raises(GraphError, match="without the rule Forbid"):
        build_graph(space, any_onward() & forbidden, start, space.select({"learning_rate": "last"}))


def test_no_start_and_no_final_are_refused():
    space = Space((RATES,))
    with pytest.raises(GraphError, match="no start"):
        build_graph(space, basic(), [], list(space.states()))
    with pytest.raises(GraphError, match="no final"):
        build_graph(space, basic(), list(space.states()), [])


def test_too_many_pairs_are_refused_before_they_are_asked():
    space = Space(tuple(Axis(f"a{i}", tuple(range(10))) for i in range(5)))
    with pytest.raises(GraphError, match="100,000 x 100,000 pairs"):
        build_graph(space, any_onward(), [next(space.states())], space.select({"a0": "last"}))
