"""Where transitions run: any `concurrent.futures.Executor`; users may pass their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class SerialExecutor(Executor):
    """Runs every call at once, in the calling thread: nothing to set up, easy to debug.

    An interrupt (Ctrl-C) passes through to the caller; it is not stored in the future.

    Example:
        >>> SerialExecutor().submit(max, 1, 2).result()
        2
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
