"""One task for many files, in processes that a file may crash or hang without harm to others."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Generic, TypeAlias, TypeVar

from schedplan.errors import SchedplanError

from .decode import DecodeError

A = TypeVar("A")
T = TypeVar("T")

Alive: TypeAlias = Callable[[], None]
"""Called by a task now and then, it says that the task is at work and does not hang."""

Task: TypeAlias = Callable[[Path, A, Alive], T]
"""What is done with a file, knowing something about it.

Task, knowledge and result can be pickled; the result is not None.
"""

Results: TypeAlias = Iterable[tuple[Path, T | DecodeError]]
"""Of every file, what the task returned, or why it failed."""

Track: TypeAlias = Callable[[Results[T], int], Results[T]]
"""Passes on the results of so many files, and may show how many there were."""


def count_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usual_workers() -> int:
    """Return how many processes decode for one that trains, where nobody has said."""
    return min(4, count_cores())


def untracked(results: Results[T], total: int) -> Results[T]:
    """Pass the results on, and show nothing."""
    return results


def for_each(
    files: Mapping[Path, A], task: Task[A, T], workers: int = 0, time_limit: float = 900.0
) -> Iterator[tuple[Path, T | DecodeError]]:
    """Yield every file with what `task` makes of it, in the order in which they are done.

    Args:
        files: videos, or folders of frames, with what the task is to know about each.
        task: may raise `DecodeError`, which is then the file's result; another error of this
            project, such as that of a full disk, ends it all.
        workers: processes; a file that crashes one, or takes too long, costs that file alone. They
            are spawned, so a script must call this below `if __name__ == "__main__"`. 0 works in
            this process, without such protection.
        time_limit: seconds that a process may go without a sign of life; more than the task allows
            itself, for files that keep it from looking at the time.

    Raises:
        SchedplanError: no process can be started, or what the task raised.
    """
    if workers == 0:
        for file, about in files.items():
            yield file, _checked(_done(task, file, about, lambda: None))
        return
    waiting = iter(files.items())
    crew: list[_Worker[A, T]] = []
    try:
        for _, item in zip(range(workers), waiting, strict=False):
            crew.append(_Worker(task, item, time_limit))
        while crew:
            for worker in _ready(crew):
                file, result = worker.item[0], worker.take()
                if result is None:
                    continue
                crew.remove(worker)
                following = next(waiting, None)
                if following is None:
                    worker.stop()
                elif worker.process.is_alive():
                    worker.give(following)
                    crew.append(worker)
                else:
                    crew.append(_Worker(task, following, time_limit))
                yield file, _checked(result)
    finally:
        for worker in crew:
            worker.stop()


class _Worker(Generic[A, T]):
    """A process that does the task for one file at a time."""

    def __init__(self, task: Task[A, T], item: tuple[Path, A], time_limit: float) -> None:
        self.time_limit = time_limit
        self.started = False
        context = multiprocessing.get_context("spawn")  # forks of a process with threads may hang
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(task, other), daemon=True)
        with interrupts_blocked():
            self.process.start()
        other.close()  # so that the end of the process can be seen at this end
        self.give(item)

    def give(self, item: tuple[Path, A]) -> None:
        self.item = item
        self.deadline = time.monotonic() + self.time_limit if self.started else math.inf
        with suppress(OSError):  # a process that has died is found out by `take`
            self.connection.send(item)

    def take(self) -> T | SchedplanError | None:
        """Return the result, or that the process crashed or is late, which ends it.

        None is a sign of life.
        """
        try:
            if self.connection.poll():
                result: T | SchedplanError | None = self.connection.recv()
                if result is None:
                    self.started, self.deadline = True, time.monotonic() + self.time_limit
                return result
            reason = f"not done after {self.time_limit:g} seconds"
        except (EOFError, OSError):
            self.process.join()
            if not self.started:
                raise SchedplanError(
                    "a process to work on videos could not be started",
                    hint='a script must do its work below `if __name__ == "__main__"`',
                ) from None
            reason = f"the process at work on it ended (exit code {self.process.exitcode})"
        self.stop()
        return DecodeError(self.item[0], None, reason, passing=True)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _ready(crew: Sequence[_Worker[A, T]]) -> list[_Worker[A, T]]:
    """Wait for results, a process that ends, or a deadline; return whose they are."""
    deadline = min(worker.deadline for worker in crew)
    patience = None if deadline == math.inf else max(deadline - time.monotonic(), 0)
    said = wait([worker.connection for worker in crew], patience)
    now = time.monotonic()
    return [worker for worker in crew if worker.connection in said or worker.deadline <= now]


def _serve(task: Task[A, T], connection: Connection) -> None:
    def alive() -> None:
        connection.send(None)

    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, ConnectionError):  # the parent has gone
        alive()
        while True:
            file, about = connection.recv()
            connection.send(_done(task, file, about, alive))


def _end_with_parent() -> None:
    """End this process when its parent has gone, however deep it is in its work."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _done(task: Task[A, T], file: Path, about: A, alive: Alive) -> T | SchedplanError:
    try:
        return task(file, about, alive)
    except SchedplanError as error:
        return error


def _checked(result: T | SchedplanError) -> T | DecodeError:
    """Return the result of one file; raise what is not about it alone."""
    if isinstance(result, SchedplanError) and not isinstance(result, DecodeError):
        raise result
    return result


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C from processes started inside: it is for this one only."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it, as the first process does, ends the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
