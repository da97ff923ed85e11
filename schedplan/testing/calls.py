"""What the tests of executors have called in other processes; quick to import there."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import NamedTuple

_LONG = 600.0  # seconds


class Visit(NamedTuple):
    """Where and when a call ran.

    Attributes:
        host: the machine.
        devices: their names, if they have any.
        begun, ended: by the machine's clock, in seconds.
    """

    host: str
    devices: tuple[str, ...]
    begun: float
    ended: float


def visit(seconds: float) -> Visit:
    """Stay for a while."""
    begun = time.monotonic()
    time.sleep(seconds)
    names = os.environ.get("SCHEDPLAN_DEVICES", "")
    devices = tuple(names.split(",")) if names else ()
    return Visit(socket.gethostname(), devices, begun, time.monotonic())


def stay(folder: Path) -> None:
    """Run until this process is ended, whose number is noted in a folder."""
    (folder / str(os.getpid())).touch()
    time.sleep(_LONG)
