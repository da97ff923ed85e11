"""Faults of processes, disks and machines, at any one change of a file: for tests of what survives.

Work is done in a forked process, in which every change of a file below a folder is counted: a file
opened for writing, a folder made, a name changed or removed; and whenever it is made sure that a
change is on the disk (`fsync`). Just before the change of a chosen number, the process is killed,
the disk is full, or the machine fails.

A killed process leaves all that it wrote; a machine that fails leaves what was made sure of, and
anything between that and all. Here it leaves one of two extremes. After a `power cut`, every file
has the content, and every folder the names, of its last `fsync`. After `lost content` that holds
for files alone, and all names are as the process left them: a file that was renamed before its
`fsync` has its new name, and is empty. What other processes make sure of is not known to either.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias

Fault: TypeAlias = Literal["kill", "full disk", "power cut", "lost content"]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NAMES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.symlink")
_UNHARMED, _STRUCK, _BROKEN = 0, 3, 4  # how the process ends


def changes(work: Callable[[], object], within: Path) -> int:
    """Return how many changes of files below `within` there are in `work`, which is done.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     changes((Path(folder) / "file").touch, Path(folder))
        1
    """
    read, write = os.pipe()

    def counted() -> None:
        count = _Count(within, at=0, fault="kill")
        count.begin()
        work()
        os.write(write, str(count.seen).encode())

    code = _forked(counted)
    os.close(write)
    with os.fdopen(read) as stream:
        answer = stream.read()
    if code != _UNHARMED:
        raise AssertionError(f"the work failed without a fault, see stderr ({code})")
    return int(answer)


def strike(work: Callable[[], object], within: Path, at: int, fault: Fault = "kill") -> bool:
    """Do `work`, with a fault at the change numbered `at` of the files below `within`.

    Args:
        work: done in a forked process; an `OSError` may leave it where the disk is full, and
            nothing else.
        within: the folder that is watched.
        at: from 1.
        fault: `kill`, just before the change; `full disk`, there and from then on; `power cut` or
            `lost content`, a kill that leaves of `within` what a failing machine may leave.

    Returns:
        Whether there was a change of that number.

    Raises:
        AssertionError: the work has failed by anything else.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "file"
        ...     _ = file.write_text("old")
        ...     work = lambda: file.write_text("new") and file.unlink()
        ...     strike(work, Path(folder), at=2, fault="power cut")
        ...     file.read_text()
        True
        'old'
    """

    def struck() -> bool:
        count = _Count(within, at, fault)
        count.begin()
        work()
        return count.seen >= at

    code = _forked(struck)
    if code not in (_UNHARMED, _STRUCK, -signal.SIGKILL):
        raise AssertionError(f"the work failed by more than the {fault} at change {at}, see stderr")
    return code != _UNHARMED


class _Count:
    """Counts changes and strikes at one of them."""

    def __init__(self, within: Path, at: int, fault: Fault) -> None:
        self._within, self._at, self._fault = f"{within}{os.sep}", at, fault
        self._disk = _MACHINES[fault](within) if fault in _MACHINES else None
        self.seen = 0

    def begin(self) -> None:
        """Count from now on, to the end of this process."""
        sys.addaudithook(self._hear)
        fsync = os.fsync

        def counted(descriptor: int) -> None:
            self._count("os.fsync")
            fsync(descriptor)
            if self._disk:
                self._disk.keep(descriptor)

        os.fsync = counted  # type: ignore[assignment]  # no audit event tells of it

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_change(event, arguments):
            self._count(event)

    def _count(self, event: str) -> None:
        self.seen += 1
        if self.seen == self._at and self._fault != "full disk":
            if self._disk:
                self._disk.fail()
            os.kill(os.getpid(), signal.SIGKILL)
        frees = event in ("os.remove", "os.rmdir")
        if self._at and self.seen >= self._at and self._fault == "full disk" and not frees:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_change(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            name, _, flags = arguments
            return bool(flags & _WRITING) and self._is_within(name)
        if event not in _NAMES:
            return False
        relative = any(isinstance(each, int) and each >= 0 for each in arguments[-2:])
        return self._is_within(arguments[0]) or (event in ("os.remove", "os.rmdir") and relative)

    def _is_within(self, name: Any) -> bool:
        return isinstance(name, (str, bytes, os.PathLike)) and os.fsdecode(name).startswith(
            self._within
        )


class _Disk:
    """What is sure to be on a disk, of a folder and all in it: at first everything that is there.

    It goes by inodes, as a file or folder that gets another name is still the same one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[int, bytes | dict[str, int]] = {}
        for path in self._paths():
            self._keep(path)

    def keep(self, descriptor: int) -> None:
        """Note that what is open as `descriptor` was made sure of."""
        inode = os.fstat(descriptor).st_ino
        for path in self._paths():
            if path.stat().st_ino == inode:
                self._keep(path)
                return

    def fail(self) -> None:
        """Leave nothing in the folder but what was made sure of."""
        if self._folder.exists():
            inode = self._seen(self._folder)
            shutil.rmtree(self._folder)
            self._put_back(self._folder, inode)

    def _put_back(self, path: Path, inode: int) -> None:
        kept = self._kept[inode]
        if isinstance(kept, bytes):
            path.write_bytes(kept)
            return
        path.mkdir()
        for name, child in kept.items():
            self._put_back(path / name, child)

    def _paths(self) -> Iterator[Path]:
        if self._folder.exists():
            yield from (self._folder, *self._folder.rglob("*"))

    def _keep(self, path: Path) -> None:
        inode = self._seen(path)
        if path.is_dir():
            self._kept[inode] = {child.name: self._seen(child) for child in path.iterdir()}
        else:
            self._kept[inode] = path.read_bytes()

    def _seen(self, path: Path) -> int:
        """Return an inode, of which nothing is sure at first; it stays open, so that no other file
        gets its number."""
        inode = path.stat().st_ino
        if inode not in self._kept:
            os.open(path, os.O_RDONLY)
            self._kept[inode] = {} if path.is_dir() else b""
        return inode


class _LateDisk(_Disk):
    """One that writes names at once, and contents when it is asked to."""

    def fail(self) -> None:
        for path in self._paths():
            if path.is_file():
                kept = self._kept[self._seen(path)]
                assert isinstance(kept, bytes)
                path.write_bytes(kept)


_MACHINES = {"power cut": _Disk, "lost content": _LateDisk}


def _forked(work: Callable[[], object]) -> int:
    """Return the exit code of a forked process that does `work`; negative for a signal."""
    process = os.fork()
    if process == 0:
        code = _BROKEN
        try:
            code = _STRUCK if work() is True else _UNHARMED
        except OSError as error:
            code = _STRUCK if error.errno == errno.ENOSPC else _BROKEN
            if code == _BROKEN:
                traceback.print_exc()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
