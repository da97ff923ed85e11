"""Reading lists that people and other programs wrote: lines, tables and JSON, with their places.

All are UTF-8; byte order marks, Windows line ends, blank lines and a missing final newline are
taken as they come. Whatever cannot be read ends in a `UsageError` that names the file and the line.
"""

from __future__ import annotations

import csv
import json
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from schedplan.errors import UsageError

T = TypeVar("T")


def read_lines(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the place, as `FILE:LINE`, and the text of every line that is not blank."""
    with _reading(file), file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield f"{file}:{number}", line.strip()


def read_table(
    file: Path, required: Sequence[str] = (), delimiter: str = ","
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place, as `FILE:LINE`, and the cells by column of every row that is not blank.

    Args:
        file: a CSV file whose first row names the columns; here they are called what `column_name`
            makes of that. Those without a name are one column.
        required: columns that must be there.
        delimiter: what stands between cells.

    Raises:
        UsageError: a column that is missing or there twice, a row with too few or too many cells,
            an open quotation.
    """
    with _reading(file), file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        rows = _cells(reader, file)
        where, names = next(rows, (f"{file}:1", []))
        header = [column_name(name) for name in names]
        _check_header(header, required, where)
        for where, row in rows:
            if len(row) != len(header):
                raise UsageError(
                    f"the row has {len(row)} columns, the header {len(header)}", where=where
                )
            yield where, dict(zip(header, row, strict=True))


def column_name(text: str) -> str:
    """Return a column's name as it is compared: without spaces around it, in small letters.

    Example:
        >>> column_name(" Split")
        'split'
    """
    return text.strip().lower()


def number_of(digits: str) -> int | None:
    """Return the number that decimal digits say, or None for other text and absurd numbers.

    Example:
        >>> number_of("07"), number_of("-7"), number_of("7" * 5000)
        (7, None, None)
    """
    return int(digits) if digits.isdecimal() and len(digits) < 20 else None


def read_json(file: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        UsageError: no JSON, a key twice in one object with different values, numbers of thousands
            of digits, or thousands of lists in each other.
    """
    with _reading(file):
        text = file.read_text(encoding="utf-8-sig")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise UsageError(f"this is no JSON: {error.msg}", where=f"{file}:{error.lineno}") from error
    except UsageError as error:
        raise error.at(str(file)) from None
    except (ValueError, RecursionError) as error:
        what = "this JSON has numbers too long, or lists too deep, to be read"
        raise UsageError(what, where=str(file)) from error


def read_checked(file: Path, shape: type[T]) -> T:
    """Return what a JSON file holds as a `shape`, which pydantic knows how to check.

    Raises:
        UsageError: no JSON, or of another shape; names the place in it.
    """
    content = read_json(file)
    try:
        return TypeAdapter(shape).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        keys = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"])
        place = "".join(keys).removeprefix(".")
        what = first["msg"].partition(" or instance of ")[0].removeprefix("Value error, ")
        if first["type"] != "missing":
            what += f", not {reprlib.repr(first['input'])}"
        raise UsageError(what, where=f"{file}: {place}" if place else str(file)) from None


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise UsageError("this is no UTF-8 text", where=str(file)) from error
    except OSError as error:
        raise UsageError(error.strerror or str(error), where=str(file)) from error


def _cells(reader: Any, file: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield f"{file}:{reader.line_num}", row
    except csv.Error as error:
        raise UsageError(str(error), where=f"{file}:{reader.line_num}") from error


def _check_header(header: Sequence[str], required: Sequence[str], where: str) -> None:
    if not header:
        raise UsageError("the file is empty", where=where, allowed="a row that names the columns")
    for name in header:
        if name and header.count(name) > 1:
            raise UsageError(f"the column {name!r} is there twice", where=where)
    for name in required:
        if column_name(name) not in header:
            raise UsageError(f"the column {name!r} is missing", where=where, allowed=header)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            raise UsageError(f"the key {key!r} is there twice, with different values")
    return found
