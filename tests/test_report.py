from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import matplotlib
import matplotlib.image
import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan import (
    Axis,
    Patience,
    Problem,
    SimulatedTrainer,
    Space,
    StateGraph,
    build_graph,
    solve,
)
from schedplan.errors import UsageError
from schedplan.frontier import Beam, Pareto
from schedplan.graph import any_onward, basic, default_final, default_start, extended
from schedplan.journal import Outcome, RunFolder, transition_key
from schedplan.plan import Plan
from schedplan.pruning import FAST, NONE
from schedplan.report import Trace, trace, write_graph
from schedplan.solver import SearchOptions

KINETICS = {
    "sampling": ["consecutive", "uniform"],
    "clip_length": [16, 32, 128],
    "learning_rate": [0.04, 0.004, 0.0004],
}
CUBE = {"rate": [0.1, 0.01], "batch": [32, 64], "noise": ["none", "strong"]}


def make_graph(axes, preset=extended, fixed=(), reversible=()) -> StateGraph:
    space = Space(tuple(Axis(name, tuple(values)) for name, values in axes.items()))
    starts = space.select(default_start(space, fixed, reversible))
    finals = space.select(default_final(space, fixed))
    return build_graph(space, preset(tuple(fixed), tuple(reversible)), starts, finals)


GRAPHS = {
    "kinetics": make_graph(KINETICS, fixed=["sampling"], reversible=["clip_length"]),
    "cube": make_graph(CUBE, basic),
    "layers with long transitions": make_graph(CUBE, reversible=["batch"]),
    "one axis": make_graph({"rate": [0.1, 0.03, 0.01]}, basic),
    "jumps": make_graph({"clip": [16, 32, 128], "rate": [0.1, 0.03, 0.01]}, any_onward),
    "nothing moves": make_graph({"rate": [0.1, 0.01]}, basic, fixed=["rate"]),
}
every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)


def solved(graph: StateGraph, folder: Path, problem=0, metric="quality", mode="max", **options):
    """Return the plan of a simulated search, and how its trainings ended, by transition."""
    trainer = partial(SimulatedTrainer, problem=problem)
    task = Problem(graph, trainer, metric, mode, estimator=Patience(2))
    plan = solve(task, folder, options=SearchOptions(**{"pruning": NONE, **options}))
    edges = {transition_key(edge): edge for edge in graph.dag.edges}
    ended = defaultdict(list)
    for training in RunFolder(folder).trainings():
        if outcome := training.outcome():
            ended[edges[training.transition]].append(outcome)
    return plan, dict(ended)


def done(score: float, epoch: int = 5, origin: Outcome | None = None) -> Outcome:
    """Return how a transition ended that was trained from the model of `origin`."""
    start = origin.identity if origin else None
    scores = (0.0, 0.1, 0.2, 0.3, 0.4, score, 0.4)
    return Outcome("done", "peak", epoch, score, scores, "model", start, seed=0, seconds=1.0)


FAILED = Outcome("failed", "NaN", 0, None, (), None, origin=None, seed=0, seconds=1.0)
PRUNED = Outcome(
    "pruned", "race: too low", 1, 0.9, (0.1, 0.9), None, origin=None, seed=0, seconds=1.0
)


def labels(path) -> list[str]:
    return [state.label for edge in path[:1] for state in edge] + [t.label for _, t in path[1:]]


def svg_texts(file: Path) -> Counter[str]:
    return Counter(each.text for each in ET.parse(file).iter("{http://www.w3.org/2000/svg}text"))


@pytest.fixture
def kinetics(tmp_path):
    graph = GRAPHS["kinetics"]
    plan, trainings = solved(graph, tmp_path / "run")
    found = trace(graph, trainings, "max", plan)
    return graph, plan, found.outcomes, found.path


# trace


