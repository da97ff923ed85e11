"""Probing many files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from .decode import DecodeError, VideoInfo, probe
from .processes import Alive, for_each

Found = VideoInfo | DecodeError
"""What a file holds, or why nobody can say."""


def probe_files(
    files: Iterable[Path], workers: int = 0, time_limit: float = 900.0
) -> Iterator[tuple[Path, Found]]:
    """Yield every file with what it holds, in the order in which they are done.

    See `for_each` for the arguments; a process need only be quicker than `time_limit` seconds for a
    file.
    """
    return for_each(dict.fromkeys(files), _probe, workers, time_limit)


def _probe(file: Path, about: None, alive: Alive) -> VideoInfo:
    return probe(file)
