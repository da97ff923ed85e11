"""`schedplan curves`: how well the families of curves describe recorded trainings."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from schedplan.cli.tables import Format, make_table, print_data
from schedplan.curves import goodness_of_fit
from schedplan.errors import UsageError, did_you_mean
from schedplan.journal import RunFolder
from schedplan.knees import Mode

Curves = list[list[float]]


def curves(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A run folder, or a .npz, .csv, .json, .jsonl file."),
    ],
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="NAME", help="Which scores of a .npz or .json file that names several."
        ),
    ] = None,
    lower: Annotated[
        bool, typer.Option("--lower-is-better", help="The scores of a file are losses.")
    ] = False,
    form: Annotated[
        Format, typer.Option("-f", "--format", help="How to print data on stdout.")
    ] = Format.TABLE,
) -> None:
    """Show how well each family of curves describes trainings: RMSE, adjusted RMSE, R2.

    A .csv file has a column for each training, with an optional line of names; missing scores are
    left blank. A .json file is a list of lists, or such lists by name; a .jsonl file has a list a
    line. A .npz file has arrays of shape (trainings, epochs), or one after the other in one
    dimension, split at the array `offsets`.
    """
    if source.is_dir():
        found, mode = _of_run(RunFolder(source))
    else:
        found, mode = _of_file(source, key), "min" if lower else "max"
    facts = curve_facts(source, found, mode)
    print_data(facts, curve_table(facts), form)


def curve_facts(source: Path, found: Curves, mode: Mode) -> dict[str, Any]:
    """Return the averages of each family, and how many of the curves they are taken over.

    Raises:
        UsageError: none of the curves can be fitted.
    """
    sign = 1.0 if mode == "max" else -1.0
    fits = goodness_of_fit([sign * np.array(each, dtype=np.float64) for each in found])
    used = fits[0].curves
    if not used:
        raise UsageError(
            f"none of the {len(found)} curves can be fitted",
            where=str(source),
            allowed="curves of more than 7 finite scores that are not all equal",
        )
    families = [{name: v for name, v in asdict(each).items() if name != "curves"} for each in fits]
    return {"source": str(source), "curves": len(found), "used": used, "families": families}


def curve_table(facts: Mapping[str, Any]) -> Table:
    """Show `curve_facts`, a row per family."""
    title = f"{facts['source']}: means over {facts['used']} of {facts['curves']} curves"
    rows = [tuple(each.values()) for each in facts["families"]]
    return make_table(title, ["family", "RMSE#", "adjusted RMSE#", "R2#"], rows)


def _of_run(folder: RunFolder) -> tuple[Curves, Mode]:
    """Return the scores of every training of a run, and which of them are better."""
    config = folder.config()
    mode: Mode = "min" if config.get("replay", config).get("mode") == "min" else "max"
    found = []
    for training in folder.trainings():
        outcome = training.outcome()
        scores = outcome.scores if outcome else [record.score for record in training.records()]
        found.append(list(scores))
    return found, mode


def _of_file(path: Path, key: str | None) -> Curves:
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise UsageError(
            f"cannot read curves from a {path.suffix or 'nameless'} file",
            where=str(path),
            allowed=["a run folder", *_READERS],
        )
    try:
        return read(path, key)
    except (ValueError, TypeError, zipfile.BadZipFile, csv.Error) as error:
        raise UsageError(f"the file holds no curves: {error}", where=str(path)) from error


def _of_npz(path: Path, key: str | None) -> Curves:
    with np.load(path, allow_pickle=False) as data:
        names = [name for name in data.files if data[name].dtype.kind == "f"]
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
    if lines and not any(_is_number(cell) for cell in lines[0]):
        lines = lines[1:]
    width = max(map(len, lines), default=0)
    return [
        [float(line[i]) if i < len(line) and line[i].strip() else math.nan for line in lines]
        for i in range(width)
    ]


def _of_json(path: Path, key: str | None) -> Curves:
    data = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(data, dict):
        nested = [name for name, each in data.items() if each and isinstance(each[0], list)]
        data = data[_named(path, nested, key)] if nested else list(data.values())
    return [_scores(each) for each in data]


def _of_lines(path: Path, key: str | None) -> Curves:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_scores(json.loads(line)) for line in lines if line.strip()]


def _scores(row: list[float | None]) -> list[float]:
    return [math.nan if score is None else float(score) for score in row]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _named(path: Path, names: list[str], key: str | None) -> str:
    """Return `key`, or the first of the `names` if none is asked for."""
    if key is None and names:
        return names[0]
    if key not in names:
        raise UsageError(
            f"there are no scores called {key!r}" if key else "there are no scores",
            where=str(path),
            allowed=names,
            hint=did_you_mean(key, names),
        )
    return key


_READERS: Mapping[str, Callable[[Path, str | None], Curves]] = {
    ".npz": _of_npz,
    ".csv": _of_csv,
    ".json": _of_json,
    ".jsonl": _of_lines,
}
