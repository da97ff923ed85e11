"""Test classes that an author of a trainer, rule, estimator or executor inherits.

Each states a contract of `schedplan` as tests; what is to be tested is said by overriding methods.

Example:
    >>> class TestMyTrainer(TrainerContract):
    ...     params = {"learning_rate": 0.1}
    ...     metric = "accuracy"
    ...     def make(self):
    ...         return MyTrainer()
"""

from __future__ import annotations

import copy
import math
import os
import pickle
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, ClassVar

from schedplan.errors import UsageError, WorkerLostError, missing
from schedplan.executors import DeviceExecutor, Resources
from schedplan.graph import basic, build_graph
from schedplan.knees import FixedEpochs, KneeEstimator, Verdict
from schedplan.rules import Fixed, Rule
from schedplan.simulator import SimulatedTrainer
from schedplan.solver import Problem, solve
from schedplan.space import INITIAL, Axis, Space
from schedplan.testing.calls import stay, visit
from schedplan.testing.strategies import curves
from schedplan.trainer import Trainer, TrainerFactory, scale_of

try:
    import pytest
    from hypothesis import HealthCheck, given, settings
except ModuleNotFoundError as error:
    raise missing(str(error.name), "testing") from error

_inherited = settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)
"""For tests that several classes inherit."""

_PATIENCE = 60.0  # seconds to wait for what has to happen


class TrainerContract(ABC):
    """What `schedplan.Trainer` promises.

    That `begin` takes the model alone from a snapshot, and not its optimiser, is up to the author:
    no test can tell one from the other in any trainer.

    Attributes:
        params: the hyperparameters of a state to train under.
        metric: one of those that `evaluate` returns.
        tolerance: how far apart two scores may be that ought to be the same; above 0 only where
            the hardware does not repeat itself.
    """

    params: ClassVar[Mapping[str, Any]]
    metric: ClassVar[str]
    tolerance: ClassVar[float] = 0.0

    @abstractmethod
    def make(self) -> Trainer:
        """Return a new trainer."""

    def factory(self) -> TrainerFactory:
        """Return what a search is given to make trainers; their class unless overridden."""
        return type(self.make())

    def test_its_factory_can_be_sent_to_another_process(self) -> None:
        assert isinstance(pickle.loads(pickle.dumps(self.factory()))(), Trainer)

    def test_it_has_the_five_verbs(self) -> None:
        assert isinstance(self.make(), Trainer)

    def test_it_reports_what_it_states(self) -> None:
        trainer = self._begun()
        metrics = trainer.evaluate()
        assert math.isfinite(metrics[self.metric])
        assert set(getattr(trainer, "metrics", None) or metrics) == set(metrics)
        scale_of(trainer, self.metric)

    def test_it_takes_the_params(self) -> None:
        check = getattr(self.make(), "check", None)
        if check is not None:
            check(self.params)

    def test_the_same_seed_gives_the_same_scores(self) -> None:
        assert self._scores(self._begun(), 2) == self._scores(self._begun(), 2)

    def test_evaluating_changes_nothing(self) -> None:
        often, seldom = self._begun(), self._begun()
        for _ in range(3):
            often.evaluate()
        assert self._scores(often, 2) == self._scores(seldom, 2)

    def test_a_transition_goes_on_from_a_snapshot_as_if_it_had_not_stopped(
        self, tmp_path: Path
    ) -> None:
        trainer = self._begun()
        self._scores(trainer, 1)
        self._save(trainer, tmp_path / "one")
        expected = self._scores(trainer, 2)
        other = self._begun()
        other.restore(tmp_path / "one")
        assert self._scores(other, 2) == expected

    def test_a_trainer_can_be_used_again(self, tmp_path: Path) -> None:
        trainer = self._begun()
        expected = self._scores(trainer, 1)
        trainer.begin(self.params, None, 0)
        assert self._scores(trainer, 1) == expected

    def test_the_next_transition_begins_with_the_model_that_was_saved(self, tmp_path: Path) -> None:
        trainer = self._begun()
        (score,) = self._scores(trainer, 1)
        self._save(trainer, tmp_path / "one")
        successor = self.make()
        successor.begin(self.params, tmp_path / "one", 1)
        assert self._score(successor) == score
        expected = self._scores(successor, 2)
        successor.begin(self.params, tmp_path / "one", 1)
        assert self._scores(successor, 2) == expected, "something is left of the training before"

    def _begun(self) -> Trainer:
        trainer = self.make()
        trainer.begin(self.params, None, 0)
        return trainer

    def _save(self, trainer: Trainer, folder: Path) -> None:
        folder.mkdir()
        trainer.save(folder)
        assert any(folder.iterdir()), "save wrote no file"

    def _score(self, trainer: Trainer) -> Any:
        return pytest.approx(trainer.evaluate()[self.metric], abs=self.tolerance, rel=0)

    def _scores(self, trainer: Trainer, epochs: int) -> list[Any]:
        scores = []
        for _ in range(epochs):
            trainer.train_epoch()
            scores.append(self._score(trainer))
        return scores