def assert_is_plan(found: Trace, plan: Plan) -> None:
    taken = [found.outcomes[transition_key(edge)] for edge in found.path]
    steps = zip(found.path, taken, strict=True)
    states = [edge[1].label for edge, outcome in steps if outcome.epoch]
    assert states == [stage.state for stage in plan.stages]
    assert sum(outcome.epoch for outcome in taken) == plan.epochs
    assert taken[-1].score == plan.score
    assert all(a[1] == b[0] for a, b in pairwise(found.path))
    assert [taken[0].origin, *(each.identity for each in taken[:-1])] == [
        None,
        *(each.origin for each in taken[1:]),
    ]


@every_graph
@pytest.mark.parametrize(("metric", "mode"), [("quality", "max"), ("loss", "min")])
def test_the_path_shown_is_the_plans_with_the_plan_or_without(graph, metric, mode, tmp_path):
    plan, trainings = solved(graph, tmp_path, problem=1, metric=metric, mode=mode)
    assert_is_plan(trace(graph, trainings, mode, plan), plan)
    assert_is_plan(trace(graph, trainings, mode), plan)


OPTIONS = [
    {"pruning": FAST},
    {"pruning": FAST, "order": "dive"},
    {"frontier": Beam(3)},
    {"frontier": Pareto(3), "pruning": FAST},
]


@settings(max_examples=10)
@given(problem=st.integers(0, 10_000), options=st.sampled_from(OPTIONS))
def test_the_path_shown_is_the_plans_however_was_searched(problem, options, tmp_path_factory):
    graph = GRAPHS["layers with long transitions"]
    plan, trainings = solved(graph, tmp_path_factory.mktemp("run"), problem, **options)
    found = trace(graph, trainings, "max", plan)
    assert_is_plan(found, plan)
    assert set(found.outcomes) == {transition_key(edge) for edge in trainings}


SQUARE = make_graph({"clip": [16, 32], "rate": [0.1, 0.01]}, basic)
EDGES = {transition_key(edge): edge for edge in SQUARE.dag.edges}


def named(**trainings) -> dict:
    return {EDGES[key]: ended for key, ended in trainings.items()}


def test_of_equal_scores_fewer_epochs_win():
    first = done(0.1)
    one, other = done(0.3, origin=first), done(0.2, origin=first)
    trainings = {
        "S0__16_0.1": [first],
        "16_0.1__32_0.1": [one],
        "16_0.1__16_0.01": [other],
        "32_0.1__32_0.01": [done(0.5, origin=one)],
        "16_0.01__32_0.01": [done(0.5, epoch=4, origin=other)],
    }
    path = trace(SQUARE, named(**trainings)).path
    assert labels(path) == ["S0", "16_0.1", "16_0.01", "32_0.01"]


@pytest.mark.parametrize("ended", [FAILED, PRUNED], ids=["failed", "pruned"])
def test_what_led_to_no_model_is_not_on_the_path(ended):
    first = done(0.1)
    second = done(0.2, origin=first)
    trainings = {
        "S0__16_0.1": [first],
        "16_0.1__32_0.1": [ended],
        "16_0.1__16_0.01": [second],
        "16_0.01__32_0.01": [done(0.3, origin=second)],
    }
    path = trace(SQUARE, named(**trainings)).path
    assert labels(path) == ["S0", "16_0.1", "16_0.01", "32_0.01"]


def test_of_several_trainings_the_one_from_the_best_model_is_shown_or_the_plans():
    first = done(0.1)
    worse, better = done(0.2, origin=first), done(0.2, epoch=3, origin=first)
    from_worse, from_better = done(0.5, origin=worse), done(0.4, origin=better)
    elsewhere = done(0.3, origin=first)
    trainings = {
        "S0__16_0.1": [first],
        "16_0.1__16_0.01": [worse, better],
        "16_0.1__32_0.1": [elsewhere],
        "16_0.01__32_0.01": [from_worse, from_better],
    }
    found = trace(SQUARE, named(**trainings))
    assert found.outcomes["16_0.1__16_0.01"] == worse, "the path begins from it"
    trainings["32_0.1__32_0.01"] = [done(0.6, origin=elsewhere)]
    found = trace(SQUARE, named(**trainings))
    assert found.outcomes["16_0.01__32_0.01"] == from_better


