"""What comes with the project keeps the contracts that it offers to others."""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from schedplan import (
    AtMost,
    CurveFit,
    FixedEpochs,
    MaxStep,
    OneStep,
    Patience,
    SimulatedTrainer,
    Where,
)
from schedplan.executors import DeviceExecutor, ProcessExecutor, Resources, SerialExecutor
from schedplan.knees import AtLeast, KneeEstimator, Stationarity, Verdict
from schedplan.simulator import StagedTrainer
from schedplan.testing.contracts import (
    EstimatorContract,
    ExecutorContract,
    RuleContract,
    TrainerContract,
)


class TestSimulatedTrainer(TrainerContract):
    params, metric = {"rate": 0.1}, "quality"

    def make(self):
        return SimulatedTrainer()  # with noise, it measures one model twice as two


class TestStagedTrainer(TrainerContract):
    params: ClassVar = {"sampling": "uniform", "clip_length": 16, "learning_rate": 0.04}
    metric = "top1"

    def make(self):
        return StagedTrainer(noise=0)


class TestExample(TrainerContract):
    params, metric = {"batch_size": 64, "learning_rate": 0.1}, "accuracy"

    def make(self):
        return self.factory()()

    def factory(self):
        pytest.importorskip("sklearn")
        sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
        from digits_trainer import make

        return make


class TestCurveFit(EstimatorContract):
    def make(self):
        return CurveFit()


class TestPatience(EstimatorContract):
    def make(self):
        return Patience(3)


class TestStationarity(EstimatorContract):
    def make(self):
        return Stationarity()


class TestWrapped(EstimatorContract):
    def make(self):
        return AtLeast(3, AtMost(20, FixedEpochs(10)))


class TestComposedRule(RuleContract):
    def make(self):
        return OneStep() & MaxStep(1)


class TestFunctionAsRule(RuleContract):
    def make(self):
        return Where(lambda source, target: source.label < target.label)


class TestSerial(ExecutorContract):
    def make(self):
        return SerialExecutor()


class TestThreads(ExecutorContract):
    def make(self):
        return ThreadPoolExecutor(2)


class TestProcesses(ExecutorContract):
    def make(self):
        return ProcessExecutor(2)


class Forgetful(SimulatedTrainer):
    """Does not keep where it is."""

    def restore(self, folder):
        super().restore(folder)
        self._epoch = 0


class Reluctant(SimulatedTrainer):
    """Leaves something of one transition for the next."""

    def begin(self, params, start, seed):
        before = getattr(self, "_epoch", 0)
        super().begin(params, start, seed)
        if start is not None:
            self._epoch = before


class Nostalgic(KneeEstimator):
    """Goes back to models that are gone."""

    def decide(self, scores, scale):
        return Verdict(len(scores) > 40, (len(scores) - 1) * (len(scores) % 2), 0.5, "a whim")


class Careless(DeviceExecutor):
    """Gives every call the same device, whatever it takes, and says nothing of lost processes."""

    def __init__(self):
        self._pool = ProcessExecutor(["0", "0"])
        self.size = self.workers = self.largest = 2

    def submit_pickled(self, resources, call):
        running, answered = self._pool.submit_pickled(Resources(1), call), Future()

        def answer(ended):
            if ended.exception():
                answered.set_exception(RuntimeError("gone"))
            else:
                answered.set_result(ended.result())

        running.add_done_callback(answer)
        return answered

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def inheriting(contract, make):
    """Return the tests of a contract, to be run on what `make` returns."""
    return type("Tests", (contract,), {"make": staticmethod(make)})()


def test_a_trainer_that_breaks_its_contract_is_found_out(tmp_path):
    tests = inheriting(TestSimulatedTrainer, Forgetful)
    with pytest.raises(AssertionError):
        tests.test_a_transition_goes_on_from_a_snapshot_as_if_it_had_not_stopped(tmp_path)
    tests = inheriting(TestSimulatedTrainer, Reluctant)
    (tmp_path / "next").mkdir()
    with pytest.raises(AssertionError, match="left of the training before"):
        tests.test_the_next_transition_begins_with_the_model_that_was_saved(tmp_path / "next")

    class Local(SimulatedTrainer):
        pass

    with pytest.raises(AttributeError, match="local object"):
        inheriting(TestSimulatedTrainer, Local).test_its_factory_can_be_sent_to_another_process()


def test_an_estimator_that_breaks_its_contract_is_found_out():
    with pytest.raises(AssertionError):
        inheriting(EstimatorContract, Nostalgic).test_it_chooses_nothing_older_than_its_lookback()


def test_an_executor_that_breaks_its_contract_is_found_out():
    tests = inheriting(ExecutorContract, Careless)
    with pytest.raises(AssertionError):
        tests.test_calls_have_as_many_devices_as_they_take_and_to_themselves()
    with pytest.raises(RuntimeError, match="gone"):
        tests.test_a_process_that_ends_takes_its_own_call_alone()
