"""Files that are either there or not, never in between; and short names for what they hold."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

_TEMPORARY = re.compile(r"\..+\.(new|old)\d+")


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


def write_text(path: Path, text: str, via: Path | None = None) -> None:
    """Write `text` to `path`; see `write_bytes`."""
    write_bytes(path, text.encode(errors="backslashreplace"), via)


def write_bytes(path: Path, content: bytes, via: Path | None = None) -> None:
    """Write `content` to `path` so that a reader finds the old file or the new one, whole.

    Once this returns, the new one is there even if the machine fails.

    Args:
        path: the file; its folder is made on demand.
        content: what is in it.
        via: the folder to write it in before it is moved; by default that of `path`.

    Raises:
        OSError: it cannot be written; names `path`, and leaves nothing else behind.
        FileNotFoundError: there is no folder `via` (any more).
    """
    make_folder(path.parent)
    temporary = beside(via / path.name if via else path)
    try:
        with _naming(path), temporary.open("wb") as stream:
            stream.write(content)
            _flush(stream)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, if they are not there; they stay even if the machine
    fails."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def append_text(path: Path, text: str) -> None:
    """Add `text` to a file that is there; once this returns, it is there for good.

    Raises:
        OSError: it is not, or cannot be written; names `path`.
    """
    with _naming(path), path.open("r+", encoding="utf-8") as stream:
        stream.seek(0, os.SEEK_END)
        stream.write(text)
        _flush(stream)


def publish_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write into an empty folder, then let it appear as `folder`, replacing another.

    Raises:
        FileNotFoundError: where it is to appear, there is no folder (any more).
    """
    temporary = beside(folder)
    if temporary.exists():  # left by a process of the same number that was killed
        shutil.rmtree(temporary)
    temporary.mkdir()
    try:
        fill(temporary)
        for path in [*temporary.rglob("*"), temporary]:
            _sync(path)
        if folder.exists():
            remove_folder(folder)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(folder.parent)


def copy_folder(source: Path, target: Path) -> None:
    """Copy what is in a folder into another one; both are there."""
    source.resolve(strict=True)  # which raises FileNotFoundError, where `rglob` finds nothing
    for path in sorted(source.rglob("*")):  # not `copytree`, whose errors cannot be read
        copy = target / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            copy.mkdir()
        else:
            shutil.copy2(path, copy, follow_symlinks=False)


def move_folder(source: Path, target: Path) -> None:
    """Let a folder appear elsewhere on the same disk, at once and for good."""
    make_folder(target.parent)
    source.rename(target)
    _sync(target.parent)
    _sync(source.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there, so that nobody finds half of it."""
    hidden = beside(folder, "old")
    shutil.rmtree(hidden, ignore_errors=True)  # left by a process of the same number
    with suppress(FileNotFoundError):
        folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def sweep(folder: Path, places: Iterable[str]) -> None:
    """Remove what processes that were killed were about to publish, or to remove, in a folder.

    Args:
        folder: where.
        places: patterns of the paths in it that they publish; all else is somebody else's.
    """
    for pattern in places:
        for path in list(folder.glob(pattern)):
            if not _TEMPORARY.fullmatch(path.name):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def beside(path: Path, what: str = "new") -> Path:
    """Return a hidden name of this process' own, in the same folder."""
    return path.with_name(f".{path.name}.{what}{os.getpid()}")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an error that names no file, such as a full disk's, name this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _flush(stream: IO[Any]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync(path: Path) -> None:
    """Make sure that a file, or what was made, renamed or removed in a folder, is on the disk."""
    if path.is_symlink():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