def test_an_unfinished_search_has_the_best_path_so_far(kinetics, tmp_path):
    graph, _, outcomes, _ = kinetics
    trainings = {e: [outcomes[transition_key(e)]] for e in graph.dag.edges}
    consecutive = {e: each for e, each in trainings.items() if e[1].value("sampling") != "uniform"}
    assert trace(graph, consecutive).path[-1][1].value("sampling") == "consecutive"
    begun = {e: each for e, each in trainings.items() if e[1] not in graph.finals}
    assert trace(graph, begun).path == ()
    assert trace(graph, {}).path == ()


# Every format


@every_graph
@pytest.mark.parametrize("suffix", [".svg", ".png", ".dot", ".graphml"])
def test_every_graph_is_written_solved_or_not(graph, suffix, tmp_path):
    plan, trainings = solved(graph, tmp_path / "run")
    found = trace(graph, trainings, "max", plan)
    file = tmp_path / "new" / f"graph{suffix}"
    write_graph(file, graph)
    unsolved = file.read_bytes()
    write_graph(file, graph, found.outcomes, found.path, "title", "quality")
    assert len(file.read_bytes()) > len(unsolved) > 0
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("name", ["graph.pdf", "graph", "svg"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match=r"\.svg, \.png, \.dot, \.graphml") as caught:
        write_graph(tmp_path / name, GRAPHS["cube"])
    assert name in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_suffix_may_be_in_capitals(tmp_path):
    write_graph(tmp_path / "graph.DOT", GRAPHS["cube"])
    assert (tmp_path / "graph.DOT").read_text().startswith("digraph")


# Pictures


def test_an_svg_shows_states_scores_epochs_and_panels_as_text(kinetics, tmp_path):
    graph, plan, outcomes, path = kinetics
    write_graph(tmp_path / "graph.svg", graph, outcomes, path, "Kinetics", "top1")
    texts = svg_texts(tmp_path / "graph.svg")
    for clip in KINETICS["clip_length"]:
        for rate in KINETICS["learning_rate"]:
            assert texts[f"{clip} · {rate}"] == 2
    assert texts["sampling: consecutive"] == texts["sampling: uniform"] == 1
    assert texts["S0"] == texts["clip_length"] == texts["learning_rate"] == 2
    for stage in plan.stages:
        assert texts[str(stage.epochs)]
        assert texts[f"{stage.score:.2f}"]
    assert f"top1 {plan.score:.4g} after {plan.epochs} epochs" in " ".join(texts)
    assert texts["Kinetics"] == 1


def test_a_layered_svg_shows_every_value_of_every_state(tmp_path):
    write_graph(tmp_path / "graph.svg", GRAPHS["cube"])
    texts = svg_texts(tmp_path / "graph.svg")
    assert texts["0.1"] == texts["0.01"] == texts["32"] == texts["none"] == texts["strong"] == 4
    assert "in each state, from above: rate, batch, noise" in texts


def test_the_legend_explains_what_is_there_and_no_more(kinetics, tmp_path):
    graph, _, outcomes, path = kinetics
    file = tmp_path / "graph.svg"
    write_graph(file, graph)
    assert {"transition", "final state"} <= set(svg_texts(file))
    write_graph(file, graph, outcomes, path)
    assert {"chosen path, with epochs", "explored, with epochs · score"} <= set(svg_texts(file))
    assert not {"failed", "not trained", "transition"} & set(svg_texts(file))
    write_graph(file, graph, {"S0__uniform_16_0.04": FAILED, "S0__uniform_32_0.04": done(0.5)})
    assert {"failed", "not trained", "explored, with epochs · score"} <= set(svg_texts(file))
    assert "pruned" not in svg_texts(file)
    write_graph(file, graph, {"S0__uniform_16_0.04": PRUNED})
    assert {"pruned", "not trained"} <= set(svg_texts(file))
    assert "18 states, 36 transitions (1 pruned, 35 not trained)" in svg_texts(file)


def test_the_same_input_gives_the_same_svg_whatever_style_the_user_has_set(kinetics, tmp_path):
    graph, _, outcomes, path = kinetics
    style = {"path.sketch": (1, 100, 2), "font.size": 30, "savefig.bbox": "tight"}
    write_graph(tmp_path / "one.svg", graph, outcomes, path, "Kinetics")
    with matplotlib.rc_context(style):
        write_graph(tmp_path / "other.svg", graph, outcomes, path, "Kinetics")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_a_title_is_taken_literally(tmp_path):
    title = 'a < b & "$x^2$"'
    for suffix in (".svg", ".dot", ".graphml"):
        write_graph(tmp_path / f"graph{suffix}", GRAPHS["cube"], title=title)
    assert title in svg_texts(tmp_path / "graph.svg")
    assert nx.read_graphml(tmp_path / "graph.graphml").graph["name"] == title
    assert r"\"$x^2$\"" in (tmp_path / "graph.dot").read_text()


def test_a_png_is_a_picture_on_white(kinetics, tmp_path):
    graph, _, outcomes, path = kinetics
    write_graph(tmp_path / "graph.png", graph, outcomes, path)
    pixels = matplotlib.image.imread(tmp_path / "graph.png")
    height, width, _ = pixels.shape
    assert 500 < width < 3000
    assert 500 < height < 3000
    border = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    assert all((edge == 1).all() for edge in border)
    assert (pixels != 1).any()


def test_a_large_graph_becomes_an_overview(tmp_path):
    axes = {name: range(6) for name in "abc"}
    graph = make_graph(axes, basic)
    write_graph(tmp_path / "graph.svg", graph, title="large")
    assert set(svg_texts(tmp_path / "graph.svg")) == {
        "large",
        "216 states, 541 transitions",
        "S0",
        "transition",
        "final state",
    }


def test_a_picture_needs_no_window_system_and_the_command_line_no_matplotlib():
    code = (
        "import sys; import schedplan.report; assert 'matplotlib' not in sys.modules\n"
        "from pathlib import Path; from tempfile import mkdtemp\n"
        "from schedplan import *; from schedplan.graph import basic\n"
        "space = Space((Axis('rate', (0.1, 0.01)),))\n"
        "graph = build_graph(space, basic(), space.states(), space.select({'rate': 'last'}))\n"
        "schedplan.report.write_graph(Path(mkdtemp()) / 'graph.png', graph)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", "import schedplan\n" + code], check=True)


