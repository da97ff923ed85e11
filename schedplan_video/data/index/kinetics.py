"""Kinetics-400 and Kinetics-600: the official CSV files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from ..text_files import read_table
from .annotations import AnnotationError, Annotations, Row, collect, find_files

_COLUMNS = ("youtube_id", "time_start", "time_end", "split")

_SPLITS = {"train": "train", "val": "test", "validate": "test", "validation": "test"}
_DIGITS = 6  # of the seconds in a file's name

_UNUSED = {"test": "of the official test set", "holdout_test": "of the official test set"}


def read_kinetics(paths: Iterable[Path]) -> Annotations:
    """Read `label,youtube_id,time_start,time_end,split` files, with `is_cc` or without.

    The official validation set, which the field reports on, becomes `test`; the official test set,
    whose labels were withheld, is left out. Videos are named by their id and times, as in
    `-3B32lodo2M_000059_000069.mp4`; what is cut from one YouTube video is a group.

    Args:
        paths: the CSV files, or their folder.

    Raises:
        UsageError: annotations that cannot be used, with file and line.
    """
    rows, left_out = [], []
    for file in find_files(paths, ".csv"):
        for where, cells in read_table(file, _COLUMNS):
            split = cells["split"].strip()
            if split in _UNUSED:
                left_out.append(_UNUSED[split])
            else:
                rows.append(_row(cells, split, where))
    return collect(rows, left_out=left_out)


def _row(cells: dict[str, str], split: str, where: str) -> Row:
    if split not in _SPLITS:
        raise AnnotationError(f"unknown split {split!r}", where=where, allowed=(*_SPLITS, *_UNUSED))
    name, label = cells["youtube_id"].strip(), cells.get("label", "").strip()
    if not name or not label:
        raise AnnotationError("the row lacks its youtube_id or label", where=where)
    if "/" in name:
        raise AnnotationError(f"{name!r} is no youtube_id", where=where)
    start, end = (_seconds(cells[column], where) for column in ("time_start", "time_end"))
    return Row(
        f"{name}_{start:0{_DIGITS}}_{end:0{_DIGITS}}.mp4", label, _SPLITS[split], where, group=name
    )


def _seconds(text: str, where: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 10**_DIGITS:
        raise AnnotationError(
            f"the time {text!r} is no number of seconds",
            where=where,
            allowed=f"0 to {'9' * _DIGITS}",
        )
    return int(seconds)
