"""`schedplan report`: a page that tells all of a run, in whatever state it is, and to everybody."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import matplotlib.image
import pytest
from pages import Page
from processes import schedplan

from schedplan import (
    AtMost,
    Axis,
    Beam,
    Budget,
    CurveFit,
    FixedEpochs,
    KneeEstimator,
    Pareto,
    Patience,
    Problem,
    SearchOptions,
    SimulatedTrainer,
    Space,
    StateGraph,
    Verdict,
    build_graph,
    confirm,
    replay,
    report,
    solve,
)
from schedplan.errors import BudgetError, RunFailedError
from schedplan.graph import extended
from schedplan.journal import RunFolder
from schedplan.plan import Plan
from schedplan.pruning import NONE, SAFE
from schedplan.report import of_replay, of_search, palette, write_figures, write_report
from schedplan.report.costs import by_state, saving

SPACE = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
GRAPH = build_graph(
    SPACE,
    extended(reversible=("clip",)),
    SPACE.select({"rate": "first"}),
    SPACE.select({"clip": "last", "rate": "last"}),
)
RATES = Space((Axis("rate", (0.1, 0.01)),))
CHAIN = build_graph(RATES, extended(), RATES.select({"rate": 0.1}), RATES.select({"rate": 0.01}))
ESTIMATOR = AtMost(60, CurveFit(delay=3))
EXHAUSTIVE = SearchOptions(pruning=NONE)
EVIL = "<script>alert('\x00')</script> & \"more\" </td>"


class Failing(SimulatedTrainer):
    """Fails where clips are long and rates high, with a message that is no HTML."""

    def begin(self, params, start, seed):
        if (params["clip"], params["rate"]) == (32, 0.1):
            raise ValueError(EVIL)
        super().begin(params, start, seed)


class Forgetful(SimulatedTrainer):
    """Has no memory for low rates."""

    def begin(self, params, start, seed):
        if params["rate"] == 0.01:
            raise MemoryError("too large")
        super().begin(params, start, seed)


class Level(SimulatedTrainer):
    """Is as good after any training as after any other."""

    def evaluate(self):
        return {"quality": 0.5}


@dataclass(frozen=True)
class ToNothing(KneeEstimator):
    """Keeps three epochs of a new model, and nothing of what follows."""

    def decide(self, scores, scale):
        kept = 3 if scores[0] < 0.1 else 0
        last = len(scores) - 1
        return Verdict(last >= 3, min(kept, last), scores[min(kept, last)], "as told")


@dataclass(frozen=True)
class Run:
    """A search and what is needed to tell of it."""

    folder: RunFolder
    options: SearchOptions = EXHAUSTIVE
    trainer: type[SimulatedTrainer] = SimulatedTrainer
    metric: str = "quality"
    mode: str = "max"
    estimator: object = ESTIMATOR
    graph: StateGraph = GRAPH

    def search(self) -> Plan | None:
        trainer = partial(self.trainer, noise=0.01)
        problem = Problem(self.graph, trainer, self.metric, self.mode, self.estimator, name="demo")
        try:
            return solve(problem, self.folder.path, options=self.options)
        except (BudgetError, RunFailedError):
            return None

    def content(self, plan: Plan | None = None):
        return of_search(self.folder, self.graph, self.estimator, self.options, plan)


def written(content, folder: Path) -> Page:
    write_report(folder / "page.html", content)
    page = Page((folder / "page.html").read_text())
    assert page.faults == []
    return page


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(RunFolder(tmp_path / "run"))


RUNS = {
    "exhaustive": {},
    "pruned": {"options": SearchOptions(pruning=SAFE)},
    "of losses": {"metric": "loss", "mode": "min"},
    "without curves": {"estimator": Patience(2)},
    "that fails in part": {"trainer": Failing},
    "with a beam": {"options": SearchOptions(pruning=NONE, frontier=Beam(2))},
    "with a front": {"options": SearchOptions(pruning=NONE, frontier=Pareto(2), cost="clip")},
    "that a budget ended": {"options": SearchOptions(budget=Budget(epochs=30))},
    "that a budget ended soon": {"options": SearchOptions(budget=Budget(epochs=3))},
}


@pytest.mark.parametrize("facts", RUNS.values(), ids=RUNS)
def test_a_page_is_sound_and_tells_every_training(facts, run, tmp_path):
    run = replace(run, **facts)
    plan = run.search()
    content = run.content(plan)
    page = written(content, tmp_path)
    assert page.texts["h1"] == ["demo"]
    told = {row[0]: row for row in page.rows}
    for training in content.trainings:
        again = training.key.partition("@")[2]
        name = f"{training.source} → {training.target}" + (f" ({again})" if again else "")
        assert told[name][2] == str(training.epochs)
        assert training.status in told[name][1]
        assert ("chosen" in told[name][1]) == training.chosen
        assert training.reason.replace("\x00", " ") in told[name][-1]
    if plan:
        steps = [step for step in content.steps if step.epochs]
        assert [step.epochs for step in steps] == [stage.epochs for stage in plan.stages]
        assert [step.params for step in steps] == [stage.params for stage in plan.stages]
        assert content.steps[-1].score == plan.score
        assert f"{plan.epochs} epochs" in page.texts["dd"]


def test_a_path_that_ends_without_an_epoch_is_worth_what_is_measured_there(run, tmp_path):
    """As that of the digits: its last transitions only harm."""
    run = replace(run, graph=CHAIN, estimator=ToNothing())
    plan = run.search()
    assert len(plan.stages) == 1
    content = run.content(plan)
    page = written(content, tmp_path)
    assert f"{plan.score:.4g}" in page.texts["dd"]
    assert [row[0] for row in page.rows if row[0] in ("1", "final")] == ["1", "final"]
    said = " ".join(page.texts["p"])
    assert f"Into {plan.final.state}, no epoch was kept" in said
    assert "measured no worse" not in said, "it has no rival"


def test_a_rival_that_measured_as_well_and_a_limit_that_was_reached_are_told(run, tmp_path):
    """What is kept has the same score everywhere, whichever way it was reached."""
    run = replace(run, estimator=FixedEpochs(3), trainer=Level)
    content = replace(run.content(run.search()), config={"knee": {"max_epochs": 3}})
    said = " ".join(written(content, tmp_path).texts["p"])
    assert re.search(r"Into .*32_0.01, a rival measured no worse", said)
    assert re.search(r"Training into .*32_0.01 ended at the limit of 3 epochs", said)
    said = " ".join(written(replace(content, config={}), tmp_path).texts["p"])
    assert "the limit of" not in said


def test_rules_that_pruned_are_explained(run, tmp_path):
    run = replace(run, options=SearchOptions(pruning=SAFE))
    content = run.content(run.search())
    rules = {training.rule for training in content.trainings if training.rule}
    assert rules
    assert rules <= set(written(content, tmp_path).texts["dt"])


def test_what_users_write_is_text_and_nothing_else(run, tmp_path):
    run = replace(run, trainer=Failing)
    page = written(run.content(run.search()), tmp_path)
    assert len(page.texts["script"]) == 1
    assert "alert('" in " ".join(page.texts["td"])
    assert "\x00" not in (tmp_path / "page.html").read_text()


def test_what_failures_cut_off_no_longer_waits_once_the_search_has_ended(run, tmp_path):
    run = replace(run, trainer=Failing)
    page = written(run.content(run.search()), tmp_path)
    assert "2 failed, 2 could not start" in page.texts["dd"]
    assert any(row[-1] == "32_0.1 could not start" for row in page.rows)


def test_a_run_that_was_only_begun_has_a_page(run, tmp_path):
    problem = Problem(GRAPH, SimulatedTrainer, "quality", name="demo")
    run.folder.configure(problem.facts())
    page = written(run.content(), tmp_path)
    assert "No training has ended yet." in page.texts["p"]
    assert page.texts["details"], "the configuration"


def test_a_search_that_found_nothing_says_so(run, tmp_path):
    run = replace(run, options=SearchOptions(budget=Budget(epochs=3)))
    assert run.search() is None
    page = written(run.content(), tmp_path)
    (state,) = [text for text in page.texts["p"] if text.startswith("Not finished")]
    assert "begun" in state
    assert "waiting" in state
    begun = [arrow for arrow in run.content().view.arrows if arrow.status == "begun"]
    assert sum(arrow.begun for arrow in begun) == 3


def test_a_search_that_has_failed_says_so_and_why(run, tmp_path):
    run = replace(run, graph=CHAIN, trainer=Forgetful)
    assert run.search() is None
    page = written(run.content(), tmp_path)
    why = "no final state can be reached without what has failed: 0.1__0.01: MemoryError: too large"
    assert f"Failed: {why}." in page.texts["p"]
    assert not any(text.startswith("Not finished") for text in page.texts["p"])


def test_what_was_trained_again_has_a_row_of_its_own(run, tmp_path):
    run.search()
    run = replace(run, options=SearchOptions(pruning=NONE, frontier=Beam(3)))
    page = written(run.content(run.search()), tmp_path)
    names = [row[0] for row in page.rows]
    assert any("(again1)" in name for name in names)
    assert sum("chosen" in row[1] for row in page.rows) == len(run.content().view.path)


def test_a_replay_is_told_beside_its_plan(run, tmp_path):
    plan = run.search()
    folder = RunFolder(tmp_path / "replay")
    half = replace(plan, stages=plan.stages[:1], final=None)
    replay(half, partial(SimulatedTrainer, noise=0.01), folder.path, seed=7)
    content = of_replay(folder, half)
    (outcome,) = [training.outcome() for training in folder.trainings()]
    page = written(content, tmp_path)
    assert content.steps[0].again == outcome.scores[-1]
    assert content.steps[0].score == plan.stages[0].score
    assert "What was tried" not in page.texts["h2"]
    assert not of_replay(folder, plan).finished, "the other stages are not trained"
    written(of_replay(folder, plan), tmp_path)


def test_a_confirmed_plan_shows_what_was_reached_at_every_stage(run, tmp_path):
    plan = confirm(run.search(), partial(SimulatedTrainer, noise=0.01), run.folder.confirmation)
    content = run.content(plan)
    assert content.steps[-1].again == plan.confirmed
    page = written(content, tmp_path)
    assert "confirmed" in page.texts["dt"]
    assert all(step.again is not None for step in content.steps)


@pytest.mark.parametrize(("metric", "mode"), [("quality", "max"), ("loss", "min")])
def test_knees_and_curves_are_those_that_ended_the_trainings(metric, mode, run):
    run = replace(run, metric=metric, mode=mode)
    run.search()
    for training in run.content().trainings:
        assert training.verdict.epoch == training.kept
        assert training.verdict.score == training.score
        assert training.verdict.reason == training.reason
        assert training.observed == training.scores[training.kept]


def test_costs_add_up_and_pruning_saves_what_is_left_of_a_typical_training(run):
    run = replace(run, options=SearchOptions(pruning=SAFE, cost="clip"))
    run.search()
    trainings = run.content().trainings
    assert sum(each.cost for each in by_state(trainings)) == sum(t.cost for t in trainings)
    assert sum(each.epochs for each in by_state(trainings)) == sum(
        epochs for _, epochs, _ in run.folder.trained()
    )
    saved = saving(trainings)
    assert saved.rules.total() == sum(t.status == "pruned" for t in trainings) > 0
    assert 0 <= saved.share < 1
    assert saving([t for t in trainings if t.status != "pruned"]) is None


def test_figures_are_the_pictures_of_the_page_one_by_one(run, tmp_path):
    plan = run.search()
    content = run.content(plan)
    files = write_figures(tmp_path / "figures", content)
    names = {file.relative_to(tmp_path / "figures").as_posix() for file in files}
    keys = {f"curves/{training.key}" for training in content.trainings}
    stems = {"schedule", "graph", *keys}
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".svg", ".png")}
    for file in files:
        if file.suffix == ".svg":
            drawing = ET.parse(file).getroot()
            texts = [text for text in drawing.itertext() if text.strip()]
            assert "var(" not in file.read_text(), "colours of its own"
            assert texts
        else:
            assert (matplotlib.image.imread(file)[0] == 1).all(), "white at the border"


def test_the_schedule_shows_every_value_over_its_epochs(run, tmp_path):
    plan = run.search()
    write_figures(tmp_path, run.content(plan))
    drawing = ET.parse(tmp_path / "schedule.svg").getroot()
    title, description, *texts = [text for text in drawing.itertext() if text.strip()]
    assert title == f"demo: {plan.epochs} epochs in {len(plan.stages)} stages"
    assert description.count("epoch") == len(plan.stages)
    assert {"rate", "epochs", "quality"} <= set(texts)


def test_curves_of_equal_scores_and_of_huge_ones_are_drawn(run, tmp_path):
    run.search()
    content = run.content()
    first = content.trainings[0]
    odd = [(0.5,), (0.5,) * 9, (1e300, -1e300), (0.0, 0.0), (1e-12, 2e-12, 3e-12)]
    shown = [replace(first, key=f"t{n}", scores=s, kept=0, verdict=None) for n, s in enumerate(odd)]
    page = written(replace(content, trainings=tuple(shown), view=None), tmp_path)
    assert len(page.texts["svg"]) == len(odd) + 1
    assert not any(str(math.nan) in text for text in page.texts["svg"])


# Colours


def luminance(color: str) -> float:
    """Of a colour such as `#1F2328`, from 0 to 1, as WCAG 2 defines it."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


