"""What a worker of a Dask cluster does: calls, each in a child process of its own."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as StillRunning
from functools import cache
from math import ceil
from multiprocessing import spawn
from typing import Any

from schedplan.errors import UsageError, WorkerLostError
from schedplan.executors.base import Resources
from schedplan.executors.processes import ProcessExecutor

RESOURCE = "device"
"""What workers say that they have: `dask worker ADDRESS --nthreads 4 --resources device=4`."""

_LOOK = 1.0  # seconds between looks at whether a call is still wanted


def run(resources: Resources, prepared: bytes, content: bytes) -> Any:
    """Have a call done by a child process of this worker, as long as it is wanted; a task.

    Args:
        resources: what the call needs.
        prepared: by `preparation`, in the driver's process.
        content: the pickled call.

    Raises:
        WorkerLostError: see `DeviceExecutor`.
        UsageError: the driver's folders or modules are missing here.
    """
    from distributed import get_worker

    worker = get_worker()
    return _bench(worker).run(str(worker.get_current_task()), resources, prepared, content)


async def end(key: str, dask_worker: Any) -> None:
    """End the call of a task, before it begins if need be; return when nothing of it runs here.

    Args:
        key: of the task.
        dask_worker: given by Dask, which runs this on every worker.
    """
    from asyncio import to_thread  # slow to import, and only Dask needs it

    if RESOURCE in dask_worker.state.total_resources:
        await to_thread(_bench(dask_worker).end, key)


def end_idle(dask_worker: Any) -> None:
    """End the children of this worker that have nothing to do, and what they keep in memory."""
    if RESOURCE in dask_worker.state.total_resources:
        _bench(dask_worker).end_idle()


def devices_of(visible: str, count: int) -> int | list[str]:
    """Return what a worker has that offers `count` devices: their names, or how many.

    Args:
        visible: its `CUDA_VISIBLE_DEVICES`, empty if it has none.
        count: from 1; beyond the names, each device is shared, by as many calls as any other.

    Raises:
        UsageError: the devices cannot be shared evenly.

    Example:
        >>> devices_of("0,1,2", 2), devices_of("0,1", 4), devices_of("", 4)
        (['0', '1'], ['0', '1', '0', '1'], 4)
    """
    names = [name for name in visible.split(",") if name]
    if not names:
        return count
    if count > len(names) and count % len(names):
        raise UsageError(
            f"a worker of the cluster offers {RESOURCE}={count}, which {len(names)} devices "
            f"cannot share evenly: CUDA_VISIBLE_DEVICES is {visible!r}",
            where=socket.gethostname(),
            allowed=f"up to {len(names)}, or a multiple of it",
        )
    return (names * ceil(count / len(names)))[:count]


class _Bench:
    """Where the calls of a worker are done."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        count = int(worker.state.total_resources[RESOURCE])
        self._pool = ProcessExecutor(devices_of(os.environ.get("CUDA_VISIBLE_DEVICES", ""), count))
        self._lock = threading.Lock()
        self._calls: set[tuple[str, Future[Any]]] = set()  # a task may be handed out twice
        self._ended: set[str] = set()

    def run(self, key: str, resources: Resources, prepared: bytes, content: bytes) -> Any:
        with self._lock:
            if key in self._ended:
                raise WorkerLostError("the call was cancelled before it began")
            call = self._pool.submit_on(resources, _call, prepared, content)
            self._calls.add((key, call))
        try:
            while True:
                try:
                    return call.result(_LOOK)
                except StillRunning:
                    if call.done():  # it has raised one itself
                        raise
                    if not self._is_wanted(key):
                        call.cancel()
        finally:
            with self._lock:
                self._calls.remove((key, call))

    def end(self, key: str) -> None:
        with self._lock:
            self._ended.add(key)
            calls = [call for each, call in self._calls if each == key]
        for call in calls:
            call.cancel()
        wait(calls)

    def end_idle(self) -> None:
        self._pool.end_idle()

    def _is_wanted(self, key: str) -> bool:
        """Return whether the cluster waits for a task of this worker."""
        task = self._worker.state.tasks.get(key)
        closes = self._worker.status.name in ("closing", "closed", "failed")
        return task is not None and task.state == "executing" and not closes


def _call(prepared: bytes, content: bytes) -> Any:
    """Do a call as if it were made in the driver's process."""
    try:
        facts = pickle.loads(prepared)
        facts["sys_path"] += [path for path in sys.path if path not in facts["sys_path"]]
        spawn.prepare(facts)
        fn, args = pickle.loads(content)
    except (OSError, ImportError, AttributeError) as error:
        raise UsageError(
            f"a worker of the cluster lacks what the driver has: {error}",
            where=socket.gethostname(),
            hint="the driver's folder, script and modules have to be the same on all machines",
        ) from error
    return fn(*args)


_lock = threading.Lock()


def _bench(worker: Any) -> _Bench:
    with _lock:  # tasks are begun in several threads
        return _make_bench(worker)


_make_bench = cache(_Bench)
