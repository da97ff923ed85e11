"""One reading of a video: how far it is, how long it may take, and what becomes of its failures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import TIMEOUT_MAX, Thread
from typing import Any, TypeVar

import av

from schedplan.errors import UsageError

from .errors import DecodeError, reason_of

T = TypeVar("T")

# All that PyAV is known to raise for broken files; UnicodeDecodeError is a ValueError.
_FAILURES = (
    av.FFmpegError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    MemoryError,
)


class Progress:
    """How far a reading of `path` has come, and when it must be over.

    Attributes:
        path: the video file or folder of images.
        time_limit: seconds from now that the reading may take.
        frame: number of the frame worked on, or None before the first.

    Raises:
        UsageError: a time limit that is not above 0.
    """

    def __init__(self, path: Path, time_limit: float) -> None:
        if not time_limit > 0:
            raise UsageError(f"the time limit cannot be {time_limit}", allowed="seconds above 0")
        self.path = path
        self.time_limit = time_limit
        self.frame: int | None = None
        self.restart()

    def restart(self) -> None:
        """Give the reading its whole time again, from now on."""
        self._end = time.monotonic() + self.time_limit

    @property
    def has_time(self) -> bool:
        """Whether the reading may go on."""
        return time.monotonic() <= self._end

    def at(self, frame: int) -> None:
        """Note the frame worked on.

        Raises:
            TimeoutError: the time is up.
        """
        self.frame = frame
        if not self.has_time:
            raise TimeoutError


@contextmanager
def failures(progress: Progress) -> Iterator[None]:
    """Turn whatever goes wrong in a reading into a `DecodeError`."""
    try:
        yield
    except (TimeoutError, av.ExitError) as error:  # what an interrupted read of FFmpeg raises
        if progress.has_time:  # the time of a network file system is up, not that of the reading
            reason = reason_of(error)
            raise DecodeError(progress.path, progress.frame, reason, passing=True) from error
        reason = f"it takes longer than {progress.time_limit:g} seconds"
        raise DecodeError(progress.path, progress.frame, reason, passing=True) from None
    except _FAILURES as error:
        of_file = isinstance(error, (FileNotFoundError, EOFError, ValueError))
        passing = isinstance(error, (OSError, MemoryError)) and not of_file
        reason = "the file is empty" if _is_empty(progress.path) else reason_of(error)
        raise DecodeError(progress.path, progress.frame, reason, passing=passing) from error


def _is_empty(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file() and not path.stat().st_size
    return False


def guarded(path: str | Path, time_limit: float, work: Callable[[Progress], T]) -> T:
    """Return what `work` returns; whatever goes wrong in it becomes a `DecodeError`.

    The work is to call `Progress.at` often. Should it hang where it cannot, inside FFmpeg or in a
    file system that does not answer, then the caller still gets its error in time: the work runs
    in a thread, which is left behind.

    Raises:
        DecodeError: the work has failed, or takes longer than `time_limit` seconds.
        UsageError: a time limit that is not above 0.
    """
    progress = Progress(Path(path), time_limit)
    with failures(progress):
        return _submit(partial(work, progress)).result(min(time_limit, TIMEOUT_MAX))


# Threads that wait for work. A new one for each reading would do, but each leaves memory behind
# that the next one does not use: some 15 KB with glibc, which is a gigabyte in an epoch.
_idle: list[SimpleQueue[tuple[Callable[[], Any], Future[Any]]]] = []

if hasattr(os, "register_at_fork"):  # threads do not come along
    os.register_at_fork(after_in_child=_idle.clear)


def _submit(work: Callable[[], T]) -> Future[T]:
    """Start work in a thread that is idle, or in a new one."""
    result: Future[T] = Future()
    try:
        jobs = _idle.pop()
    except IndexError:
        jobs = SimpleQueue()
        Thread(target=_serve, args=(jobs,), daemon=True).start()
    jobs.put((work, result))
    return result


def _serve(jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]]) -> None:
    """Do one job after another, and say each time that there may be a next one."""
    while True:
        work, result = jobs.get()
        try:
            settle = partial(result.set_result, work())
        except BaseException as error:  # whoever waits must hear of anything
            settle = partial(result.set_exception, error)
        _idle.append(jobs)
        settle()
        del work, result, settle  # or they keep what they hold until the next job