class RuleContract(ABC):
    """What `schedplan.Rule` promises: a pure function of two states."""

    @abstractmethod
    def make(self) -> Rule:
        """Return a new rule."""

    def space(self) -> Space:
        """Return a space that the rule is for."""
        return Space((Axis("clip", (16, 32, 64)), Axis("rate", (0.1, 0.01))))

    def test_it_answers_yes_or_no_and_always_the_same(self) -> None:
        rule, again = self.make(), copy.deepcopy(self.make())
        for source, target in self._pairs():
            assert rule(source, target) in (True, False)
            assert rule(source, target) == again(source, target) == rule(source, target)

    def test_it_composes(self) -> None:
        rule, other = self.make(), Fixed((self.space().axes[0].name,))
        for pair in self._pairs():
            assert (rule & other)(*pair) == (rule(*pair) and other(*pair))
            assert (rule | other)(*pair) == (rule(*pair) or other(*pair))
            assert (~rule)(*pair) == (not rule(*pair))

    def test_it_fits_its_space(self) -> None:
        self.make().check(self.space())

    def _pairs(self) -> list[tuple[Any, Any]]:
        states = [state for state in self.space().states() if state != INITIAL]
        return [(source, target) for source in states for target in states]


class EstimatorContract(ABC):
    """What `schedplan.KneeEstimator` promises: a frozen strategy, called with all scores so far."""

    @abstractmethod
    def make(self) -> KneeEstimator:
        """Return a new estimator."""

    @_inherited
    @given(scores=curves())
    def test_it_chooses_an_epoch_that_there_is(self, scores: tuple[float, ...]) -> None:
        for mode in ("max", "min"):
            verdict = self.make()(scores, mode)
            assert isinstance(verdict, Verdict)
            assert 0 <= verdict.epoch < len(scores)
            assert math.isfinite(verdict.score)
            assert verdict.reason

    @_inherited
    @given(scores=curves())
    def test_it_remembers_nothing(self, scores: tuple[float, ...]) -> None:
        used, fresh = self.make(), self.make()
        for epochs in range(1, len(scores) + 1):
            last = used(scores[:epochs], "max")
        assert last == fresh(scores, "max")

    @_inherited
    @given(scores=curves())
    def test_minimising_is_maximising_the_negative(self, scores: tuple[float, ...]) -> None:
        up, down = (
            self.make()(scores, "max"),
            self.make()(tuple(-score for score in scores), "min"),
        )
        assert (up.stop, up.epoch) == (down.stop, down.epoch)
        assert up.score == pytest.approx(-down.score)

    @_inherited
    @given(scores=curves(noise=0))
    def test_it_chooses_nothing_older_than_its_lookback(self, scores: tuple[float, ...]) -> None:
        """Such models are gone. Noise may lead an estimator that fits a curve further back."""
        estimator, oldest = self.make(), 0
        for epochs in range(1, len(scores) + 1):
            verdict = estimator(scores[:epochs], "max")
            assert verdict.epoch >= oldest
            oldest = max(oldest, verdict.epoch - estimator.lookback)
            if verdict.stop:
                break

    def test_it_can_be_sent_to_another_process(self) -> None:
        assert pickle.loads(pickle.dumps(self.make())) == self.make()


