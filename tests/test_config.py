"""Configurations: defaults, overrides, and errors that name the line and the nearest name."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schedplan import FAST, NONE, AtMost, Beam, Budget, CurveFit, Pareto, Patience, SearchOptions
from schedplan.config import load_config, load_run
from schedplan.config.options import bind
from schedplan.errors import SchedplanError, UsageError
from schedplan.journal import RunFolder

GOOD = """\
name: paper
metric: top1
axes:
  sampling: [consecutive, uniform]
  clip_length: [16, 32, 128]
  learning_rate: [4e-2, 0.004, 0.0004]
links:
  batch_size: {of: clip_length, values: [16, 8, 4]}
  segments: {of: [sampling, clip_length], values: [[1, 1, 1], [4, 8, 16]]}
transitions:
  preset: extended
  fixed: [sampling]
  reversible: [clip_length]
  rules:
    - forbid: {source: {clip_length: 16}, target: {clip_length: 128}}
    - one_axis
start: {learning_rate: first, clip_length: [16, 32]}
final: {learning_rate: last, clip_length: last}
knee:
  estimator: exponential
  delay: 7
  max_epochs: 90
trainer:
  use: simulated
  noise: 0.1
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(textwrap.dedent(text))
    return file


def test_a_good_configuration_becomes_a_problem(tmp_path):
    setup = load_config(write(tmp_path, GOOD))
    assert setup.problem.estimator == AtMost(90, CurveFit("exponential", 7))
    assert setup.graph.states == 18
    assert setup.graph.transitions == 28, "one_axis takes the extended graph's trades away"
    state = setup.space.state(sampling="uniform", clip_length=32, learning_rate=0.04)
    assert setup.space.params(state)["segments"] == 8
    assert setup.make_trainer().metrics


def test_defaults_are_filled_in(tmp_path):
    text = "name: a\nmetric: top1\naxes: {rate: [1, 2]}\ntrainer: {use: simulated}\n"
    setup = load_config(write(tmp_path, text))
    assert setup.estimator == AtMost(400, CurveFit())
    assert [state.label for state in setup.graph.starts] == ["1"]
    assert [state.label for state in setup.graph.finals] == ["2"]
    assert setup.options == SearchOptions()


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("prune: none", SearchOptions(pruning=NONE)),
        ("prune: fast", SearchOptions(pruning=FAST)),
        ("keep: {beam: 3}", SearchOptions(frontier=Beam(3))),
        ("keep: pareto", SearchOptions(frontier=Pareto())),
        ("keep: {pareto: 5}", SearchOptions(frontier=Pareto(5))),
        ("order: dive", SearchOptions(order="dive")),
        (
            "budget: {epochs: 0, hours: 1.5}, cost: clip_length",
            SearchOptions(budget=Budget(epochs=0, hours=1.5), cost="clip_length"),
        ),
        ("cost: batch_size", SearchOptions(cost="batch_size")),
        ("speculate: true", SearchOptions(speculate=True)),
        ("budget: null", SearchOptions()),
    ],
)
def test_how_to_search_is_read(tmp_path, section, options):
    setup = load_config(write(tmp_path, GOOD + f"search: {{{section}}}\n"))
    assert setup.options == options
    RunFolder(tmp_path / "run").configure(setup.facts())
    assert load_run(RunFolder(tmp_path / "run")).options == options


def test_the_cost_of_every_state_is_checked(tmp_path):
    text = GOOD.replace("values: [16, 8, 4]", "values: [16, 8, 0]")
    setup = load_config(write(tmp_path, text + "search: {cost: batch_size}\n"))
    with pytest.raises(UsageError, match=r"'batch_size', is 0 under .*_128_"):
        assert setup.options


def test_overrides_replace_and_add_values(tmp_path):
    overrides = ["knee={estimator: patience, epochs: 3}", "axes.clip_length=[16, 32]", "seed=5"]
    overrides += ["links={}", "trainer.problem=3", "start=null", "transitions.rules=[]"]
    setup = load_config(write(tmp_path, GOOD), overrides=overrides)
    assert setup.estimator == AtMost(400, Patience(3))
    assert setup.graph.states == 12
    assert setup.config.seed == 5


