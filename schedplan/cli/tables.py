"""Printing data as a table for people, or as JSON or YAML for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from typing import Any

from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from schedplan.yaml_file import dump_yaml


class Format(StrEnum):
    """How data is printed on stdout."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@contextmanager
def only_data_on_stdout() -> Iterator[None]:
    """Send to stderr what a trainer prints, and what the programs print that it starts."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def print_data(data: Mapping[str, Any], table: RenderableType, form: Format) -> None:
    """Print `table`, or the `data` behind it as JSON or YAML."""
    if form is Format.JSON:
        sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")
    elif form is Format.YAML:
        sys.stdout.write(dump_yaml(json.loads(json.dumps(data, default=str))))
    else:
        # Piped tables are not cut to a terminal's width.
        Console(width=None if sys.stdout.isatty() else 200).print(table)


def make_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Return a table; columns whose name ends in `#` hold numbers, aligned to the right."""
    table = Table(title=Text(title), title_justify="left")
    for column in columns:
        justify: JustifyMethod = "right" if column.endswith("#") else "left"
        table.add_column(Text(column.rstrip("#")), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    return table


def pairs_table(title: str, pairs: Mapping[str, object]) -> Table:
    """Return a table of names and values without a header."""
    table = Table(title=Text(title), title_justify="left", show_header=False)
    for name, value in pairs.items():
        table.add_row(Text(name), Text(_cell(value)))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value)) or "-"
    return str(value)
