"""What is lost, or damaged, is gone on with from the last snapshot, by searches and by replays."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from struck import NOISY, small

from schedplan import NONE, FixedEpochs, SearchOptions, replay, solve
from schedplan.errors import RunFailedError, WorkerLostError
from schedplan.executors import SerialExecutor
from schedplan.journal import RunFolder
from schedplan.solver import Event
from schedplan.transition import EpochEvent, RetryEvent

LONGER = FixedEpochs(6)


class Losing(SerialExecutor):
    """Loses the process that trains, so many times, each after so many epochs more."""

    def __init__(self, losses: int, epochs: int = 0) -> None:
        self.losses, self.epochs = losses, epochs

    def submit(self, fn, assignment, observe):
        if self.losses == 0:
            return super().submit(fn, assignment, observe)
        self.losses -= 1
        known = len(assignment.run.transition(assignment.key).records())
        fn(replace(assignment, until=max(known - 1, 0) + self.epochs), observe)
        lost: Future = Future()
        lost.set_exception(WorkerLostError("the process was lost"))
        return lost


def plan_of_three_stages():
    return solve(replace(small(), estimator=LONGER), options=SearchOptions(pruning=NONE))


def epochs(events: list[Event]) -> list[tuple[str, int]]:
    """Return which epochs were trained, of which training."""
    trained = (event for event in events if isinstance(event, EpochEvent) and event.record.epoch)
    return [(event.key, event.record.epoch) for event in trained]


def test_a_replay_goes_on_after_losses(tmp_path):
    plan, events = plan_of_three_stages(), []
    expected = replay(plan, NOISY, tmp_path / "whole")
    losing = Losing(5, epochs=1)
    outcomes = replay(plan, NOISY, tmp_path / "run", executor=losing, on_event=events.append)
    assert [each.identity for each in outcomes] == [each.identity for each in expected]
    assert len([event for event in events if isinstance(event, RetryEvent)]) == 5
    assert len(epochs(events)) == len(set(epochs(events))), "no epoch is trained twice"


def test_a_replay_that_failed_by_losses_goes_on_from_its_last_snapshot(tmp_path):
    plan, events = plan_of_three_stages(), []
    expected = replay(plan, NOISY, tmp_path / "whole")
    run = partial(replay, plan, NOISY, tmp_path / "run", on_event=events.append)
    run_once = Losing(2, epochs=2)
    with pytest.raises(RunFailedError, match=r"stage-01 .* failed: 3 times, the process was lost"):
        run(executor=Chain(run_once, Losing(3)))
    assert epochs(events)[-1] == ("stage-01", 4)
    events.clear()
    outcomes = run()
    assert epochs(events)[0] == ("stage-01", 5)
    assert [each.identity for each in outcomes] == [each.identity for each in expected]


class Chain(SerialExecutor):
    """Loses as the first says, then as the second does."""

    def __init__(self, first: Losing, second: Losing) -> None:
        self.first, self.second = first, second

    def submit(self, fn, assignment, observe):
        turn = self.first if self.first.losses else self.second
        return turn.submit(fn, assignment, observe)


def test_a_stage_whose_model_is_damaged_before_the_next_one_is_trained_again(tmp_path):
    plan = plan_of_three_stages()
    expected = replay(plan, NOISY, tmp_path / "whole")

    def stop(event: Event) -> None:
        if isinstance(event, EpochEvent) and event.key == "stage-02":
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        replay(plan, NOISY, tmp_path / "run", on_event=stop)
    (model,) = (tmp_path / "run" / "snapshots").glob("stage-01.*/*.json")
    model.write_text("damaged")
    events = []
    outcomes = replay(plan, NOISY, tmp_path / "run", on_event=events.append)
    assert [each.identity for each in outcomes] == [each.identity for each in expected]
    (retry,) = [event for event in events if isinstance(event, RetryEvent)]
    assert (retry.key, "stage-01" in retry.reason) == ("stage-02", True)


def test_a_transition_that_failed_by_losses_goes_on_from_its_last_snapshot(tmp_path):
    expected, events = plan_of_three_stages(), []
    problem = replace(small(), estimator=LONGER)
    options = SearchOptions(pruning=NONE)
    search_in = partial(solve, problem, tmp_path / "run", options=options, on_event=events.append)
    search_in(executor=Chain(Losing(1, epochs=3), Losing(3)))
    lost = epochs(events)[2][0]
    failed = RunFolder(tmp_path / "run").transition(lost).outcome()
    assert (failed.status, failed.epochs_trained) == ("failed", 3)
    assert failed.reason == "3 times, the process was lost"
    events.clear()
    assert search_in(retry_failed=True) == expected
    assert [epoch for key, epoch in epochs(events) if key == lost] == [4, 5, 6]