def test_what_a_run_folder_keeps_gives_the_same_setup(tmp_path):
    setup = load_config(write(tmp_path, GOOD))
    RunFolder(tmp_path / "run").configure(setup.facts())
    again = load_run(RunFolder(tmp_path / "run"))
    assert again.facts() == setup.facts()
    assert set(again.graph.dag.edges) == set(setup.graph.dag.edges)


def write_module(folder: Path) -> None:
    (folder / "bare.py").write_text(
        "def make(noise): return object()\ndef broken(noise): raise ValueError('no such luck')\n"
    )


SEARCH = [
    # (what stands in the section `search`, phrases of the message)
    ("prune: quick", ["search.prune is 'quick'", "allowed: none, safe, fast"]),
    ("keep: beems", ["search.keep is 'beems'", "{beam: k}", "did you mean 'best'"]),
    ("keep: {baem: 2}", ["search.keep is {'baem': 2}", "did you mean 'beam'"]),
    ("keep: beam", ["search.keep is 'beam'", "{beam: k}"]),
    ("keep: {beam: 0}", ["beam is 0", "whole numbers of at least 1"]),
    ("keep: {beam: true}", ["beam is True", "whole numbers of at least 1"]),
    ("keep: {pareto: 2.0}", ["pareto is 2.0", "whole numbers of at least 1"]),
    ("keep: {best: 1}", ["search.keep is {'best': 1}", "best, {beam: k}"]),
    ("keep: {beam: 2, pareto: 2}", ["search.keep is", "best, {beam: k}"]),
    ("keep: 3", ["search.keep is 3"]),
    ("order: div", ["search.order is 'div'", "'topological' or 'dive'"]),
    ("budget: {epoch: 3}", ["unknown key 'epoch'", "did you mean 'epochs'"]),
    ("budget: {epochs: -1}", ["search.budget.epochs is -1", "greater than or equal to 0"]),
    ("budget: {epochs: 2.5}", ["search.budget.epochs is 2.5", "a whole number"]),
    ("budget: {hours: .inf}", ["search.budget.hours is inf", "finite"]),
    ("budget: {epochs: many}", ["search.budget.epochs is 'many'", "a whole number"]),
    ("budget: {hours: [1]}", ["search.budget.hours is [1]", "a number"]),
    ("budget: 100", ["search.budget is 100", "epochs, cost, hours", "such as {epochs: 100}"]),
    ("budget: [100]", ["search.budget is [100]", "a mapping of epochs, cost, hours"]),
    ("prune: 3", ["search.prune is 3", "allowed: none, safe, fast"]),
    ("prune: saef", ["did you mean 'safe'"]),
    ("cost: clip_lenght", ["'clip_lenght'", "did you mean 'clip_length'"]),
    ("cost: sampling", ["'sampling', is 'consecutive' under", "numbers above 0"]),
    ("cost: 2", ["search.cost is 2"]),
    ("speculate: 1", ["search.speculate is 1"]),
    ("kep: best", ["unknown key 'kep'", "did you mean 'keep'"]),
]

