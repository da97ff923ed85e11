"""Calls on the workers of a Dask cluster: the answer to more than one machine."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from functools import cache
from multiprocessing import spawn
from typing import Any
from urllib.parse import urlsplit

from schedplan.errors import ClusterError, UsageError, WorkerLostError, missing
from schedplan.executors.base import DeviceExecutor, Resources
from schedplan.executors.processes import ProcessExecutor, preparation

RESOURCE = "device"
"""What workers say that they have: `dask worker ADDRESS --nthreads 4 --resources device=4`."""

_LOOK = 1.0  # seconds between looks at whether a call is still wanted


class DaskExecutor(DeviceExecutor):
    """Runs calls in child processes of the workers of a cluster, see `ProcessExecutor`.

    Workers offer devices as the resource `RESOURCE`; their names are those of a worker's
    `CUDA_VISIBLE_DEVICES`, if it has any. All machines see the run folder under the same path and
    can import the same modules. Whoever can reach a scheduler can run code on its cluster.

    Args:
        scheduler: its address, such as `tcp://head:8786`, or a `distributed.Client`.
        timeout: seconds to wait for it.

    Raises:
        MissingDependencyError: without the package `distributed`.
        UsageError: no scheduler answers there, or no worker offers devices.

    Example:
        >>> with DaskExecutor("tcp://head:8786") as pool:  # doctest: +SKIP
        ...     plan = solve(problem, folder, executor=pool)
    """

    def __init__(self, scheduler: Any, timeout: float = 30.0) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise missing("distributed", "dask") from None
        self._own = isinstance(scheduler, str)
        if self._own:
            _knock(scheduler, timeout)
        connect: Any = Client
        ours = {"timeout": timeout, "set_as_default": False}
        self._client = connect(scheduler, **ours) if self._own else scheduler
        offered = [
            int(worker["resources"].get(RESOURCE, 0))
            for worker in self._client.scheduler_info(n_workers=-1)["workers"].values()
        ]
        self.size = self.workers = sum(offered)
        self.largest = max(offered, default=0)
        if not self.size:
            self.shutdown()
            raise UsageError(
                f"none of the {len(offered)} workers of the cluster offers devices",
                hint=f"start them with: dask worker ADDRESS --nthreads N --resources {RESOURCE}=N",
            )

    def submit_pickled(self, resources: Resources, call: bytes) -> Future[Any]:
        task = self._client.submit(
            _run,
            resources,
            preparation(),
            call,
            resources={RESOURCE: resources.devices},
            pure=False,
        )
        future = _Call(task)
        future.set_running_or_notify_cancel()
        task.add_done_callback(lambda task: self._answer(future, task))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster as it is; see `concurrent.futures.Executor`."""
        if self._own:
            self._client.close()

    def _answer(self, call: Future[Any], task: Any) -> None:
        """Let a call end as its task has."""
        from distributed.scheduler import KilledWorker

        try:
            error = task.exception() if task.status != "cancelled" else None
            if task.status == "finished":
                call.set_result(task.result())
            elif isinstance(error, KilledWorker):
                call.set_exception(WorkerLostError("the worker of the cluster was lost"))
            elif error is not None:
                call.set_exception(error)
            else:
                call.set_exception(ClusterError("the Dask cluster has dropped what was running"))
        except Exception as failure:  # whoever waits must hear of anything
            call.set_exception(ClusterError(f"the Dask cluster does not answer: {failure}"))


class _Call(Future[Any]):
    """A call that is a task of the cluster."""

    def __init__(self, task: Any) -> None:
        super().__init__()
        self._task = task

    def cancel(self) -> bool:
        self._task.cancel()
        return False


def _knock(address: str, timeout: float) -> None:
    """Raise `UsageError` unless something listens at a scheduler's address."""
    parts = urlsplit(address if "//" in address else f"tcp://{address}")
    try:
        if parts.hostname is None or parts.port is None:
            raise ValueError("it names no host and port")
        socket.create_connection((parts.hostname, parts.port), timeout).close()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address!r} ({error})",
            allowed="an address such as tcp://head:8786",
        ) from None


def _run(resources: Resources, prepared: bytes, content: bytes) -> Any:
    """Have a call done by a child process of this worker, as long as it is wanted."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    call = _pool().submit_on(resources, _call, prepared, content)
    while True:
        try:
            return call.result(_LOOK)
        except StillRunning:
            if call.done():  # it has raised one itself
                raise
            task = worker.state.tasks.get(key)
            if task is None or task.state != "executing":
                call.cancel()


def _call(prepared: bytes, content: bytes) -> Any:
    """Do a call as if it were made in the driver's process."""
    spawn.prepare(pickle.loads(prepared))
    fn, args = pickle.loads(content)
    return fn(*args)


_lock = threading.Lock()


def _pool() -> ProcessExecutor:
    with _lock:  # tasks are begun in several threads
        return _make_pool()


@cache
def _make_pool() -> ProcessExecutor:
    from distributed import get_worker

    count = int(get_worker().state.total_resources[RESOURCE])
    names = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return ProcessExecutor(names[:count] if len(names) >= count else count)
