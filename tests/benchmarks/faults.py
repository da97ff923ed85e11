"""Every fault at every change of a file. Run: python tests/benchmarks/faults.py [SCENE ...]

Strikes searches and replays, see `struck.py`, at each change of a file in turn, and cuts a journal
off at each of its bytes; each time, what is resumed must come to the same answer, byte by byte.
Prints how many there were. Exits with 1 if anything else comes out.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).parents[1]))

import struck

from schedplan.testing.faults import Fault


def faults(scene: str) -> tuple[str, ...]:
    """Return what can be struck: of what child processes made sure of, a disk does not know."""
    return ("kill", "full disk") if scene == "processes" else get_args(Fault)


def strike_at_all(scene: str, fault: str) -> str | None:
    """Return what came out wrong, if anything did."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, struck.__file__, scene, fault, "1", place]
        swept = subprocess.run(command, capture_output=True, text=True)
    found = f"{swept.stdout.strip()} changes" if swept.returncode == 0 else f"\n{swept.stderr}"
    print(f"{scene}, {fault}: {found}, {time.perf_counter() - begun:.0f} s", flush=True)
    return f"{scene}, {fault}" if swept.returncode else None


def tear_everywhere() -> str | None:
    """Return what came out wrong, if anything did."""
    with tempfile.TemporaryDirectory() as place:
        try:
            print(f"torn journal: {struck.tear(1, Path(place))} bytes", flush=True)
        except AssertionError as error:
            return f"torn journal, at byte {error}"
    return None


if __name__ == "__main__":
    scenes = sys.argv[1:] or list(struck.SCENES)
    ended = [strike_at_all(scene, fault) for scene in scenes for fault in faults(scene)]
    if wrong := [each for each in [*ended, tear_everywhere()] if each]:
        sys.exit(f"changed the answer: {'; '.join(wrong)}")
