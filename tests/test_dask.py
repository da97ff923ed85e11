"""A search on a Dask cluster of two workers, in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest
from processes import schedplan
from test_cli import CONFIG
from test_executors import NOISY, Mortal
from test_solver import kinetics

from schedplan import Patience, solve
from schedplan.errors import UsageError, WorkerLostError
from schedplan.executors import DaskExecutor, Resources
from schedplan.executors.dask import RESOURCE
from schedplan.transition import RetryEvent

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, resources={RESOURCE: 2}, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def pool(address: str) -> Iterator[DaskExecutor]:
    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(2)  # one that a test has killed comes back
    with DaskExecutor(address) as pool:
        yield pool


def test_the_plan_is_the_same_and_a_killed_child_costs_an_epoch(tmp_path, pool):
    (tmp_path / "lives").mkdir()
    (tmp_path / "lives" / "one").touch()
    problem, events = kinetics(partial(Mortal, tmp_path / "lives"), estimator=Patience(2)), []
    plan = solve(problem, tmp_path / "run", executor=pool, on_event=events.append)
    assert plan.stages == solve(kinetics(NOISY, estimator=Patience(2))).stages
    assert sum(isinstance(event, RetryEvent) for event in events) == 1


class Killing(Mortal):
    """Kills the cluster's worker in place of its own process."""

    def _die(self) -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()


def test_a_worker_that_is_killed_costs_no_more(tmp_path, pool):
    """The scheduler hands its calls out again, which is noticed; a new worker takes its place."""
    (tmp_path / "lives").mkdir()
    (tmp_path / "lives" / "one").touch()
    problem = kinetics(partial(Killing, tmp_path / "lives"), estimator=Patience(2))
    plan = solve(problem, tmp_path / "run", executor=pool)
    assert plan.stages == solve(kinetics(NOISY, estimator=Patience(2))).stages
    assert not list((tmp_path / "lives").iterdir())


def test_calls_have_devices_and_their_errors_come_back(pool):
    assert (pool.size, pool.largest) == (4, 2)
    assert pool.submit_on(Resources(2), divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result()
    with pytest.raises(WorkerLostError, match="ended with 3"):
        pool.submit(os._exit, 3).result()
    with pytest.raises(UsageError, match=r"a call asks for 3 devices; allowed: 1 to 2"):
        pool.submit_on(Resources(3), abs, 1)


def test_the_command_line_takes_a_scheduler(tmp_path, address):
    (tmp_path / "config.yaml").write_text(CONFIG)
    options = ["--engine", "dask", "--scheduler", address]
    whole = schedplan("run", "config.yaml", "--out", "whole", cwd=tmp_path)
    shared = schedplan("run", "config.yaml", "--out", "shared", *options, cwd=tmp_path)
    assert shared.stdout == whole.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "dask"], "--engine dask needs --scheduler"),
        (["--engine", "dask", "--workers", "2"], "--workers and --devices are of no use"),
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler is of no use here"),
        (["--engine", "dusk"], "did you mean 'dask'"),
        (["--engine", "dask", "--scheduler", "nowhere"], "names no host and port"),
        (["--engine", "dask", "--scheduler", "127.0.0.1:1"], "no Dask scheduler answers at"),
    ],
)
def test_bad_options_are_one_message(tmp_path, options, message):
    (tmp_path / "config.yaml").write_text(CONFIG)
    result = schedplan("run", "config.yaml", *options, cwd=tmp_path, code=2)
    assert message in result.stderr
    assert not (tmp_path / "runs").exists()
