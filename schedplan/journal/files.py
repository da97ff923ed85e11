"""Files that are either there or not, never in between; and hashes of what they hold."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from typing import Any


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Return a short hash of plain data, the same whatever the order of its keys."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def identity(thing: Any) -> str:
    """Describe a factory or strategy by what it does, alike in every process."""
    if isinstance(thing, partial):
        parts = [*map(repr, thing.args), *(f"{k}={v!r}" for k, v in thing.keywords.items())]
        return f"{identity(thing.func)}({', '.join(parts)})"
    if is_dataclass(thing) and not isinstance(thing, type):
        return repr(thing)
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 of a folder's files, their relative names included."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        digest.update(len(name).to_bytes(4, "big") + name)
        digest.update(path.stat().st_size.to_bytes(8, "big"))
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader finds the old file or the new one, whole."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader finds the old file or the new one, whole.

    Raises:
        OSError: it cannot be written; names `path`, and leaves nothing else behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            temporary.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is None:  # as of a full disk
            error.filename = str(path)
        raise


def publish_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write into an empty folder, then let it appear as `folder`, replacing another."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
    except FileExistsError:  # left by a process of the same number that was killed
        shutil.rmtree(temporary)
        temporary.mkdir()
    try:
        fill(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
