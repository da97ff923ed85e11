"""The command line: data on stdout, everything else on stderr, errors as one clear message.

Exit codes: 0 done; 1 failed; 2 bad configuration or usage; 3 budget reached,
resumable; 130 interrupted or terminated, resumable.
"""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
import threading
from functools import cache

__all__ = ["main"]

_EVERYWHERE = {"-v", "--verbose", "-q", "--quiet", "--debug"}
_INTERRUPTED = 130

_held = threading.local()


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what it cannot encode must not end a search
            stream.reconfigure(errors="backslashreplace")
    arguments = _global_options_first(sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a batch system ends a job
    _heed_forks()
    try:
        _run(arguments)
    except KeyboardInterrupt:
        _exit_interrupted()
    except SystemExit as exit_:
        if exit_.code == _INTERRUPTED:
            _exit_interrupted()
        raise


@cache
def _heed_forks() -> None:
    os.register_at_fork(
        before=_hold_back, after_in_parent=_deliver, after_in_child=_deliver_as_without_us
    )


def _hold_back() -> None:
    """Let SIGTERM wait while a process is forked: Python forgets what comes in between."""
    _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _deliver() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)


def _deliver_as_without_us() -> None:
    """Let what a trainer forks, such as a pool of workers, end as it would without this program."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _deliver()


def _exit_interrupted() -> None:
    resumable = {"run", "replay", "compare"} & set(sys.argv[1:])
    again = shlex.join(["schedplan", *sys.argv[1:]])
    hint = f"; finished epochs are kept. To go on: {again}" if resumable else ""
    print(f"interrupted{hint}", file=sys.stderr)
    sys.exit(_INTERRUPTED)


def _run(arguments: list[str]) -> None:
    # Imported here, so that an interrupt is answered alike however early it comes.
    from schedplan.cli.app import app
    from schedplan.errors import SchedplanError

    try:
        _add_plugin_command(arguments)
        app(arguments, prog_name="schedplan")
    except Exception as error:
        if "--debug" in arguments:
            raise
        expected = isinstance(error, (SchedplanError, OSError))
        text = f"{error}" if expected else f"{type(error).__name__}: {error} (--debug shows where)"
        print(f"error: {text}", file=sys.stderr)
        usage = isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError))
        sys.exit(2 if usage else getattr(error, "exit_code", 1))


def _global_options_first(arguments: list[str]) -> list[str]:
    """Let the options of all commands stand anywhere: `schedplan run CONFIG -v`."""
    moved = [argument for argument in arguments if argument in _EVERYWHERE]
    return moved + [argument for argument in arguments if argument not in _EVERYWHERE]


def _add_plugin_command(arguments: list[str]) -> None:
    """Load the plug-in that the command is named after, for its commands; ours come first."""
    from typer.main import get_group

    from schedplan.cli.app import app
    from schedplan.plugins import Plugins, installed

    command = next((each for each in arguments if not each.startswith("-")), None)
    if command in installed() and command not in get_group(app).commands:
        entry = Plugins([command]).all("commands").get(command)
        if entry:
            app.add_typer(entry.load(), name=command)
