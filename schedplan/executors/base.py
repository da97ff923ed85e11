"""What an executor of a pool of devices is asked for, besides running calls."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from schedplan.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Resources:
    """What a call needs.

    Attributes:
        devices: how many of the pool it has to itself.
        near: calls with the same one go to the same process where that costs no waiting: what a
            call leaves in memory, the next may find there.
    """

    devices: int = 1
    near: Hashable = None


class DeviceExecutor(Executor):
    """Runs each call in a process of its own, on devices that no other call has meanwhile.

    A call whose process ends before it has answered raises `WorkerLostError`. Cancelling one that
    runs ends its process, which has ended when the call is done.

    Attributes:
        size: how many devices there are.
        workers: how many calls run at a time at most.
        largest: how many devices a call can have.
    """

    size: int
    workers: int
    largest: int

    def submit_on(self, resources: Resources, fn: Callable[..., T], /, *args: Any) -> Future[T]:
        """Run a call once the devices of its `resources` are free; calls begin in their order.

        Raises:
            UsageError: if the pool has fewer devices, or the call cannot be sent.
        """
        if not 1 <= resources.devices <= self.largest:
            allowed = f"1 to {self.largest}"
            raise UsageError(f"a call asks for {resources.devices} devices", allowed=allowed)
        return self.submit_pickled(resources, _pickled(fn, args))

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self.submit_on(Resources(), partial(fn, *args, **kwargs))

    @abstractmethod
    def submit_pickled(self, resources: Resources, call: bytes) -> Future[Any]:
        """Run a pickled call, (function, arguments), for which there are devices enough."""


def _pickled(fn: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    try:
        return pickle.dumps((fn, args))
    except Exception as error:
        raise UsageError(
            f"what is to be run cannot be sent to another process: {error}",
            allowed="functions and classes of a module, functools.partial of them, and data",
        ) from error
