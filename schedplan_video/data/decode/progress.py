"""One reading of a video: how far it is, how long it may take, and what becomes of its failures."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import TIMEOUT_MAX, Thread
from typing import TypeVar

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
        self._end = time.monotonic() + time_limit

    def at(self, frame: int) -> None:
        """Note the frame worked on.

        Raises:
            TimeoutError: the time is up.
        """
        self.frame = frame
        if time.monotonic() > self._end:
            raise TimeoutError


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
    result: Future[T] = Future()
    Thread(target=_fulfil, args=(result, work, progress), daemon=True).start()
    try:
        return result.result(min(time_limit, TIMEOUT_MAX))
    except (TimeoutError, av.ExitError):  # the latter is what an interrupted read of FFmpeg raises
        reason = f"it takes longer than {time_limit:g} seconds"
        raise DecodeError(path, progress.frame, reason) from None
    except _FAILURES as error:
        raise DecodeError(path, progress.frame, reason_of(error)) from error


def _fulfil(result: Future[T], work: Callable[[Progress], T], progress: Progress) -> None:
    try:
        result.set_result(work(progress))
    except BaseException as error:  # whoever waits must hear of anything
        result.set_exception(error)
