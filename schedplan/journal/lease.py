"""Who works in a run folder, told in a file that is renewed as long as he is alive.

Among the processes of one machine, a lock of the operating system decides, which ends with its
holder. Machines that share a disk may not see each other's locks: for them, a holder that has not
renewed his lease for a while is gone, and one that was only slow finds out before he publishes.
"""

from __future__ import annotations

import math
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from schedplan.errors import RunFolderError
from schedplan.journal.files import beside, write_text

RENEWED: Final = 10.0
"""Seconds between renewals."""

STALE: Final = 60.0
"""Seconds without a renewal after which a holder on another machine is gone."""


class Lease:
    """The right to work in a run folder, held in a `with` statement.

    Args:
        file: tells the holder: a line for people, and a token that no other lease has.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._text = f"process {os.getpid()} on {socket.gethostname()}\n{uuid4().hex}\n"
        self._ended = threading.Event()

    def __enter__(self) -> Lease:
        """Take the lease.

        Raises:
            RunFolderError: somebody on another machine holds it.
        """
        _, there, host = self._holder().rpartition(" on ")
        if there and host != socket.gethostname() and self._age() < STALE:
            raise self.taken()
        write_text(self._file, self._text)
        threading.Thread(target=self._renew, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        with suppress(RunFolderError):
            self.check()
            self._file.unlink()

    def check(self) -> None:
        """Raise `RunFolderError` if somebody else has taken over: nothing may be published."""
        if not self._is_held():
            raise RunFolderError(
                f"the run was taken over by {self._holder()}",
                where=str(self._file.parent),
                hint="this process could not renew its lease in time; the other one goes on",
            )

    def taken(self) -> RunFolderError:
        """Return the error for a folder that somebody else holds."""
        return RunFolderError(
            f"the run is being worked on by {self._holder()}",
            where=str(self._file.parent),
            hint=f"wait for it to end, or stop it; of a failed machine, wait {STALE:g} seconds",
        )

    def _holder(self) -> str:
        try:
            return self._read().partition("\n")[0] or "another process"
        except OSError:
            return "another process"

    def _read(self) -> str:
        return self._file.read_text(encoding="utf-8", errors="replace")

    def _is_held(self) -> bool:
        try:
            return self._read() == self._text
        except FileNotFoundError:
            return False

    def _age(self) -> float:
        """Return for how many seconds the holder has not renewed his lease.

        Both times are of the clock of whoever keeps the disk, however wrong that of a machine is.
        """
        fresh = beside(self._file)
        fresh.touch()
        try:
            return fresh.stat().st_mtime - self._file.stat().st_mtime
        except FileNotFoundError:  # he has just let it go
            return math.inf
        finally:
            fresh.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED):
            with suppress(OSError):  # who cannot renew it loses it, which `check` finds out
                if self._is_held():
                    os.utime(self._file)