BAD = [
    # (what is replaced, by what, the line that the message names, phrases of the message)
    ("metric: top1", "metrik: top1", 2, ["unknown key 'metrik'", "did you mean 'metric'"]),
    ("metric: top1\n", "", None, ["the key 'metric' is missing"]),
    ("name: paper", "name: a/b", 1, ["name is 'a/b'", "letters, digits"]),
    ("name: paper", "name: [", None, ["no YAML"]),
    ("metric: top1", "name: twice", 2, ["'name' is given twice"]),
    ("metric: top1", "metric: topp1", 2, ["not report the metric 'topp1'", "did you mean 'top1'"]),
    ("metric: top1", "metric: top1\nmode: maximum", 3, ["mode is 'maximum'", "'max' or 'min'"]),
    ("metric: top1", "metric: top1\nseed: x", 3, ["seed is 'x'", "a whole number"]),
    ("[consecutive, uniform]", "[]", 4, ["the axis 'sampling' has no values"]),
    ("[consecutive, uniform]", "uniform", 4, ["axes.sampling is 'uniform'", "a list"]),
    ("[16, 32, 128]", "[16, 32, 16]", 5, ["'clip_length' has the value 16 twice"]),
    ("  clip_length: [16", "  clip length: [16", 5, ["'clip length' is no name for an axis"]),
    ("values: [16, 8, 4]", "values: [16, 8]", 8, ["has 2 entries", "'clip_length' has 3 levels"]),
    ("values: [16, 8, 4]", "value: [16, 8]", 8, ["unknown key 'value'", "allowed: of, values"]),
    ("of: clip_length", "of: clip_lenght", 8, ["no axis 'clip_lenght'", "mean 'clip_length'"]),
    ("[[1, 1, 1], [4, 8, 16]]", "[[1, 1, 1], 4]", 9, ["is no list", "shape 2 x 3"]),
    ("preset: extended", "preset: extendet", 11, ["no preset 'extendet'", "mean 'extended'"]),
    ("fixed: [sampling]", "fixed: [samplin]", 12, ["no axis 'samplin'", "mean 'sampling'"]),
    ("reversible: [clip_length]", "reversable: []", 13, ["unknown key 'reversable'"]),
    ("- one_axis", "- one_axes", 16, ["no rule 'one_axes'", "did you mean 'one_axis'"]),
    ("- one_axis", "- max_step: {level: 2}", 16, ["unknown key 'level'", "mean 'levels'"]),
    ("- one_axis", "- max_step: {levels: 0}", 16, ["levels must be at least 1"]),
    ("- one_axis", "- max_step: {levels: two}", 16, ["levels is 'two'"]),
    ("- one_axis", "- max_step: 2", 16, ["cannot understand the rule"]),
    ("- one_axis", "- fixed: {axes: [clip]}", 16, ["no axis 'clip'"]),
    (
        "- one_axis",
        "- forbid: {target: {learning_rate: last}}",
        18,
        ["can be reached", "without the rule Forbid"],
    ),
    ("{learning_rate: first,", "{rate: first,", 17, ["no axis 'rate'"]),
    ("clip_length: [16, 32]}", "clip_length: [17]}", 17, ["no value 17", "first, last, 16"]),
    ("clip_length: [16, 32]}", "clip_length: []}", 17, ["no value of the axis"]),
    ("estimator: exponential", "estimator: exponent", 20, ["no estimator 'exponent'"]),
    ("delay: 7", "dealy: 7", 21, ["unknown key 'dealy'", "did you mean 'delay'"]),
    ("delay: 7", "delay: -1", 21, ["delay is -1"]),
    ("delay: 7", "delay: '7'", 21, ["knee.delay is '7'", "a whole number"]),
    ("max_epochs: 90", "max_epochs: 0", 22, ["knee.max_epochs is 0", "greater than"]),
    ("use: simulated", "use: simulatet", 24, ["no trainer 'simulatet'", "mean 'simulated'"]),
    ("use: simulated", "use: video", 24, ["no trainer 'video'", "--plugin video"]),
    ("use: simulated", "use: 'no_such_module:make'", 24, ["no module 'no_such_module'"]),
    ("use: simulated", "use: 'schedplan.simulator:Simulated'", 24, ["has no 'Simulated'"]),
    ("  use: simulated\n", "", 23, ["'trainer.use' is missing"]),
    ("use: simulated", "use: 'builtins:dict'", 23, ["cannot be called with options by name"]),
    ("use: simulated", "use: 'bare:make'", 24, ["makes a object, which lacks begin, train_epoch"]),
    ("use: simulated", "use: 'bare:broken'", 23, ["cannot make the trainer", "no such luck"]),
    ("noise: 0.1", "nose: 0.1", 25, ["unknown key 'nose'", "did you mean 'noise'"]),
    ("noise: 0.1", "noise: -1", 25, ["noise is -1"]),
    (
        "metric: top1",
        "metric: top1\nsearch: fast",
        3,
        ["search is 'fast'", "such as {prune: fast}"],
    ),
    ("metric: top1", "metric: top1\nplugins: [vide]", 3, ["no plug-in 'vide'", "'video'"]),
    *(("metric: top1", f"metric: top1\nsearch:\n  {text}", 4, say) for text, say in SEARCH),
]


