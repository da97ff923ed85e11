"""Training along strategies: what is trained, where, how often, and what is made of the results."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from watched import WatchedTrainer, watched

from schedplan import Axis, Plan, SimulatedTrainer, Space, Stage, build_graph
from schedplan.baselines import (
    Compared,
    Result,
    Strategy,
    best,
    compare,
    hand_tuned,
    held_out,
    scores,
    spread,
)
from schedplan.errors import BrokenPoolError, RunFolderError, WorkerLostError
from schedplan.executors import ProcessExecutor, SerialExecutor
from schedplan.graph import basic
from schedplan.journal import RunFolder
from schedplan.transition import EpochEvent

LIKE = Plan("demo", metric="quality", mode="max", score=None, stages=())
SEEDS = (11, 12)


def grid(lengths: tuple[int, ...] = (4, 6)) -> list[Strategy]:
    space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
    starts = space.select({"clip": 16, "rate": 0.1})
    graph = build_graph(space, basic(), starts, space.select({"clip": 32, "rate": 0.01}))
    return hand_tuned(graph, LIKE, lengths)


def metrics_of(compared: tuple[Compared, ...]) -> list[list[dict]]:
    return [[dict(result.metrics) for result in each.results] for each in compared]


def test_a_strategy_is_scored_by_the_model_of_its_last_epoch(tmp_path):
    stage = Stage("a", {"rate": 0.1}, epochs=3, score=0.9, observed=0.9, seed=5)
    strategy = Strategy("plan", "a", Plan("demo", "quality", "max", score=0.9, stages=(stage,)))
    (compared,) = compare([strategy], SEEDS, SimulatedTrainer, tmp_path / "silent")
    trainer = SimulatedTrainer()
    trainer.begin(stage.params, None, seed=0)
    for _ in range(3):
        trainer.train_epoch()
    assert [result.metrics for result in compared.results] == [trainer.evaluate()] * 2
    noisy = partial(SimulatedTrainer, noise=0.1)
    (compared,) = compare([strategy], SEEDS, noisy, tmp_path / "noisy")
    assert len(set(scores(compared.results, "quality"))) == 2, "every seed has noise of its own"


def test_only_what_is_new_is_trained_and_no_model_stays(tmp_path):
    diary = tmp_path / "diary"
    few, more = grid((4,)), grid((4, 6))
    first = compare(few, SEEDS[:1], watched(diary), tmp_path / "compare")
    assert len(diary.read_text().splitlines()) == 4 * len(few)
    again = compare(few, SEEDS[:1], watched(diary), tmp_path / "compare")
    assert again == first
    assert len(diary.read_text().splitlines()) == 4 * len(few), "nothing was trained again"
    compared = compare(more, SEEDS, watched(diary), tmp_path / "compare")
    epochs = 2 * sum(strategy.plan.epochs for strategy in more)
    assert len(diary.read_text().splitlines()) == epochs
    assert metrics_of(compared[: len(few)])[0][:1] == metrics_of(first)[0]
    assert not list(tmp_path.rglob("simulated.json"))
    assert list(tmp_path.rglob("epochs.jsonl"))


def test_all_strategies_begin_with_the_same_seeds(tmp_path):
    diary = tmp_path / "diary"
    compare(grid((4,)), SEEDS, watched(diary), tmp_path / "compare")
    begun = {line.split()[0] for line in diary.read_text().splitlines()}
    stages = max(len(strategy.plan.stages) for strategy in grid((4,)))
    assert len(begun) == len(SEEDS) * stages


def test_strategies_that_train_alike_are_trained_once(tmp_path):
    diary = tmp_path / "diary"
    (one, *_) = grid((4,))
    twin = Strategy("plan", "the same", one.plan)
    compared = compare([one, twin], SEEDS, watched(diary), tmp_path / "compare")
    assert len(diary.read_text().splitlines()) == 4 * len(SEEDS)
    assert [each.strategy for each in compared] == [one, twin]
    assert compared[0].results == compared[1].results


def test_a_comparison_that_was_cut_off_goes_on_to_the_epoch(tmp_path):
    whole = compare(grid(), SEEDS, watched(tmp_path / "whole"), tmp_path / "a")
    diary = tmp_path / "cut"
    for at in (1, 7, 30):
        with pytest.raises(KeyboardInterrupt):
            compare(grid(), SEEDS, watched(diary, {at: KeyboardInterrupt()}), tmp_path / "b")
    assert metrics_of(compare(grid(), SEEDS, watched(diary), tmp_path / "b")) == metrics_of(whole)
    trained = diary.read_text().splitlines()
    assert len(trained) == len((tmp_path / "whole").read_text().splitlines())


class Picky(SimulatedTrainer):
    """Fails between two levels of the rate, as long as there is a file `folder / "picky"`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def begin(self, params, start, seed):
        if (self._folder / "picky").exists() and params["rate"] not in (0.1, 0.01):
            raise RuntimeError("no such rate")
        super().begin(params, start, seed)


