"""Manifest files: CSV, with a header row and, in any order, the columns of `Video` and `version`.

`path`, `label` and `split` are required; `version` holds the number of this format in every row.
Paths are relative to the manifest's folder. What spreadsheets and data frames make of such a file
is accepted too.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from schedplan.errors import did_you_mean
from schedplan.journal import write_text

from ..paths import is_there
from ..text_files import read_table
from .rows import Manifest, ManifestError, Video

VERSION = "1"
"""Of the format; a column rather than a comment, so that it survives a spreadsheet."""

_REQUIRED = ("path", "label", "split")

COLUMNS = (*(column.name for column in fields(Video)), "version")

_N = TypeVar("_N", int, float)


def write_manifest(manifest: Manifest, file: str | Path) -> None:
    """Write all columns of `manifest` to the CSV `file`, whole or not at all.

    In a folder above the videos, their paths are rewritten to be relative to it. Anywhere else they
    stay relative to `manifest.folder`, which `read_manifest` must then be told.
    """
    file, folder = Path(file), _plain(manifest.folder)
    above = folder.relative_to(_plain(file.parent)).as_posix() if lies_above(file, folder) else "."
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for video in manifest.videos:
        path = video.path if above == "." else f"{above}/{video.path}"
        writer.writerow((path, *(getattr(video, name) for name in COLUMNS[1:-1]), VERSION))
    write_text(file, text.getvalue())


def check_output(file: str | Path) -> None:
    """Raise `ManifestError` unless a manifest may be written to `file`: over nothing else than one
    that `write_manifest` has written."""
    file = Path(file)
    if not file.exists():
        return
    with file.open("rb") as stream:
        if stream.readline().strip() == ",".join(COLUMNS).encode():
            return
    raise ManifestError("there is another file", where=str(file), hint="remove it, or name another")


def lies_above(file: Path, folder: Path) -> bool:
    """Return whether the manifest `file` lies in `folder` or above it."""
    return _plain(folder).is_relative_to(_plain(file).parent)


def _plain(path: Path) -> Path:
    """Return the absolute path without `..`; links stay as they are."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - pathlib has no such thing


def read_manifest(
    file: str | Path, videos: str | Path | None = None, allow_missing: int | str = 0
) -> Manifest:
    """Read the manifest CSV `file`.

    Args:
        file: the manifest.
        videos: the folder that its paths are relative to; by default the one that it lies in.
        allow_missing: how many videos of a split may be unusable, see `Manifest`.

    Raises:
        ManifestError: there is no such file, or a row is wrong; names the file and the line.
        UsageError: the file cannot be read as a table, likewise.
    """
    file = Path(file)
    if not is_there(file):
        raise ManifestError(
            f"there is no manifest {file}",
            hint="`schedplan video index` makes one",
            path=("manifest",),
        )
    places, rows = [], []
    for where, cells in read_table(file, _REQUIRED):
        _check_version(cells, where)
        if not rows:
            _check_columns(cells, f"{file}:1")
        places.append(where)
        rows.append(_video(cells, where))
    try:
        folder = Path(videos) if videos else file.parent
        return Manifest(folder, tuple(rows), allow_missing, file)
    except ManifestError as error:
        raise error.at(places[int(error.path[0])] if error.path else str(file)) from None


def _check_version(cells: dict[str, str], where: str) -> None:
    version = cells.get("version") or VERSION
    if version not in (VERSION, f"{VERSION}.0"):  # the latter is what data frames make of it
        raise ManifestError(
            f"the manifest's format has version {version!r}",
            where=where,
            allowed=VERSION,
            hint="update schedplan, or index the videos again",
        )


def _check_columns(names: Iterable[str], where: str) -> None:
    for name in names:
        if name and name not in COLUMNS:  # the index of a data frame has no name
            hint = did_you_mean(name, COLUMNS)
            raise ManifestError(f"unknown column {name!r}", where=where, allowed=COLUMNS, hint=hint)


def _video(cells: dict[str, str], where: str) -> Video:
    try:
        label = _number(cells, "label", int)
        return Video(
            path=cells["path"],
            label=label,
            class_name=cells.get("class_name") or str(label),
            split=cells["split"],
            group=cells.get("group") or None,
            frames=_optional(cells, "frames", int),
            fps=_optional(cells, "fps", float),
            width=_optional(cells, "width", int),
            height=_optional(cells, "height", int),
            duration=_optional(cells, "duration", float),
            rotation=_optional(cells, "rotation", int),
            modality=cells.get("modality") or "rgb",
            status=cells.get("status") or "ok",
        )
    except ManifestError as error:
        raise error.at(where) from None


def _optional(cells: dict[str, str], column: str, kind: type[_N]) -> _N | None:
    return _number(cells, column, kind) if cells.get(column) else None


def _number(cells: dict[str, str], column: str, kind: type[_N]) -> _N:
    try:
        number = float(cells[column])
        if kind is int and not number.is_integer():  # 16.0 is what data frames make of 16
            raise ValueError
        return kind(number)
    except ValueError:
        name = "an integer" if kind is int else "a number"
        raise ManifestError(f"the {column} {cells[column]!r} is not {name}") from None
