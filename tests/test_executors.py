from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, wait
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue

import pytest
from test_solver import kinetics

from schedplan import (
    Axis,
    FixedEpochs,
    Link,
    Patience,
    Problem,
    SearchOptions,
    SimulatedTrainer,
    Space,
    build_graph,
    solve,
)
from schedplan.errors import BrokenPoolError, ConfigError, UsageError, WorkerLostError
from schedplan.executors import ProcessExecutor, Resources, SerialExecutor
from schedplan.graph import basic
from schedplan.journal import RunFolder
from schedplan.transition import EpochEvent, RetryEvent, TransitionEvent


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


def where() -> tuple[int, list[str], float, float]:
    """Return the process, its devices, and when the call began and ended."""
    begun = time.monotonic()
    time.sleep(0.05)
    names = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    assert names == os.environ["SCHEDPLAN_DEVICES"].split(",")
    return os.getpid(), names, begun, time.monotonic()


def test_every_call_has_its_devices_to_itself():
    with ProcessExecutor(["0", "1", "2"]) as pool:
        counts = [1, 1, 2, 1, 3, 1]
        calls = [pool.submit_on(Resources(count), where) for count in counts]
        answers = [call.result() for call in calls]
    for (process, names, begun, ended), count in zip(answers, counts, strict=True):
        assert len(set(names)) == count
        for other, others, other_begun, other_ended in answers:
            apart = other_ended <= begun or ended <= other_begun
            assert apart or other == process or not {*names} & {*others}


def test_a_device_named_twice_is_shared_and_workers_bound_the_rest():
    assert ProcessExecutor(["0", "0"]).size == 2
    with ProcessExecutor(["0", "1"], workers=1) as pool:
        assert (pool.size, pool.workers) == (2, 1)
        answers = [pool.submit(where).result() for _ in range(2)]
    assert answers[0][0] == answers[1][0], "a process is kept for the next call"
    with pytest.raises(UsageError, match=r"a call asks for 2 devices; allowed: 1 to 1"):
        ProcessExecutor(["0", "0"]).submit_on(Resources(2), where)
    with pytest.raises(ConfigError, match="workers is 0"):
        ProcessExecutor(2, workers=0)


def test_calls_that_belong_together_go_to_one_process():
    with ProcessExecutor(2) as pool:
        first = {name: pool.submit_on(Resources(near=name), os.getpid) for name in "ab"}
        pids = {name: call.result() for name, call in first.items()}
        assert pids["a"] != pids["b"]
        for name in "abba":
            assert pool.submit_on(Resources(near=name), os.getpid).result() == pids[name]


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_takes_its_own_call_alone():
    with ProcessExecutor(2) as pool:
        lost, alive = pool.submit(kill_oneself), pool.submit(abs, -1)
        with pytest.raises(WorkerLostError, match=r"killed by SIGKILL; was there memory enough\?"):
            lost.result()
        assert alive.result() == 1
        with pytest.raises(WorkerLostError, match="ended with 3"):
            pool.submit(os._exit, 3).result()
        with pytest.raises(WorkerLostError, match="killed by 35"):  # which has no name
            pool.submit(signal.raise_signal, 35).result()
        assert pool.submit(abs, -2).result() == 2


def test_what_a_call_raises_says_where():
    with ProcessExecutor() as pool:
        error = pool.submit(divmod, 1, 0).exception()
        assert isinstance(error, ZeroDivisionError)
        assert "Traceback" in error.__notes__[0]
        assert "cannot be sent back" in str(pool.submit(open, os.devnull).exception())


def test_cancelling_ends_what_runs_and_drops_what_waits():
    pool = ProcessExecutor()
    running, waiting = pool.submit(time.sleep, 1000), pool.submit(abs, -1)
    while not running.running():
        time.sleep(0.01)
    assert waiting.cancel()
    assert wait([waiting]).not_done == set(), "who waits for it is told"
    assert not running.cancel()
    with pytest.raises(WorkerLostError):
        running.result()
    with pytest.raises(CancelledError):
        waiting.result()
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(abs, -1)


_to_cancel: SimpleQueue[Future[object]] = SimpleQueue()


def _cancel() -> bool:
    return _to_cancel.get().cancel()


class Late:
    """An answer that has its call cancelled when it is read."""

    def __reduce__(self):
        return _cancel, ()


def test_cancelling_what_has_answered_ends_no_later_call():
    with ProcessExecutor() as pool:
        for number in range(5):
            late, later = pool.submit(Late), pool.submit(abs, -number)
            _to_cancel.put(late)
            assert late.result() is False, "it was too late"
            assert later.result() == number


