"""Probing many files, in processes that a file may crash or hang without harm to the others."""

from __future__ import annotations

import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

from schedplan.errors import SchedplanError

from .decode import DecodeError, VideoInfo, probe

Found = VideoInfo | DecodeError
"""What a file holds, or why nobody can say."""

Results = Iterable[tuple[Path, Found]]
Track = Callable[[Results, int], Results]
"""Passes on the results of so many files, and may show how many there were."""


def untracked(results: Results, total: int) -> Results:
    """Pass the results on, and show nothing."""
    return results


def probe_files(
    files: Iterable[Path], workers: int = 0, time_limit: float = 900.0
) -> Iterator[tuple[Path, Found]]:
    """Yield every file with what it holds, in the order in which they are done.

    Args:
        files: videos, or folders of frames.
        workers: processes that probe; a file that crashes one, or takes too long, costs that file
            alone. They are spawned, so a script must call this below `if __name__ == "__main__"`.
            0 probes in this process, without such protection.
        time_limit: seconds that a process may take for a file; more than `probe` allows itself,
            for files that keep it from looking at the time.

    Raises:
        SchedplanError: no process can be started.
    """
    if workers == 0:
        yield from ((file, _probe(file)) for file in files)
        return
    waiting = iter(files)
    crew: list[_Worker] = []
    try:
        for _, file in zip(range(workers), waiting, strict=False):
            crew.append(_Worker(file, time_limit))
        while crew:
            for worker in _ready(crew):
                file, found = worker.file, worker.take()
                if found is None:  # it has only just started
                    continue
                crew.remove(worker)
                following = next(waiting, None)
                if following is None:
                    worker.stop()
                elif worker.process.is_alive():
                    worker.give(following)
                    crew.append(worker)
                else:
                    crew.append(_Worker(following, time_limit))
                yield file, found
    finally:
        for worker in crew:
            worker.stop()


class _Worker:
    """A process that probes one file at a time."""

    def __init__(self, file: Path, time_limit: float) -> None:
        self.time_limit = time_limit
        self.started = False
        context = multiprocessing.get_context("spawn")  # forks of a process with threads may hang
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        with _interrupts_blocked():  # the process inherits that; an interrupt is for this one only
            self.process.start()
        other.close()  # so that the end of the process can be seen at this end
        self.give(file)

    def give(self, file: Path) -> None:
        self.file = file
        self.deadline = time.monotonic() + self.time_limit if self.started else math.inf
        with suppress(OSError):  # a process that has died is found out by `take`
            self.connection.send(file)

    def take(self) -> Found | None:
        """Return what was found, or that the process crashed or is late, which ends it.

        None says that it has started.
        """
        try:
            if self.connection.poll():
                found = self.connection.recv()
                if found is None:
                    self.started, self.deadline = True, time.monotonic() + self.time_limit
                return found
            reason = f"not done after {self.time_limit:g} seconds"
        except (EOFError, OSError):
            self.process.join()
            if not self.started:
                raise SchedplanError(
                    "a process to decode videos could not be started",
                    hint='a script must do its work below `if __name__ == "__main__"`',
                ) from None
            reason = f"decoding it ended the process (exit code {self.process.exitcode})"
        self.stop()
        return DecodeError(self.file, None, reason)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _ready(crew: Sequence[_Worker]) -> list[_Worker]:
    """Wait for results, a process that ends, or a deadline; return whose they are."""
    deadline = min(worker.deadline for worker in crew)
    patience = None if deadline == math.inf else max(deadline - time.monotonic(), 0)
    said = wait([worker.connection for worker in crew], patience)
    now = time.monotonic()
    return [worker for worker in crew if worker.connection in said or worker.deadline <= now]


def _serve(connection: Connection) -> None:
    connection.send(None)
    while True:
        try:
            file = connection.recv()
        except EOFError:
            return
        connection.send(_probe(file))


def _probe(file: Path) -> Found:
    try:
        return probe(file)
    except DecodeError as error:
        return error


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