def test_a_strategy_that_fails_is_a_result_and_is_tried_again(tmp_path):
    (tmp_path / "picky").touch()
    strategies = grid((4,))
    failed = compare(strategies, SEEDS, partial(Picky, tmp_path), tmp_path / "compare")
    for each in failed:
        cosine = "~" in each.strategy.name
        assert bool(scores(each.results, "quality")) is not cosine
        if cosine:
            assert all("RuntimeError: no such rate" in result.failure for result in each.results)
    assert best(failed, "quality", "max") is not None
    assert best([each for each in failed if "~" in each.strategy.name], "quality", "max") is None
    (tmp_path / "picky").unlink()
    mended = compare(strategies, SEEDS, partial(Picky, tmp_path), tmp_path / "compare")
    assert all(scores(each.results, "quality") for each in mended)


def test_a_damaged_result_is_named(tmp_path):
    strategies = grid((4,))[:1]
    compare(strategies, SEEDS, SimulatedTrainer, tmp_path)
    (file, _) = sorted(tmp_path.rglob("compared.json"))
    file.write_text("{")
    with pytest.raises(RunFolderError, match=r"compared\.json: a result cannot be read"):
        compare(strategies, SEEDS, SimulatedTrainer, tmp_path)


@pytest.mark.parametrize("orders", [{2: KeyboardInterrupt()}, {}], ids=["cut off", "all done"])
@pytest.mark.parametrize(
    ("seeds", "version", "message"),
    [
        (SEEDS, "2", "the data have changed since the run was begun: a was '1' and is now '2'"),
        ((20, 12), "1", "made with another configuration: seed was 11 and is now 20"),
    ],
    ids=["data", "seed"],
)
def test_what_another_comparison_has_trained_is_refused(tmp_path, orders, seeds, version, message):
    folder, diary = tmp_path / "compare", tmp_path / "diary"
    with suppress(KeyboardInterrupt):
        own = {"data": {"a": "1"}}
        compare(grid((4,)), SEEDS, watched(diary, orders), folder, config=own)
    trained = diary.read_text()
    with pytest.raises(RunFolderError, match=message):
        other = {"data": {"a": version}}
        compare(grid((6, 4)), seeds, watched(diary), folder, config=other)
    assert diary.read_text() == trained, "what is new has to wait, too"


class Mortal(SimulatedTrainer):
    """Its process is killed at the first epoch that is trained anywhere."""

    def __init__(self, folder: Path) -> None:
        super().__init__(noise=0.02)
        self._folder = folder

    def train_epoch(self):
        died = self._folder / "died"
        if not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train_epoch()


def test_other_processes_come_to_the_same_results_though_one_is_killed(tmp_path):
    strategies = grid((4,))
    here = compare(strategies, SEEDS, partial(SimulatedTrainer, noise=0.02), tmp_path / "here")
    told, epochs = [], Epochs()
    with ProcessExecutor(2) as pool:
        there = compare(
            strategies,
            SEEDS,
            partial(Mortal, tmp_path),
            tmp_path / "there",
            executor=pool,
            on_result=told.append,
            on_event=epochs,
        )
    assert (tmp_path / "died").exists()
    assert metrics_of(there) == metrics_of(here)
    assert len(told) == len(strategies) * len(SEEDS)
    assert epochs.told == epochs.written(tmp_path / "there"), "what others train is told, too"