def test_an_idle_process_that_has_died_is_replaced():
    with ProcessExecutor() as pool:
        pid = pool.submit(os.getpid).result()
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert pool.submit(os.getpid).result() != pid


class Unreadable:
    def __reduce__(self):
        return divmod, (1, 0)


def test_what_cannot_be_sent_is_said():
    with ProcessExecutor() as pool:
        with pytest.raises(UsageError, match="cannot be sent to another process"):
            pool.submit(lambda: 1)
        with pytest.raises(TypeError, match="cannot be read: integer division"):
            pool.submit(Unreadable).result()
        assert pool.submit(abs, -1).result() == 1


def test_as_many_processes_as_workers_and_all_devices_in_use(tmp_path):
    """Two at a time on two devices each; or one at a time, in one process."""
    with ProcessExecutor(4, workers=2) as pool:
        calls = [pool.submit_on(Resources(2), meet, tmp_path, 2) for _ in range(2)]
        assert len({call.result() for call in calls}) == 2
    with ProcessExecutor(4, workers=1) as pool:
        wanted = [Resources(1, "a"), Resources(1, "b"), Resources(1, "c")]
        assert len({pool.submit_on(each, os.getpid).result() for each in wanted}) == 1
        assert pool.submit_on(Resources(3), abs, -1).result() == 1


def meet(folder: Path, number: int) -> int:
    """Wait for so many calls to be here at the same time."""
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < number:
        time.sleep(0.01)
    return os.getpid()


UNFINISHED = """\
from pathlib import Path
from schedplan.executors import ProcessExecutor

if __name__ == "__main__":
    pool = ProcessExecutor()
    pool.submit(Path("done").touch)
"""


def test_what_was_submitted_is_done_before_the_interpreter_ends(tmp_path):
    (tmp_path / "script.py").write_text(UNFINISHED)
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True)
    assert (tmp_path / "done").exists()


ORPHANS = """\
import subprocess, sys, time
from schedplan.executors import ProcessExecutor

def work():
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    print("begun", helper.pid, file=sys.stderr, flush=True)
    time.sleep(1000)

if __name__ == "__main__":
    ProcessExecutor().submit(work)
    time.sleep(1000)
"""