# Files for other programs


def test_graphml_comes_back_with_every_fact(kinetics, tmp_path):
    graph, plan, outcomes, path = kinetics
    write_graph(tmp_path / "graph.graphml", graph, outcomes, path, "Kinetics", "quality")
    read = nx.read_graphml(tmp_path / "graph.graphml")
    assert set(read.edges) == {(source.label, target.label) for source, target in graph.dag.edges}
    for edge in graph.dag.edges:
        facts, outcome = read.edges[edge[0].label, edge[1].label], outcomes[transition_key(edge)]
        assert facts == {
            "status": "done",
            "chosen": edge in path,
            "epochs": outcome.epoch,
            "score": outcome.score,
        }
    end = read.nodes[path[-1][1].label]
    assert end == {"label": path[-1][1].label, "role": "final", "chosen": True, "score": plan.score}
    assert read.nodes["S0"]["role"] == "initial"


@pytest.mark.parametrize(("mode", "best"), [("max", 0.7), ("min", 0.2)])
def test_the_best_score_of_a_state_depends_on_the_mode(mode, best, tmp_path):
    graph = make_graph({"clip": [16, 32], "rate": [0.1, 0.01]}, basic)
    outcomes = {"16_0.01__32_0.01": done(0.2), "32_0.1__32_0.01": done(0.7)}
    write_graph(tmp_path / "graph.graphml", graph, outcomes, mode=mode)
    assert nx.read_graphml(tmp_path / "graph.graphml").nodes["32_0.01"]["score"] == best