def test_only_new_epochs_are_told_of_what_another_session_began(tmp_path):
    (strategy, *_) = grid((6,))
    folder, before, after = tmp_path / "compare", Epochs(), Epochs()
    with pytest.raises(KeyboardInterrupt):
        trainer = watched(tmp_path / "diary", {3: KeyboardInterrupt()})
        compare([strategy], SEEDS[:1], trainer, folder, on_event=before)
    with ThreadPoolExecutor(1) as pool:
        trainer = watched(tmp_path / "diary")
        compare([strategy], SEEDS[:1], trainer, folder, executor=pool, on_event=after)
    assert before.told
    assert before.told + after.told == after.written(folder)


def test_a_lost_process_of_a_standard_pool_ends_a_comparison_that_can_go_on(tmp_path):
    trainer, strategies = partial(Mortal, tmp_path), grid((4,))[:2]
    message = r"the executor is broken: .*; run again to go on; with .*ProcessExecutor"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for _ in range(2):  # the second time, it takes nothing any more
            with pytest.raises(BrokenPoolError, match=message):
                compare(strategies, SEEDS, trainer, tmp_path / "compare", executor=pool)
    found = compare(strategies, SEEDS, trainer, tmp_path / "compare")
    calm = partial(SimulatedTrainer, noise=0.02)
    assert metrics_of(found) == metrics_of(compare(strategies, SEEDS, calm, tmp_path / "calm"))


class Epochs:
    """Keeps the epochs that are told of."""

    def __init__(self) -> None:
        self.told: Counter[tuple[str, int, str, int]] = Counter()

    def __call__(self, strategy, number, event):
        if isinstance(event, EpochEvent):
            self.told[strategy.key, number, event.key, event.record.epoch] += 1

    def written(self, folder: Path) -> Counter[tuple[str, int, str, int]]:
        """Return all that were trained, each once."""
        return Counter(
            (place.parent.name, int(place.name.removeprefix("seed-")), stage.key, record.epoch)
            for place in folder.glob("*/seed-*")
            for stage in RunFolder(place).trainings()
            for record in stage.records()
        )


class Lossy(SerialExecutor):
    """Loses the process of every call, or of every second one."""

    def __init__(self, always: bool) -> None:
        self._always, self._calls = always, 0

    def submit(self, fn, /, *args, **kwargs):
        self._calls += 1
        if self._always or self._calls % 2:
            future = Future()
            future.set_exception(WorkerLostError("the process was killed"))
            return future
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("always", [False, True])
def test_a_strategy_has_failed_once_its_process_was_lost_too_often(tmp_path, always):
    executor = Lossy(always)
    found = compare(grid((4,)), SEEDS, SimulatedTrainer, tmp_path / "compare", executor=executor)
    failures = {result.failure for each in found for result in each.results}
    assert failures == ({"3 times, the process was killed"} if always else {None})


class Mourning(SerialExecutor):
    """Takes an interrupt for the loss of the process that met it."""

    def submit(self, fn, /, *args, **kwargs):
        try:
            return super().submit(fn, *args, **kwargs)
        except KeyboardInterrupt:
            future = Future()
            future.set_exception(WorkerLostError("the process was killed"))
            return future


class Frail(WatchedTrainer):
    """Comes to no third epoch of a stage."""

    def train_epoch(self):
        if self._epoch == 2:
            raise self._orders[3]
        return super().train_epoch()


@pytest.mark.parametrize("error", [RuntimeError("diverged"), KeyboardInterrupt()])
def test_what_fails_has_taken_the_epochs_that_were_trained(tmp_path, error):
    trainer = partial(Frail, tmp_path / "diary", {3: error}, 0, 0.02)
    found = compare(grid((4,)), SEEDS, trainer, tmp_path / "compare", executor=Mourning())
    results = [result for each in found for result in each.results]
    assert sum(result.epochs for result in results) == len(
        (tmp_path / "diary").read_text().splitlines()
    )
    failed = [result for result in results if result.failure]
    assert {result.epochs for result in failed} == {2}
    assert all(result.seconds > 0 for result in failed)
    assert len(failed) < len(results)