STYLE = (Path(report.__file__).parent / "template" / "style.css").read_text()
THEMES = [
    dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))
    for block in re.findall(r":root {(.*?)}", STYLE, flags=re.DOTALL)
][:2]


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark"])
def test_texts_and_marks_stand_out_in_both_themes(theme):
    assert set(palette.NAMES.values()) <= set(theme)
    for name in ("ink", "soft", "blue", "red"):
        assert contrast(theme[name], theme["paper"]) >= 4.5, name
    assert contrast(theme["ink"], theme["sky"]) >= 4.5
    assert contrast(theme["grey"], theme["paper"]) >= 3


def test_a_page_in_the_light_has_the_colours_of_the_pictures():
    assert {name: THEMES[0][name] for name in palette.NAMES.values()} == {
        name: color.lower() for color, name in palette.NAMES.items()
    }


# The command


CONFIG = """\
name: demo
metric: quality
axes: {rate: [0.1, 0.01]}
knee: {delay: 2}
trainer: {use: simulated}
"""


def test_run_and_replay_write_the_page_and_report_writes_it_again(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    plan = json.loads(schedplan("run", "config.yaml", "-f", "json", cwd=tmp_path).stdout)
    page = Page((tmp_path / "runs/demo/report.html").read_text())
    assert page.faults == []
    assert f"{plan['score']:.4g}" in page.texts["dd"]
    told = schedplan(
        "report", "runs/demo", "-o", "new/page.html", "--figures", "figures", cwd=tmp_path
    ).stderr
    assert "new/page.html" in told
    assert "figures" in told
    again = (tmp_path / "new/page.html").read_text()
    assert again == (tmp_path / "runs/demo/report.html").read_text()
    schedplan("replay", "runs/demo", cwd=tmp_path)
    page = Page((tmp_path / "runs/demo-replay/report.html").read_text())
    assert page.texts["p"][0] == "Report of a replay"


def test_what_is_no_run_is_refused(tmp_path):
    refused = schedplan("report", ".", cwd=tmp_path, code=2)
    assert "this is no run folder" in refused.stderr
    assert list(tmp_path.iterdir()) == []