def test_failed_pruned_and_missing_transitions_are_told_apart(tmp_path):
    graph = GRAPHS["one axis"]
    outcomes = {"S0__0.1": FAILED, "0.1__0.03": PRUNED}
    write_graph(tmp_path / "graph.graphml", graph, outcomes)
    read = nx.read_graphml(tmp_path / "graph.graphml")
    facts = {"status": "failed", "reason": "NaN", "chosen": False}
    assert read.edges["S0", "0.1"] == facts
    facts = {"status": "pruned", "reason": "race: too low", "chosen": False}
    assert read.edges["0.1", "0.03"] == facts
    assert read.edges["0.03", "0.01"] == {"status": "waiting", "chosen": False}
    assert "score" not in read.nodes["0.03"], "what was pruned gives a state no score"
    write_graph(tmp_path / "graph.dot", graph, outcomes)
    assert 'reason="race: too low"' in (tmp_path / "graph.dot").read_text()


def test_what_has_begun_is_told_with_its_epochs_so_far(tmp_path):
    graph, outcomes = GRAPHS["one axis"], {"S0__0.1": done(0.5)}
    begun = {"S0__0.1": 3, "0.1__0.03": 12}  # the first once more, from another model
    for suffix in (".svg", ".dot", ".graphml"):
        write_graph(tmp_path / f"graph{suffix}", graph, outcomes, begun=begun)
    texts = svg_texts(tmp_path / "graph.svg")
    assert {"begun, with epochs so far", "12", "not trained"} <= set(texts)
    assert "3 states, 3 transitions (1 begun, 1 not trained)" in texts
    assert 'label="begun, 12 epochs so far"' in (tmp_path / "graph.dot").read_text()
    facts = {"status": "begun", "epochs_so_far": 12, "chosen": False}
    assert nx.read_graphml(tmp_path / "graph.graphml").edges["0.1", "0.03"] == facts


def test_a_reason_may_hold_any_character(tmp_path):
    graph = GRAPHS["one axis"]
    broken = replace(FAILED, reason='a\x00b\n"c" <d>')
    for suffix in (".graphml", ".dot", ".svg"):
        write_graph(tmp_path / f"graph{suffix}", graph, {"S0__0.1": broken})
    edge = nx.read_graphml(tmp_path / "graph.graphml").edges["S0", "0.1"]
    assert edge["reason"] == 'a b "c" <d>'


def test_pruned_transitions_are_drawn_in_an_overview_too(tmp_path):
    graph = make_graph({name: range(6) for name in "abc"}, basic)
    pruned = {transition_key(edge): PRUNED for edge in list(graph.dag.edges)[::2]}
    write_graph(tmp_path / "graph.svg", graph, pruned)
    assert {"pruned", "not trained"} <= set(svg_texts(tmp_path / "graph.svg"))


@every_graph
def test_dot_has_every_transition_once(graph, tmp_path):
    plan, trainings = solved(graph, tmp_path / "run")
    found = trace(graph, trainings, "max", plan)
    write_graph(tmp_path / "graph.dot", graph, found.outcomes, found.path)
    text = (tmp_path / "graph.dot").read_text()
    edges = re.findall(r'^  "([^"]+)" -> "([^"]+)" \[(.+)\];$', text, re.MULTILINE)
    written = Counter((source, target) for source, target, _ in edges)
    assert written == Counter((source.label, target.label) for source, target in graph.dag.edges)
    chosen = {(source, target) for source, target, facts in edges if 'chosen="true"' in facts}
    assert chosen == {(source.label, target.label) for source, target in found.path}
    assert text.count("{") == text.count("}") == 1
