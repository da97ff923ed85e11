"""The command line, run as its users run it."""

from __future__ import annotations

import io
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from unittest.mock import patch

from schedplan.cli import main


def schedplan(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder `cwd`; it must end with `code`, and without a traceback."""
    command = [sys.executable, "-m", "schedplan", *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result


def schedplan_here(*arguments: str) -> str:
    """Run a command in this process and its present folder, which takes seconds less.

    Returns:
        what it prints on stdout; it must end with code 0.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    with redirect_stdout(stdout), redirect_stderr(stderr), _leaving_no_trace(*arguments):
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, stderr.getvalue()
    return stdout.getvalue()


@contextmanager
def _leaving_no_trace(*arguments: str) -> Iterator[None]:
    """Let a command have its arguments, log, folders of modules and signals to itself."""
    log = logging.getLogger("schedplan")
    kept = log.handlers, log.level, log.propagate
    terminated = signal.getsignal(signal.SIGTERM)
    with (
        patch.object(sys, "argv", ["schedplan", *arguments]),
        patch.object(sys, "path", [*sys.path]),
    ):
        try:
            yield
        finally:
            log.handlers, log.level, log.propagate = kept
            signal.signal(signal.SIGTERM, terminated)


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start a command in the folder `cwd`, with a pipe for what it tells."""
    return subprocess.Popen(
        [sys.executable, "-m", "schedplan", *arguments],
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore interrupts; this one must not.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
