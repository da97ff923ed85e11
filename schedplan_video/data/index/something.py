"""Something-Something: CSV files and folders of frames (V1), JSON files and WebM videos (V2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..text_files import read_checked, read_lines
from .annotations import AnnotationError, Annotations, Row, VideoId, collect, find_files, pick_file

_SPLITS = {"train": "train", "validation": "test"}
_UNLABELLED = "of the official test set, without labels"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    id: VideoId
    template: str


def read_ssv1(paths: Iterable[Path]) -> Annotations:
    """Read `*train*.csv` and `*validation*.csv`, lines `ID;LABEL`, and `*labels*.csv`.

    The class list has one class a line, in the order of the labels. Videos are folders of JPEGs
    named by their id. The official validation set becomes `test`, the test set is left out.

    Args:
        paths: the folder of these files, or the files.

    Raises:
        UsageError: annotations that cannot be used, with file and line.
    """
    files = find_files(paths, ".csv")
    classes = [_unquoted(line) for _, line in read_lines(pick_file(files, "labels"))]
    rows = []
    for word, split in _SPLITS.items():
        for where, line in read_lines(pick_file(files, word)):
            name, _, label = line.partition(";")
            if not name or not label or "/" in name:
                raise AnnotationError(f"{line!r} is no video", where=where, allowed="ID;LABEL")
            rows.append(Row(_unquoted(name), _unquoted(label), split, where))
    unused = [line for file in files if "test" in file.name.lower() for line in read_lines(file)]
    return collect(rows, classes, left_out=[_UNLABELLED] * len(unused))


def read_ssv2(paths: Iterable[Path]) -> Annotations:
    """Read `*train*.json`, `*validation*.json`, and `*labels*.json`, from template to label.

    A video's class is its template without brackets, `Holding [something]` being `Holding
    something`. Videos are named `ID.webm`. The official validation set becomes `test`, the test set
    is left out.

    Args:
        paths: the folder of these files, or the files.

    Raises:
        UsageError: annotations that cannot be used, with the file and the entry.
    """
    files = find_files(paths, ".json")
    classes = _read_classes(pick_file(files, "labels"))
    rows = []
    for word, split in _SPLITS.items():
        file = pick_file(files, word)
        for number, entry in enumerate(read_checked(file, list[_Entry])):
            where = f"{file}: [{number}]"
            rows.append(Row(f"{entry.id}.webm", _class_name(entry.template), split, where))
    tests = [file for file in files if "test" in file.name.lower()]
    unused = [entry for file in tests for entry in read_checked(file, list[Any])]
    return collect(rows, classes, left_out=[_UNLABELLED] * len(unused))


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].replace('""', '"') if re.fullmatch(r'".*"', text) else text


def _read_classes(file: Path) -> list[str]:
    labels = read_checked(file, dict[str, int])
    names = {label: _class_name(template) for template, label in labels.items()}
    if not names or sorted(names) != list(range(len(labels))):
        raise AnnotationError(
            "the class list cannot be read",
            where=str(file),
            allowed='an object such as {"Holding something": "0"}, labels from 0 without a gap',
        )
    return [names[label] for label in sorted(names)]


def _class_name(template: str) -> str:
    return re.sub(r"[\[\]]", "", template).strip()
