"""A search on a Dask cluster of two workers, in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from processes import schedplan, start
from test_cli import CONFIG
from test_executors import NOISY, Mortal, meet
from test_solver import kinetics

from schedplan import Patience, solve
from schedplan.errors import UsageError, WorkerLostError
from schedplan.executors import DaskExecutor, Resources
from schedplan.executors.dask_worker import RESOURCE, devices_of
from schedplan.executors.engines import dask, local
from schedplan.testing.contracts import ExecutorContract
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


def test_children_end_with_the_executor_they_have_worked_for(pool):
    child = pool.submit(os.getpid).result()
    pool.shutdown()
    until(lambda: not is_alive(child), "nothing keeps the memory of a device")


def test_a_worker_that_offers_more_devices_than_it_has_shares_them(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=4,
            processes=False,
            resources={RESOURCE: 4},
            dashboard_address=":0",
        ) as cluster,
        cluster.get_client() as client,
        DaskExecutor(client) as pool,
    ):
        calls = [pool.submit(meet_and_tell, tmp_path, 4) for _ in range(4)]
        assert sorted(call.result() for call in calls) == ["5", "5", "7", "7"]
        assert pool.submit_on(Resources(2), os.getenv, "SCHEDPLAN_DEVICES").result() == "5,7"
        with pytest.raises(UsageError, match=r"asks for 3 devices; allowed: 1 to 2"):
            pool.submit_on(Resources(3), abs, -1).result()


def meet_and_tell(folder: Path, number: int) -> str:
    """Return the devices of a call, once so many are here at the same time."""
    meet(folder, number)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_devices_that_cannot_be_shared_evenly_are_refused():
    with pytest.raises(UsageError, match=r"offers device=3, which 2 .*allowed: up to 2, or a mult"):
        devices_of("0,1", 3)


class TestDask(ExecutorContract):
    @pytest.fixture(autouse=True)
    def _cluster(self, address: str) -> None:
        self._address = address

    def make(self):
        return DaskExecutor(self._address)


def module_found(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def test_a_worker_keeps_its_own_modules(pool, monkeypatch):
    """They may be installed in another place than the driver's."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent)])
    assert pool.submit(module_found, "distributed").result()


def stay(folder: Path) -> None:
    """Say so in a folder, and wait until it may end."""
    (folder / str(os.getpid())).touch()
    while not (folder / "end").exists():
        time.sleep(0.01)


def test_a_folder_that_a_worker_does_not_see_is_named(tmp_path, pool, monkeypatch):
    there, mine = tmp_path / "there", tmp_path / "mine"
    there.mkdir()
    mine.mkdir()
    monkeypatch.chdir(mine)
    others = [pool.submit_on(Resources(2), stay, there) for _ in range(2)]
    begun(there, 2)
    call = pool.submit(abs, -1)  # there is no device for it yet
    mine.rename(tmp_path / "yours")
    (there / "end").touch()
    with pytest.raises(UsageError, match=r"a worker of the cluster lacks .*/mine'"):
        call.result()
    assert not any(other.exception() for other in others)


def stay_below(folder: Path) -> None:
    """Say in a folder what process is here, and below which; stay."""
    (folder / f"{os.getppid()}-{os.getpid()}").touch()
    time.sleep(1000)


def test_cancelling_waits_for_no_worker_that_is_frozen(tmp_path, address, monkeypatch, caplog):
    """Not at all for one that has nothing to do with it, and not for long for one that has."""
    monkeypatch.setattr("schedplan.executors.dask._PATIENCE", 0.5)
    pool = DaskExecutor(address)
    calls = [pool.submit_on(Resources(2), stay_below, tmp_path)]
    (frozen,) = begun(tmp_path, 1)
    calls.append(pool.submit_on(Resources(2), stay_below, tmp_path))
    (other,) = begun(tmp_path, 2) - {frozen}
    worker, child = map(int, frozen.split("-"))
    os.kill(worker, signal.SIGSTOP)
    try:
        for call in calls:
            call.cancel()
        with pytest.raises(WorkerLostError):
            calls[1].result(timeout=60)
        assert not is_alive(int(other.split("-")[1]))
        assert "does not answer" not in caplog.text
        with pytest.raises(WorkerLostError, match="cancelled"):
            calls[0].result(timeout=60)
        assert "does not answer (not for 0.5 seconds)" in caplog.text
        pool.shutdown()
    finally:
        os.kill(worker, signal.SIGCONT)
    until(lambda: not is_alive(child), "what was given up ends once the worker goes on")


def begun(folder: Path, number: int) -> set[str]:
    """Return who has begun, once there are so many."""
    until(lambda: len(list(folder.iterdir())) >= number, "all have begun")
    return {path.name for path in folder.iterdir()}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