@pytest.mark.parametrize(("old", "new", "line", "phrases"), BAD, ids=[bad[1] for bad in BAD])
def test_bad_configurations_are_located(tmp_path, monkeypatch, old, new, line, phrases):
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new, 1))
    monkeypatch.syspath_prepend(tmp_path)
    write_module(tmp_path)
    with pytest.raises(UsageError) as caught:
        setup = load_config(file)
        assert setup.problem
        assert setup.options
        setup.make_trainer()
    message = str(caught.value)
    for phrase in phrases:
        assert phrase in message
    assert str(file) in message
    if line is not None:
        assert f"{file}:{line}:" in message


@pytest.mark.parametrize(
    ("overrides", "phrases"),
    [
        (["knee.dely=5"], ["--set knee.dely=5", "did you mean 'delay'"]),
        (["knee={estimator: exponential, delay: -7}"], ["--set knee={", "delay"]),
        (["knee.delay=-7", "knee={delay: -8}"], ["--set knee={delay: -8}", "delay"]),
        (["knee"], ["key=value"]),
        (["metric.a=5"], ["metric is no mapping"]),
        (["seed=[1"], ["no YAML", "--set seed=[1"]),
        (
            ["transitions={reversible: [clip_length, learning_rate]}", "start={}"],
            ["--set transitions=", "cycle: ", "non-reversible"],
        ),
    ],
)
def test_bad_overrides_are_located(tmp_path, overrides, phrases):
    with pytest.raises(UsageError) as caught:
        assert load_config(write(tmp_path, GOOD), overrides=overrides).problem
    for phrase in phrases:
        assert phrase in str(caught.value)


def test_an_option_of_several_kinds_takes_each_as_it_is():
    def make(size: int | str) -> int | str:
        return size

    assert [bind(make, {"size": size}, ())() for size in (20, "1%", "20")] == [20, "1%", "20"]
    for size in (0.5, True, [1]):
        with pytest.raises(UsageError, match=r"size is .*; allowed: int or str"):
            bind(make, {"size": size}, ())


def test_an_option_may_be_one_text_or_several():
    def make(names: str | list[str] | None = None) -> object:
        return names

    for names in ("a", ["a", "b"], None):
        assert bind(make, {"names": names}, ())() == names
    with pytest.raises(UsageError, match=r"names is 3; allowed: str or list"):
        bind(make, {"names": 3}, ())


@pytest.mark.parametrize("content", [b"", b"just text", b"- a list", b"\xff\xfe", b"a: 2026-99-99"])
def test_files_that_hold_no_configuration_are_refused(tmp_path, content):
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"config\.yaml"):
        load_config(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="the file cannot be read: No such file"):
        load_config(tmp_path / "absent.yaml")


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
keys = ["name", "metric", "mode", "seed", "plugins", "axes", "links", "transitions", "start"]
keys += ["final", "knee", "search", "trainer"]


@given(section=st.sampled_from(keys), value=plain)
def test_whatever_stands_in_a_section_ends_in_a_problem_or_a_named_error(
    tmp_path_factory, section, value
):
    facts = yaml.safe_load(GOOD) | {section: value}
    file = tmp_path_factory.mktemp("fuzz") / "config.yaml"
    file.write_text(yaml.safe_dump(facts))
    try:
        setup = load_config(file)
        assert setup.problem.graph.states > 0
        assert setup.options
        setup.make_trainer()
    except SchedplanError as error:
        assert str(file) in str(error)