class ExecutorContract(ABC):
    """What the search asks of a `concurrent.futures.Executor`, and of a `DeviceExecutor`."""

    @abstractmethod
    def make(self) -> Executor:
        """Return a new executor; of its devices, no two have the same name."""

    def test_it_returns_and_raises_what_calls_do(self) -> None:
        with self.make() as executor:
            assert [executor.submit(abs, -number).result() for number in range(5)] == [*range(5)]
            with pytest.raises(ZeroDivisionError):
                executor.submit(divmod, 1, 0).result()

    def test_it_runs_many_calls(self) -> None:
        with self.make() as executor:
            calls = [executor.submit(divmod, number, 7) for number in range(50)]
            assert [call.result() for call in calls] == [divmod(number, 7) for number in range(50)]

    def test_it_finds_the_plan_that_any_other_finds(self, tmp_path: Path) -> None:
        space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
        graph = build_graph(
            space, basic(), space.select({"rate": 0.1}), space.select({"rate": 0.01})
        )
        problem = Problem(graph, SimulatedTrainer, "quality", estimator=FixedEpochs(3))
        with self.make() as executor:
            plan = solve(problem, tmp_path / "run", executor=executor)
        assert plan == solve(problem)

    def test_it_has_the_devices_that_it_says(self) -> None:
        with self._device_executor() as executor:
            assert executor.largest >= 1
            assert executor.submit_on(Resources(executor.largest), abs, -1).result() == 1
            with pytest.raises(UsageError, match="devices; allowed: 1 to"):
                executor.submit_on(Resources(executor.largest + 1), abs, -1)

    def test_calls_have_as_many_devices_as_they_take_and_to_themselves(self) -> None:
        with self._device_executor() as executor:
            counts = [1, executor.largest] * 2 + [1] * executor.size
            calls = [executor.submit_on(Resources(count), visit, 0.2) for count in counts]
            visits = [(call.result(), count) for call, count in zip(calls, counts, strict=True)]
        for here, count in visits:
            assert not here.devices or len(set(here.devices)) == len(here.devices) == count
            others = [
                (other, taken)
                for other, taken in visits  # clocks of two machines cannot be compared
                if other.host == here.host and other.begun <= here.begun < other.ended
            ]
            assert len(others) <= executor.workers
            assert sum(taken for _, taken in others) <= executor.size
            named = [name for other, _ in others for name in other.devices]
            assert len(set(named)) == len(named), "a device was given to two calls at a time"

    def test_a_process_that_ends_takes_its_own_call_alone(self) -> None:
        with self._device_executor() as executor:
            lost = executor.submit(signal.raise_signal, signal.SIGKILL)
            other = executor.submit(abs, -1)
            with pytest.raises(WorkerLostError):
                lost.result()
            assert other.result() == 1
            assert executor.submit(abs, -2).result() == 2

    def test_cancelling_ends_what_runs(self, tmp_path: Path) -> None:
        with self._device_executor() as executor:
            call = executor.submit(stay, tmp_path)
            deadline = time.monotonic() + _PATIENCE
            while not (begun := list(tmp_path.iterdir())):
                assert time.monotonic() < deadline, "the call does not begin"
                time.sleep(0.01)
            call.cancel()
            with pytest.raises(WorkerLostError):
                call.result(_PATIENCE)
            with pytest.raises(ProcessLookupError):
                os.kill(int(begun[0].name), 0)
            assert executor.submit(abs, -1).result() == 1

    def test_it_says_what_cannot_be_sent(self) -> None:
        with (
            self._device_executor() as executor,
            pytest.raises(UsageError, match="cannot be sent"),
        ):
            executor.submit(lambda: 1)

    def _device_executor(self) -> DeviceExecutor:
        """Return a new executor, for a test of one that has devices."""
        executor = self.make()
        if not isinstance(executor, DeviceExecutor):
            executor.shutdown()
            pytest.skip("a test of executors that have devices")
        return executor
