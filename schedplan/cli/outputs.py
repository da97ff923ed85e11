"""Files that commands write where they are told to."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from schedplan.checks import require_suffix
from schedplan.errors import UsageError
from schedplan.journal import RunFolder


def check_output(
    file: Path | None, suffixes: Collection[str] = (), *, source: Path | None = None
) -> None:
    """Raise UsageError if what is to be written cannot be, or if it would replace what is read.

    Args:
        file: where to write; None: nowhere.
        suffixes: what its name may end in; nothing: anything.
        source: the file or run folder that a command reads.

    Example:
        >>> check_output(Path("plan.yaml"), source=Path("plan.yaml"))
        Traceback (most recent call last):
        schedplan.errors.UsageError: plan.yaml: this is what is read; name another file
    """
    if file is None:
        return
    if suffixes:
        require_suffix(file, suffixes)
    if file.is_dir():
        raise UsageError("this is a folder", where=str(file), allowed="a file, new or to replace")
    if source is not None and file.resolve() in {each.resolve() for each in _read_from(source)}:
        raise UsageError("this is what is read", where=str(file), hint="name another file")


def _read_from(source: Path) -> tuple[Path, ...]:
    folder = RunFolder(source)
    return source, folder.config_file, folder.plan_file
