"""Calls in child processes, each on devices of its own."""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import Pipe, spawn
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias
from weakref import WeakSet

from schedplan.checks import require_whole
from schedplan.errors import WorkerLostError
from schedplan.executors.base import DeviceExecutor, Resources

Devices: TypeAlias = tuple[str | None, ...]
"""Names of devices; None for a share of the machine, which has none."""

_pools: WeakSet[ProcessExecutor] = WeakSet()

_LOOK_FOR_CHILD = 0.5  # seconds
_GRACE = 10.0  # seconds that a child has to end after its last call


class ProcessExecutor(DeviceExecutor):
    """Runs calls in child processes of this one, which are kept for further calls.

    A child sees the devices of its calls and no others: their names are in its environment, as
    `CUDA_VISIBLE_DEVICES` and `SCHEDPLAN_DEVICES`, before it imports anything. It is in a session
    of its own, so that Ctrl-C reaches this process alone, and it ends soon after this process,
    whatever ends that. What it prints goes to stderr. It imports this process' script, which must
    make executors below `if __name__ == "__main__"`. It keeps the trainer of one search: two that
    share a pool have theirs made anew whenever they take turns in a child.

    Args:
        devices: names, such as `("0", "1")`; one named twice is shared by two calls. Or how many
            shares of the machine there are.
        workers: how many calls run at a time at most; by default one on every device.

    Raises:
        ConfigError: fewer than 1 device or worker.

    Example:
        >>> with ProcessExecutor(2) as pool:
        ...     list(pool.map(abs, [-1, -2, -3]))
        [1, 2, 3]
    """

    def __init__(self, devices: int | Sequence[str] = 1, workers: int | None = None) -> None:
        count = devices if isinstance(devices, int) else len(devices)
        require_whole("devices", count, at_least=1)
        require_whole("workers", count if workers is None else workers, at_least=1)
        self._all: Devices = (None,) * count if isinstance(devices, int) else tuple(devices)
        self.size, self.workers = count, count if workers is None else workers
        self.largest = count if isinstance(devices, int) else len(set(devices))
        self._free = list(self._all)
        self._lock = threading.RLock()
        self._queue: deque[_Call] = deque()
        self._children: list[_Child] = []
        self._closed = False
        _pools.add(self)

    def submit_pickled(self, resources: Resources, call: bytes) -> Future[Any]:
        future = _Call(self, resources, call)
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor has been shut down")
            self._queue.append(future)
            self._place()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all children once they have answered; see `concurrent.futures.Executor`."""
        with self._lock:
            self._closed = True
            for call in list(self._queue) if cancel_futures else ():
                call.cancel()
            self._place()
        while wait and (child := self._any_child()):
            child.thread.join()

    def end_idle(self) -> None:
        """End the children that have nothing to do, and with them what they keep in memory; new
        ones are started once there is something."""
        with self._lock:
            for child in self._children:
                if child.idle:
                    child.end()

    def drop(self, call: _Call) -> bool:
        """Take back a call that waits, and return True; end the process of one that runs."""
        with self._lock:
            if call in self._queue:
                self._queue.remove(call)
                return True
            for child in self._children:
                if child.call is call:
                    child.kill()
            return False

    def _any_child(self) -> _Child | None:
        with self._lock:
            return next(iter(self._children), None)

    def _place(self) -> None:
        """Give calls to children, as long as there are devices for the first that waits. The lock
        is held."""
        while self._queue and (child := self._child_for(self._queue[0].resources)):
            call = self._queue.popleft()
            call.set_running_or_notify_cancel()
            child.take(call)
        if self._closed and not self._queue:
            for child in self._children:
                child.end()

    def _child_for(self, resources: Resources) -> _Child | None:
        """Return an idle child, None if there is none for now."""
        for child in self._children:
            if child.idle and not child.is_alive:
                child.end()
        idle = [child for child in self._children if child.idle]
        if sum(child.call is not None for child in self._children) >= self.workers:
            return None
        fitting = [child for child in idle if len(child.devices) == resources.devices]
        near = [child for child in fitting if child.near == resources.near]
        devices = _take(self._free, resources.devices)
        if near or (fitting and (devices is None or len(self._children) >= self.workers)):
            return (near or fitting)[0]  # the first has waited longest
        if devices is None or len(self._children) >= self.workers:
            # What idle children hold is free once they have ended.
            held = [name for child in idle for name in child.devices]
            if _take([*self._free, *held], resources.devices):
                for child in idle:
                    child.end()
            return None
        for name in devices:
            self._free.remove(name)
        child = _Child(devices, self._after)
        self._children.append(child)
        return child

    def _after(self, child: _Child, ended: bool) -> None:
        """Go on, now that a child has answered or ended."""
        with self._lock:
            self._children.remove(child)
            if ended:
                self._free = sorted([*self._free, *child.devices], key=self._all.index)
            else:
                child.rest()
                self._children.append(child)
            self._place()


class _Call(Future[Any]):
    """A call that waits, or runs in a child."""

    def __init__(self, pool: ProcessExecutor, resources: Resources, content: bytes) -> None:
        super().__init__()
        self.resources, self.content = resources, content
        self._pool = pool

    def cancel(self) -> bool:
        if not self._pool.drop(self):
            return self.cancelled()
        cancelled = super().cancel()
        self.set_running_or_notify_cancel()  # tells those who wait for it
        return cancelled


class _Child:
    """A process and the thread that talks to it.

    Args:
        devices: what the process may use.
        after: called with this child, and whether it has ended, after every call.

    Attributes:
        call: what it does.
        near: see `Resources`, of the last call.
    """

    def __init__(self, devices: Devices, after: Callable[[_Child, bool], None]) -> None:
        self.devices = devices
        self.call: _Call | None = None
        self.near: Hashable = None
        self._ending, self._killed = False, False
        self._after = after
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self.thread = threading.Thread(target=self._talk, daemon=True)
        self.thread.start()

    @property
    def idle(self) -> bool:
        """Whether it can take a call."""
        return not (self.call or self._ending)

    @property
    def is_alive(self) -> bool:
        """Whether its process, if it was started, has not ended."""
        return self._process is None or self._process.poll() is None

    def take(self, call: _Call) -> None:
        """Run a call."""
        self.call, self.near = call, call.resources.near
        self._calls.put(call)

    def rest(self) -> None:
        """Be free for the next call; end, if it was too late to end the last one."""
        self.call = None
        if self._killed:
            self.end()

    def end(self) -> None:
        """Take no further call, and end."""
        self._ending = True
        self._calls.put(None)

    def kill(self) -> None:
        """End the process, and all that it has started, now."""
        self._killed = True
        if self._process and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _talk(self) -> None:
        try:
            while call := self._calls.get():
                try:
                    returned, value = self._ask(call)
                except Exception as error:
                    self._ending = True
                    lost = isinstance(error, (OSError, EOFError))
                    call.set_exception(self._lost(error) if lost else error)
                    return
                # Before others hear of it: from here on, cancelling the call ends nothing.
                self._after(self, False)
                if returned:
                    call.set_result(value)
                else:
                    call.set_exception(value)
        finally:
            self._ending = True
            if self._connection:
                self._connection.close()
            self._wait()
            self._after(self, True)

    def _ask(self, call: _Call) -> tuple[bool, Any]:
        """Return whether a call has returned, and what it has returned or raised.

        Raises:
            OSError, EOFError: there is no process, or no more.
        """
        if self._process is None or self._connection is None:
            prepared = preparation()
            self._process, self._connection = _start(self.devices)
            self._connection.send_bytes(prepared)
        self._connection.send_bytes(call.content)
        answer = self._answer(self._process, self._connection)
        try:
            returned, value = pickle.loads(answer)
        except Exception as error:
            return False, TypeError(f"the answer of another process cannot be read: {error}")
        return returned, value

    def _answer(self, process: subprocess.Popen[bytes], connection: Connection) -> bytes:
        """Return what a call has answered.

        Raises:
            EOFError: the process has ended without an answer.
        """
        while not connection.poll(_LOOK_FOR_CHILD):
            if self._killed:  # before there was a process to kill
                self.kill()
            # Whatever the process has started may keep the pipe open for longer.
            if process.poll() is not None and not connection.poll():
                raise EOFError
        return connection.recv_bytes()

    def _lost(self, error: Exception) -> WorkerLostError:
        if self._process is None:
            return WorkerLostError(f"no process can be started: {error}")
        code = self._wait()
        names = {number.value: number.name for number in signal.Signals}
        how = f"was killed by {names.get(-code, -code)}" if code < 0 else f"ended with {code}"
        hint = "was there memory enough?" if code == -signal.SIGKILL else None
        return WorkerLostError(f"the process that trained {how}", hint=hint)

    def _wait(self) -> int:
        """Return the exit code of the process; nothing that it has started outlives it."""
        if self._process is None:
            return 0
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return code


def _start(devices: Devices) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a process that sees `devices` alone; return it, and the pipe to it."""
    names = ",".join(name for name in devices if name is not None)
    seen = {"CUDA_VISIBLE_DEVICES": names, "SCHEDPLAN_DEVICES": names} if names else {}
    found = f"import sys; sys.path[:] = {sys.path!r}"
    here, there = Pipe()
    main = f"from schedplan.executors.child import main; main({there.fileno()}, {os.getpid()})"
    with there:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{found}; {main}"],
            env=os.environ | seen,
            stdin=subprocess.DEVNULL,
            stdout=2,
            pass_fds=(there.fileno(),),
            start_new_session=True,
        )
    return process, here


def preparation() -> bytes:
    """Return what lets another process find all that this one's script defines, pickled."""
    facts = spawn.get_preparation_data("schedplan")
    facts |= {"authkey": bytes(facts["authkey"]), "dir": str(Path.cwd())}
    return pickle.dumps(facts)


def _take(devices: Iterable[str | None], count: int) -> Devices | None:
    """Return `count` of the devices, no name twice; None if there are too few."""
    taken: list[str | None] = []
    for name in devices:
        if len(taken) < count and (name is None or name not in taken):
            taken.append(name)
    return tuple(taken) if len(taken) == count >= 1 else None


@atexit.register
def _finish() -> None:
    """Do what was submitted, as the executors of `concurrent.futures` do."""
    for pool in list(_pools):
        pool.shutdown()
