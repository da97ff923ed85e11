from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
from test_solver import kinetics

from schedplan import Patience, SimulatedTrainer, solve
from schedplan.executors import SerialExecutor


def test_serial_runs_at_once_and_keeps_exceptions():
    executor = SerialExecutor()
    assert executor.submit(divmod, 7, 2).result() == (3, 1)
    failed = executor.submit(divmod, 7, 0)
    with pytest.raises(ZeroDivisionError):
        failed.result()


def test_serial_lets_an_interrupt_through():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SerialExecutor().submit(interrupt)


def test_child_processes_find_the_same_plan(tmp_path):
    problem = kinetics(partial(SimulatedTrainer, noise=0.05), estimator=Patience(2))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert solve(problem, tmp_path / "run", executor=pool) == solve(problem)
        assert solve(problem, executor=pool) == solve(problem)
