"""What a child process of an executor does: call after call, as long as it has a parent."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from contextlib import suppress
from multiprocessing import spawn
from multiprocessing.connection import Connection

from schedplan.errors import portable

_LOOK_FOR_PARENT = 1.0  # seconds


def serve(connection: Connection) -> None:
    """Answer calls with (whether it returned, what it returned or raised) until there are none."""
    with suppress(EOFError, ConnectionError):  # nobody asks any more
        # Lets what the parent's script defines be found here, as `multiprocessing` does.
        spawn.prepare(pickle.loads(connection.recv_bytes()))
        while True:
            answer = _answer(connection.recv_bytes())
            connection.send_bytes(answer)


def _answer(call: bytes) -> bytes:
    try:
        fn, args = pickle.loads(call)
        answer = True, fn(*args)
    except Exception as error:
        answer = False, portable(error)
    try:
        return pickle.dumps(answer)
    except Exception as error:
        what = f"{answer[1]!r:.200} cannot be sent back to the driver: {error}"
        return pickle.dumps((False, portable(TypeError(what))))


def _end_with(parent: int) -> None:
    """End this process, and all that it has started, soon after its parent."""
    while os.getppid() == parent:
        time.sleep(_LOOK_FOR_PARENT)
    os.killpg(0, signal.SIGKILL)  # the group is its own, see `ProcessExecutor`


def main(descriptor: int, parent: int) -> None:
    """Serve at the other end of a pipe, for the process numbered `parent`."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    serve(Connection(descriptor))
