"""What comes with the project keeps the contracts that it offers to others."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
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
from schedplan.executors import ProcessExecutor, SerialExecutor
from schedplan.knees import AtLeast, Stationarity
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
        pytest.importorskip("sklearn")
        sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
        from digits_trainer import make

        return make()


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


def test_a_contract_can_be_broken(tmp_path):
    class Broken(TestSimulatedTrainer):
        def make(self):
            return Forgetful()

    with pytest.raises(AssertionError):
        Broken().test_a_transition_goes_on_from_a_snapshot_as_if_it_had_not_stopped(tmp_path)
