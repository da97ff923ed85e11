"""Results as files: a JSON object each, with a field for each of theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from schedplan.errors import RunFolderError
from schedplan.journal import write_text

T = TypeVar("T")


def save_result(file: Path, result: Any) -> None:
    """Write a dataclass of plain data."""
    write_text(file, json.dumps(vars(result)) + "\n")


def load_result(file: Path, kind: type[T], hint: str) -> T | None:
    """Return what `save_result` has written of a dataclass; None if there is no such file.

    Raises:
        RunFolderError: the file is damaged; it is named, with a hint of what to do.
    """
    try:
        return kind(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise RunFolderError(
            f"a result cannot be read ({error})", where=str(file), hint=hint
        ) from error
