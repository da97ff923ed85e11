"""Snapshots: whether they are what was saved."""

from __future__ import annotations

import hashlib
from pathlib import Path

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
