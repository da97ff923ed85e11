"""The command line, run as its users run it."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial
from pathlib import Path


def schedplan(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder `cwd`; it must end with `code`, and without a traceback."""
    command = [sys.executable, "-m", "schedplan", *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result


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
