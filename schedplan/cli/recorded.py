"""Reading recorded trainings from files of several forms."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from schedplan.errors import UsageError, did_you_mean

Curves: TypeAlias = list[list[float]]
"""The scores after epoch 0, 1, ... of each training; NaN where one is missing."""


class _Form(NamedTuple):
    """A form of files: how it is read, what it has to hold, whether it may name several."""

    read: Callable[[Path, str | None], Curves]
    holds: str
    named: bool


def read_curves(path: Path, key: str | None = None) -> Curves:
    """Read the trainings recorded in a file, whose form its ending tells.

    Args:
        path: the file.
        key: which scores to take, if it names several; by default the first.

    Raises:
        UsageError: if there is no such file, or it holds anything else.
    """
    form = _FORMS.get(path.suffix.lower())
    if not path.exists():
        raise UsageError("there is no such file or folder", where=str(path))
    if form is None:
        raise UsageError(
            f"cannot read curves from a {path.suffix or 'nameless'} file",
            where=str(path),
            allowed=["a run folder", *_FORMS],
        )
    if key is not None and not form.named:
        raise UsageError(f"--key {key} is for .npz and .json files", where=str(path))
    try:
        return form.read(path, key)
    except (UsageError, OSError):
        raise
    except Exception as error:  # readers of files that hold something else raise all sorts
        raise UsageError("the file holds no curves", where=str(path), allowed=form.holds) from error


def _of_npz(path: Path, key: str | None) -> Curves:
    with np.load(path, allow_pickle=False) as data:
        names = [n for n in data.files if n != "offsets" and data[n].dtype.kind in "fiu"]
        stored = np.asarray(data[_named(path, names, key)], dtype=np.float64)
        if "offsets" in data.files:
            spans = pairwise(data["offsets"].tolist())
            return [stored[start:end].tolist() for start, end in spans]
    if stored.ndim not in (1, 2):
        raise ValueError(f"the array has the shape {stored.shape}")
    rows: Curves = np.atleast_2d(stored).tolist()
    return rows


def _of_csv(path: Path, key: str | None) -> Curves:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        lines = [line for line in csv.reader(stream) if line]
    if not any(_is_number(cell) for cell in lines[0]):
        del lines[0]
    return [
        [float(line[i]) if i < len(line) and line[i].strip() else math.nan for line in lines]
        for i in range(max(map(len, lines)))
    ]


def _of_json(path: Path, key: str | None) -> Curves:
    data = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(data, dict):
        nested = [name for name, each in data.items() if each and isinstance(each[0], list)]
        data = data[_named(path, nested, key)] if nested else list(data.values())
    return [_scores(each) for each in data]


def _of_lines(path: Path, key: str | None) -> Curves:
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    if isinstance(rows[0], dict):
        return [_scores([row["score"] for row in rows])]
    return [_scores(row) for row in rows]


def _scores(row: Any) -> list[float]:
    if not isinstance(row, list):
        raise TypeError(f"{row!r:.20} is no list")
    return [math.nan if score is None else float(score) for score in row]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _named(path: Path, names: list[str], key: str | None) -> str:
    """Return `key`, or the first of the `names` if none is asked for."""
    if not names:
        raise ValueError("there are no scores")
    if key is None:
        return names[0]
    if key not in names:
        raise UsageError(
            f"there are no scores called {key!r}",
            where=str(path),
            allowed=names,
            hint=did_you_mean(key, names),
        )
    return key


_FORMS: Mapping[str, _Form] = {
    ".npz": _Form(
        _of_npz,
        "an array of numbers of shape (trainings, epochs), or of one dimension and split at the "
        "array `offsets`",
        named=True,
    ),
    ".csv": _Form(
        _of_csv, "a column of numbers for each training, below a line of names or none", named=False
    ),
    ".json": _Form(
        _of_json,
        "[[0.1, 0.2], ...] or {NAME: [0.1, 0.2], ...}, a list for each training",
        named=True,
    ),
    ".jsonl": _Form(
        _of_lines, "a list of numbers in each line, or a `score` in each line", named=False
    ),
}
