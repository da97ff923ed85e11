"""Snapshots: whether they are what was saved, and which of a run are still needed."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Literal, TypeAlias

from schedplan.journal.files import remove_folder

KeepSnapshots: TypeAlias = Literal["best", "all"]

_SEAL = ".schedplan.sha256"


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 of a folder's files, their relative names included, but for a seal."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == _SEAL:
            continue
        digest.update(len(name.encode()).to_bytes(4, "big") + name.encode())
        digest.update(path.stat().st_size.to_bytes(8, "big"))
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def seal(folder: Path) -> None:
    """Add a file with the folder's hash to it."""
    (folder / _SEAL).write_text(hash_folder(folder) + "\n")


def is_sound(folder: Path) -> bool:
    """Return whether a folder is what it was when it was sealed; without a seal, it is not.

    Raises:
        OSError: it is there, and cannot be read.
    """
    try:
        return (folder / _SEAL).read_text().strip() == hash_folder(folder)
    except (FileNotFoundError, UnicodeDecodeError):
        return False


class SnapshotReferences:
    """Counts who still needs a snapshot, and removes those that nobody does.

    Args:
        folder: the run folder.
        keep: `all` removes nothing.
    """

    def __init__(self, folder: Path, keep: KeepSnapshots) -> None:
        self._folder, self._keep = folder, keep
        self._count: Counter[str] = Counter()

    def acquire(self, snapshot: str | None) -> None:
        """Note that somebody needs `snapshot`, a path relative to the run folder."""
        if snapshot is not None:
            self._count[snapshot] += 1

    def release(self, snapshot: str | None) -> None:
        """Note that one who needed `snapshot` does no longer."""
        if snapshot is None:
            return
        self._count[snapshot] -= 1
        if self._count[snapshot] == 0:
            del self._count[snapshot]
            if self._keep == "best":
                remove_folder(self._folder / snapshot)