class Sluggish(SimulatedTrainer):
    """Takes its time to measure a model that it was handed."""

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        self._handed = True

    def train_epoch(self):
        self._handed = False
        return super().train_epoch()

    def evaluate(self):
        time.sleep(0.05 * self._handed)
        return super().evaluate()


def test_what_only_stages_make_necessary_takes_no_time(tmp_path):
    (cosine,) = [each for each in grid((4,)) if each.name == "clip 16>32, rate 0.1~0.01"]
    (compared,) = compare([cosine], SEEDS[:1], Sluggish, tmp_path)
    (place,) = tmp_path.glob("*/seed-1")
    spent = [seconds for _, _, seconds in RunFolder(place).trained()]
    assert len(spent) == 4
    assert compared.results[0].seconds <= sum(spent) - 4 * 0.05


def result(score: float | None) -> Result:
    """Return the result of that score; None: of a training that diverged."""
    if score is None:
        return Result({}, epochs=0, seconds=0.5, failure="diverged")
    return Result({"top1": score, "test": -score}, epochs=1, seconds=1.0)


def tried(values: list[list[float | None]]) -> list[Compared]:
    """Return strategies with these scores; None for those that diverged."""
    return [
        Compared(Strategy("constant", f"{number}", LIKE), tuple(map(result, row)))
        for number, row in enumerate(values)
    ]


def tables(score: st.SearchStrategy[float | None]) -> st.SearchStrategy[list[list[float | None]]]:
    """Draw a row of scores for each strategy, of as many seeds each."""
    return st.integers(2, 5).flatmap(
        lambda seeds: st.lists(
            st.lists(score, min_size=seeds, max_size=seeds), min_size=1, max_size=6
        )
    )


numbers = st.integers(-1000, 1000).map(float)
modes = st.sampled_from(["max", "min"])


@given(values=tables(st.none() | numbers), mode=modes)
def test_what_is_held_out_is_never_better_than_the_best_seems(values, mode):
    strategies = tried(values)
    seeming = best(strategies, "top1", mode)
    better = max if mode == "max" else min
    for seed, found in enumerate(held_out(strategies, "top1", mode)):
        if not found.failure:
            assert seeming is not None
            own = seeming.results[seed].metrics["top1"]
            assert better(own, found.metrics["top1"]) == own


@given(values=tables(numbers), mode=modes)
def test_a_strategy_that_never_fails_is_held_out_alone(values, mode):
    (strategy,) = tried(values[:1])
    assert held_out([strategy], "top1", mode) == strategy.results


@given(values=tables(st.none() | numbers), mode=modes, data=st.data())
def test_a_seed_has_no_part_in_choosing_what_it_judges(values, mode, data):
    """What fails with the seed left out is chosen like any other, and has failed."""
    seed = data.draw(st.integers(0, len(values[0]) - 1))
    before = held_out(tried(values), "top1", mode)
    assume(before)
    diverged = [[None if at == seed else each for at, each in enumerate(row)] for row in values]
    others = [at for at in range(len(values[0])) if at != seed]
    chosen = best(tried(diverged), "top1", mode, others)
    assert before[seed] == tried(values)[int(chosen.strategy.name)].results[seed]
    after = held_out(tried(diverged), "top1", mode)
    assert after == () or after[seed].failure == "diverged"


def test_one_seed_has_neither_spread_nor_anything_to_hold_out():
    assert spread([0.5]) is None
    assert spread([0.5, 0.7]) == pytest.approx(0.1414, abs=1e-4)
    assert held_out(tried([[0.5], [0.6]]), "top1", "max") == ()
    assert best(tried([[0.5], [0.6]]), "top1", "min").strategy.name == "0"
