"""Calls on the workers of a Dask cluster: the answer to more than one machine."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from schedplan.errors import ClusterError, UsageError, WorkerLostError, missing
from schedplan.executors.base import DeviceExecutor, Resources
from schedplan.executors.dask_worker import RESOURCE, end, end_idle, run
from schedplan.executors.processes import preparation

log = logging.getLogger(__name__)

_LOST = "the connection to the Dask scheduler is lost"
_PATIENCE = 5.0  # seconds that a worker has to do what it is asked; it may be frozen, or cut off


class DaskExecutor(DeviceExecutor):
    """Runs calls in child processes of the workers of a cluster, see `ProcessExecutor`.

    Workers offer devices as the resource `RESOURCE`; their names are those of a worker's
    `CUDA_VISIBLE_DEVICES`, if it has any. A worker that offers a multiple of what it has shares
    each device between calls, and a call has no more than there are. All machines see the run
    folder, and the folder in which the driver was started, under the same path and can import the
    same modules. Workers that join later take over from those that leave; how many calls run at a
    time is what was there at first, until the next executor counts anew. Whoever can reach a
    scheduler can run code on its cluster.

    A call raises `ClusterError` when the connection to the scheduler is lost: children end by
    themselves then, and what was searched can be gone on with.

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
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        offered = [int(worker["resources"].get(RESOURCE, 0)) for worker in workers]
        self.size, self.largest = sum(offered), max(offered, default=0)
        threads = [worker["nthreads"] for worker in workers]
        self.workers = sum(map(min, offered, threads))  # a call takes a thread of the worker's
        if not self.size:
            self.shutdown()
            raise UsageError(
                f"none of the {len(offered)} workers of the cluster offers devices",
                hint=f"start them with: dask worker ADDRESS --nthreads N --resources {RESOURCE}=N",
            )

    def submit_pickled(self, resources: Resources, call: bytes) -> Future[Any]:
        if self._client.status != "running":
            raise ClusterError(_LOST)
        task = self._client.submit(
            run,
            resources,
            preparation(),
            call,
            resources={RESOURCE: resources.devices},
            pure=False,
        )
        return _Call(self._client, task)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the children that wait for further calls; see `concurrent.futures.Executor`.

        They held on to their trainers, and to the memory of devices. Another driver's that have
        nothing to do just then are started anew for its next calls.
        """
        if self._client.status == "running":
            self._client.sync(self._end_idle)
        if self._own:
            with _silenced(self._client.status != "running"):
                self._client.close()

    async def _end_idle(self) -> None:
        await _in_time(self._client.run(end_idle, on_error="ignore"))


class _Call(Future[Any]):
    """A call that is a task of the cluster."""

    def __init__(self, client: Any, task: Any) -> None:
        super().__init__()
        self._client, self._task = client, task
        self.set_running_or_notify_cancel()
        task.add_done_callback(self._take)

    def cancel(self) -> bool:
        if self._client.status == "running":
            # There, so that many calls are ended side by side.
            self._client.loop.add_callback(self._end)
        else:
            self._fail(_cancelled())
        return False

    async def _end(self) -> None:
        """End the call; who waits for it hears of it once nothing of it runs, as far as workers
        answer."""
        try:
            await _in_time(self._end_where_it_runs())
        finally:
            self._fail(_cancelled())
            await self._task.cancel()

    async def _end_where_it_runs(self) -> None:
        key = self._task.key
        running = (await self._client.processing()).items()
        workers = [worker for worker, keys in running if key in keys]
        await self._client.run(end, key, workers=workers, on_error="ignore")

    def _take(self, task: Any) -> None:
        """End as the task has."""
        from distributed.scheduler import KilledWorker

        try:
            error = task.exception() if task.status != "cancelled" else None
            if task.status == "finished":
                self.set_result(task.result())
            elif isinstance(error, KilledWorker):
                self._fail(WorkerLostError("the worker of the cluster was lost"))
            else:
                self._fail(error or self._dropped())
        except Exception as failure:  # whoever waits must hear of anything
            self._fail(ClusterError(f"the Dask cluster does not answer: {failure}"))

    def _dropped(self) -> ClusterError:
        connected = self._client.status == "running"
        return ClusterError("the Dask cluster has dropped a call" if connected else _LOST)

    def _fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):  # it has ended, while it was cancelled
            self.set_exception(error)


def _cancelled() -> WorkerLostError:
    return WorkerLostError("the call was cancelled")


async def _in_time(asked: Awaitable[object]) -> None:
    """Wait for what workers were asked to do; go on without those that do not answer."""
    from asyncio import wait_for  # slow to import, and only Dask needs it

    try:
        await wait_for(asked, _PATIENCE)
    except OSError as error:  # a `TimeoutError` is one, too
        reason = str(error) or f"not for {_PATIENCE:g} seconds"
        log.warning("a Dask worker does not answer (%s): what runs there may go on", reason)


@contextmanager
def _silenced(silenced: bool) -> Iterator[None]:
    """Keep a client from logging the traceback of what it breaks off when it is closed."""
    log = logging.getLogger("distributed.client")
    before, log.disabled = log.disabled, log.disabled or silenced
    try:
        yield
    finally:
        log.disabled = before


def _knock(address: str, timeout: float) -> None:
    """Raise `UsageError` unless a scheduler listens at an address; Dask may wait for ever."""
    parts = urlsplit(address if "//" in address else f"tcp://{address}")
    try:
        if parts.hostname is None or parts.port is None:
            raise ValueError("it names no host and port")
        with socket.create_connection((parts.hostname, parts.port), timeout) as peer:
            if parts.scheme == "tcp" and not peer.recv(1):  # a scheduler speaks first
                raise ValueError("what listens there is something else")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address!r} ({error})",
            allowed="an address such as tcp://head:8786",
        ) from None