HELD_TRAINER = """\
import os, time
from pathlib import Path
from schedplan import SimulatedTrainer

class Held(SimulatedTrainer):
    "Gets stuck in the epoch after the one that the file `hold` says, if it is there."

    def train_epoch(self):
        hold = Path("hold")
        if hold.exists() and self._epoch == int(hold.read_text()):
            Path(f"held-{os.getpid()}").touch()
            time.sleep(1000)
        return super().train_epoch()
"""


SMALL = ["--set", "axes.clip_length=[16, 32]", "--set", "axes.learning_rate=[0.04, 0.004]"]
RUN = ["run", "config.yaml", *SMALL, "--set", "trainer={use: 'held:Held', noise: 0.02}"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that nothing has interrupted, in one process."""
    folder = tmp_path_factory.mktemp("dask")
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "held.py").write_text(HELD_TRAINER)
    schedplan(*RUN, "--out", "whole", cwd=folder)
    return folder


class Search:
    """`schedplan run` on a cluster, into `out` beside a whole run."""

    def __init__(self, whole: Path, out: str, address: str) -> None:
        self.folder, self.out = whole, out
        self._command = [*RUN, "--out", out, "--engine", "dask", "--scheduler", address]
        for path in whole.glob("held-*"):
            path.unlink()

    def held(self, epoch: int) -> subprocess.Popen[str]:
        """Return the driver of a search whose trainings are stuck in the epoch after `epoch`."""
        (self.folder / "hold").write_text(str(epoch))
        known = len(self.processes())
        driver = start(*self._command, cwd=self.folder)
        while len(self.processes()) < known + 2:
            assert driver.poll() is None, driver.stderr.read()
            time.sleep(0.02)
        return driver

    def processes(self) -> list[int]:
        """Return the processes that were stuck in a training."""
        return [int(path.name.removeprefix("held-")) for path in self.folder.glob("held-*")]

    def goes_on_to_the_same_plan(self) -> bool:
        (self.folder / "hold").unlink()
        assert "resuming" in schedplan(*self._command, cwd=self.folder).stderr
        plans = [self.folder / out / "plan.yaml" for out in (self.out, "whole")]
        return plans[0].read_bytes() == plans[1].read_bytes()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_driver_that_was_ended_leaves_nothing_behind_and_can_go_on(whole, address):
    search = Search(whole, "cut", address)
    with search.held(epoch=1) as driver:
        driver.send_signal(signal.SIGINT)
        assert "Traceback" not in driver.stderr.read()
    assert driver.returncode == 130
    assert not any(map(is_alive, search.processes()))
    with search.held(epoch=2) as driver:
        driver.kill()
    until(lambda: not any(map(is_alive, search.processes())), "children end with their driver")
    assert search.goes_on_to_the_same_plan()


CLUSTER = f"""\
import sys, time
from distributed import LocalCluster

with LocalCluster(
    n_workers=1, threads_per_worker=2, resources={{"{RESOURCE}": 2}}, dashboard_address=None,
    processes=False, protocol="tcp://", scheduler_port=int(sys.argv[1]),
) as cluster:
    print(cluster.scheduler_address, flush=True)
    time.sleep(1000)
"""


@contextmanager
def mortal_cluster(port: int) -> Iterator[subprocess.Popen[str]]:
    """A cluster in a process of its own, which is killed in the end."""
    command = [sys.executable, "-c", CLUSTER, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as cluster:
        try:
            assert cluster.stdout.readline(), "it has begun"
            yield cluster
        finally:
            cluster.kill()


def test_a_cluster_that_is_gone_ends_the_search_with_a_message(whole):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    search = Search(whole, "lost", f"tcp://127.0.0.1:{port}")
    with mortal_cluster(port) as cluster, search.held(epoch=2) as driver:
        cluster.kill()
        lines = driver.stderr.read().splitlines()
    assert driver.returncode == 1
    lost = "the connection to the Dask scheduler is lost"
    assert lines[-1] == f"error: {lost}; run the same command again to go on"
    assert not any("Traceback" in line for line in lines)
    with mortal_cluster(port):
        assert search.goes_on_to_the_same_plan()


def test_what_is_no_scheduler_is_found_out():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host, port = mute.getsockname()
        with pytest.raises(UsageError, match=r"no Dask scheduler answers at .*timed out"):
            DaskExecutor(f"{host}:{port}", timeout=0.1)


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        (dask, {}, "--engine dask needs --scheduler"),
        (dask, {"workers": 2}, "--workers and --devices are of no use"),
        (dask, {"scheduler": "nowhere"}, "names no host and port"),
        (dask, {"scheduler": "127.0.0.1:1"}, "no Dask scheduler answers at"),
        (local, {"scheduler": "tcp://127.0.0.1:1"}, "--scheduler is of no use here"),
    ],
)
def test_bad_options_are_one_message(engine, options, message):
    with pytest.raises(UsageError, match=message):
        engine(**options)


def test_an_unknown_engine_leaves_no_run_behind(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    result = schedplan("run", "config.yaml", "--engine", "dusk", cwd=tmp_path, code=2)
    assert "did you mean 'dask'" in result.stderr
    assert not (tmp_path / "runs").exists()
