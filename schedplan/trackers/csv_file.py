"""Every epoch of a run as a line of a CSV file, which spreadsheets and pandas read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from schedplan.journal import EpochRecord, write_text
from schedplan.trackers.base import Epoch, Track, each_epoch

FILE: Final = "epochs.csv"

_FIRST: Final = ("training", "epoch", "score", "seconds")
_PREFIXES: Final = ("train_", "evaluate_")


@contextmanager
def csv_tracker(folder: Path) -> Iterator[Track]:
    """Keep `epochs.csv` in a run folder.

    The columns are `training`, `epoch`, `score` and `seconds`, then what `evaluate` returned, and
    what `train_epoch` returned with `train_` before its name. What `evaluate` returned under a name
    that might be one of the others' has `evaluate_` before it. The file is written anew, from the
    journal, when a run goes on, and when a trainer reports a metric that it has not before.

    Args:
        folder: the run folder.
    """
    file = folder / FILE
    columns: list[str] = []

    def begin(known: list[Epoch]) -> None:
        write_all([_row(key, record) for key, record in known])

    def write_all(rows: list[dict[str, object]]) -> None:
        nonlocal columns
        columns = list(dict.fromkeys([*_FIRST, *(name for row in rows for name in row)]))
        heading: dict[str, object] = dict(zip(columns, columns, strict=True))
        write_text(file, _lines(columns, [heading, *rows]))

    def write(key: str, record: EpochRecord) -> None:
        row = _row(key, record)
        if row.keys() <= set(columns):
            with file.open("a", encoding="utf-8") as stream:
                stream.write(_lines(columns, [row]))
        else:
            # Not from the journal, which may know of epochs that are told of only later.
            with file.open(encoding="utf-8", newline="") as stream:
                write_all([*csv.DictReader(stream), row])

    yield each_epoch(folder, begin, write)


def _row(key: str, record: EpochRecord) -> dict[str, object]:
    first = dict(zip(_FIRST, (key, record.epoch, record.score, record.seconds), strict=True))
    training = {f"train_{name}": value for name, value in record.training.items()}
    metrics = {
        f"evaluate_{name}" if name in _FIRST or name.startswith(_PREFIXES) else name: value
        for name, value in record.metrics.items()
    }
    return {**metrics, **training, **first}


def _lines(columns: list[str], rows: Iterable[dict[str, object]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()
