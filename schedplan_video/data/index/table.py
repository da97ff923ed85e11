"""Any other dataset, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from schedplan.errors import did_you_mean

from ..splits import SPLITS
from ..text_files import column_name, number_of, read_table
from .annotations import AnnotationError, Annotations, Row, collect, find_files

COLUMNS = ("path", "class", "label", "split", "group")


def read_csv(paths: Iterable[Path], columns: Mapping[str, str] | None = None) -> Annotations:
    """Read CSV files with the columns `path`, `class` or `label` or both, `split` and `group`.

    Labels are numbers from 0; with names beside them they say in which order the classes are, and
    where there are no names they name themselves. Splits are taken as they are, `train`, `val` or
    `test`; without that column they are left open. Further columns are passed over; the case of
    names does not matter, nor do spaces around them.

    Args:
        paths: the CSV files, or their folder.
        columns: what a column is called in the files if it has another name, as in `{"class":
            "action"}`.

    Raises:
        UsageError: annotations that cannot be used, with file and line.
    """
    names = {name: name for name in COLUMNS}
    for name, header in (columns or {}).items():
        if name not in names:
            hint = did_you_mean(name, COLUMNS)
            raise AnnotationError(f"there is no column {name!r}", allowed=COLUMNS, hint=hint)
        names[name] = column_name(header)
    rows, labels = [], _Labels()
    needed = ("path", *(columns or {}))
    for where, cells in _cells(find_files(paths, ".csv"), names, needed):
        row = _row(cells, where)
        if cells["label"]:
            labels.add(cells["label"], row)
        rows.append(row)
    return collect(rows, labels.classes(rows), movable=False)


def _cells(
    files: Iterable[Path], names: Mapping[str, str], needed: Iterable[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    required = [names[name] for name in needed]
    for file in files:
        for where, cells in read_table(file, required):
            yield where, {name: cells.get(names[name], "").strip() for name in COLUMNS}


def _row(cells: Mapping[str, str], where: str) -> Row:
    split, class_name = cells["split"] or None, cells["class"] or cells["label"]
    if not class_name:
        raise AnnotationError(
            "the row has no class", where=where, hint="say which column has it, if it has a name"
        )
    if split not in (None, *SPLITS):
        raise AnnotationError(f"unknown split {split!r}", where=where, allowed=SPLITS)
    return Row(cells["path"], class_name, split, where, cells["group"] or None)


class _Labels:
    """The class of every label, if rows have labels."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}

    def add(self, label: str, row: Row) -> None:
        """Note a row's label; it must be a number, and always that of one class."""
        number = number_of(label)
        if number is None:
            raise AnnotationError(
                f"the label {label!r} is no number from 0 up",
                where=row.where,
                hint="a column of names is the column 'class'",
            )
        first = self._rows.setdefault(number, row)
        if first.class_name != row.class_name:
            raise AnnotationError(
                f"label {label} is {row.class_name!r}, but {first.class_name!r} at {first.where}",
                where=row.where,
            )

    def classes(self, rows: Iterable[Row]) -> list[str] | None:
        """Return the names by label, or None if no row has a label."""
        if not self._rows:
            return None
        labels = sorted(self._rows)
        if labels != list(range(len(labels))):
            gap = next(label for label in range(len(labels)) if label not in self._rows)
            raise AnnotationError(
                f"the labels are {labels[0]} to {labels[-1]}, but none is {gap}",
                where=self._rows[labels[-1]].where,
                allowed="labels from 0 without a gap",
            )
        return [self._rows[label].class_name for label in labels]
