"""The command line, run as its users run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def schedplan(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder `cwd`; it must end with `code`, and without a traceback."""
    command = [sys.executable, "-m", "schedplan", *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result