def test_nothing_that_was_started_outlives_a_driver_that_is_killed(tmp_path):
    (tmp_path / "driver.py").write_text(ORPHANS)
    with subprocess.Popen(
        [sys.executable, "driver.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as driver:
        driver.stderr.readline()
        driver.kill()
        assert driver.stderr.read() == "", "all that could write to it have ended"


NOISY = partial(SimulatedTrainer, noise=0.05)


def test_child_processes_find_the_same_plan(tmp_path):
    problem, events = kinetics(NOISY, estimator=Patience(2)), []
    with ProcessExecutor(2) as pool:
        assert solve(problem, tmp_path / "run", executor=pool, on_event=events.append) == solve(
            problem
        )
        assert solve(problem, executor=pool, workers=3) == solve(problem)
    told = [event for event in events if isinstance(event, EpochEvent)]
    ends = [e.outcome for e in events if isinstance(e, TransitionEvent) and e.outcome]
    assert len(told) == sum(len(outcome.scores) for outcome in ends), "each epoch is told once"


class Mortal(SimulatedTrainer):
    """Kills its process after some epochs of one transition, as often as there are `lives`."""

    def __init__(self, lives: Path, noise: float = 0.05):
        super().__init__(noise=noise)
        self._lives = lives

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        self._longer = params["clip_length"] == 32

    def train_epoch(self):
        found = super().train_epoch()
        lives = sorted(self._lives.iterdir())
        if self._longer and self._epoch == 3 and lives:
            lives[0].unlink()
            self._die()
        return found

    def _die(self):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("lives", [1, 2])
def test_a_killed_worker_costs_no_more_than_its_epoch(tmp_path, lives):
    (tmp_path / "lives").mkdir()
    for number in range(lives):
        (tmp_path / "lives" / str(number)).touch()
    problem, events = kinetics(partial(Mortal, tmp_path / "lives"), estimator=Patience(2)), []
    with ProcessExecutor(2) as pool:
        plan = solve(problem, tmp_path / "run", executor=pool, on_event=events.append)
    assert plan.stages == solve(kinetics(NOISY, estimator=Patience(2))).stages
    assert sum(isinstance(event, RetryEvent) for event in events) == lives


def test_a_lost_process_of_a_standard_pool_ends_a_run_that_can_go_on(tmp_path):
    (tmp_path / "lives").mkdir()
    (tmp_path / "lives" / "one").touch()
    problem = kinetics(partial(Mortal, tmp_path / "lives"), estimator=Patience(2))
    message = r"the executor is broken: .*; run again to go on; with .*ProcessExecutor"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for _ in range(2):  # the second time, it takes nothing any more
            with pytest.raises(BrokenPoolError, match=message):
                solve(problem, tmp_path / "run", executor=pool)
    plan = solve(problem, tmp_path / "run")
    assert plan.stages == solve(kinetics(NOISY, estimator=Patience(2))).stages


class Doomed(SimulatedTrainer):
    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        if start is None and params["clip_length"] == 32:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_transition_whose_processes_always_die_fails_alone(tmp_path):
    with ProcessExecutor(2) as pool:
        plan = solve(kinetics(Doomed, estimator=FixedEpochs(2)), tmp_path / "run", executor=pool)
    assert plan.stages
    outcomes = [training.outcome() for training in RunFolder(tmp_path / "run").trainings()]
    reasons = {outcome.reason for outcome in outcomes if outcome.status == "failed"}
    assert reasons == {
        "3 times, the process that trained was killed by SIGKILL; was there memory enough?"
    }


class Moody(FixedEpochs):
    """Raises for some curves."""

    def __call__(self, scores, mode, scale=None):
        if len(scores) == 2 and int(scores[0] * 1e6) % 5 == 0:
            raise ValueError("out of luck")
        return super().__call__(scores, mode, scale)


def test_an_estimator_that_raises_fails_the_same_transitions_everywhere(tmp_path):
    problem = kinetics(NOISY, estimator=Moody(3))
    with ProcessExecutor(2) as pool:
        assert solve(problem, tmp_path / "run", executor=pool) == solve(problem)
    ended = [training.outcome().status for training in RunFolder(tmp_path / "run").trainings()]
    assert "failed" in ended


def test_an_interrupt_ends_a_search_that_has_more_to_do_than_devices(tmp_path):
    def interrupt(event: object) -> None:
        if isinstance(event, EpochEvent):
            raise KeyboardInterrupt

    with ProcessExecutor(2) as pool, pytest.raises(KeyboardInterrupt):
        solve(kinetics(NOISY), tmp_path, executor=pool, workers=6, on_event=interrupt)


def test_a_state_takes_the_devices_that_a_hyperparameter_says(tmp_path):
    axes = Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))
    space = Space(axes, (Link("gpus", ("clip",), (1, 2)),))
    graph = build_graph(space, basic(), space.select({"rate": 0.1}), space.select({"rate": 0.01}))
    problem = Problem(graph, Counting, "quality", estimator=FixedEpochs(1))
    with ProcessExecutor(["5", "7", "8"]) as pool:
        plan = solve(problem, executor=pool, options=SearchOptions(devices="gpus"))
    assert plan.stages
    with (
        ProcessExecutor(1) as pool,
        pytest.raises(ConfigError, match="takes 2 devices; allowed: 1, as many as there are"),
    ):
        solve(problem, executor=pool, options=SearchOptions(devices="gpus"))
    for wrong, message in {"gpu": "did you mean 'gpus'", "rate": "whole numbers"}.items():
        with pytest.raises(ConfigError, match=message):
            SearchOptions(devices=wrong).devices_of(graph.order[1])


class Counting(SimulatedTrainer):
    def begin(self, params, start, seed):
        names = os.environ.get("SCHEDPLAN_DEVICES", "").split(",")
        assert len(names) == params["gpus"]
        super().begin(params, start, seed)


@pytest.mark.parametrize("executor", [SerialExecutor, ProcessExecutor])
def test_a_model_that_the_disk_has_changed_is_trained_again(tmp_path, executor):
    """Whether a state's, or one under way."""
    problem = kinetics(NOISY, estimator=Patience(2))
    expected = solve(problem)
    damaged: list[Path] = []

    def damage(event: object) -> None:
        if isinstance(event, TransitionEvent) and event.outcome and len(damaged) < 3:
            for folder in ("snapshots/*", "transitions/*/*/snapshots/*"):
                for model in [*tmp_path.glob(f"run/{folder}/simulated.json")][-1:]:
                    if len(damaged) == 1:
                        shutil.rmtree(model.parent)
                    else:
                        model.write_text(model.read_text().replace("quality", "Quality"))
                    damaged.append(model)

    with executor() as pool:
        plan = solve(problem, tmp_path / "run", executor=pool, on_event=damage)
    assert damaged
    assert plan.stages == expected.stages
