"""Something-Something: CSV files and folders of frames (V1), JSON files and WebM videos (V2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..text_files import read_json, read_lines
from .annotations import AnnotationError, Annotations, Row, collect, find_files, pick_file

_SPLITS = {"train": "train", "validation": "test"}
_UNLABELLED = "of the official test set, without labels"


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
            if not name or not label:
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
        for where, entry in _entries(pick_file(files, word)):
            try:
                name, template = str(entry["id"]), str(entry["template"])
            except (KeyError, TypeError):
                raise AnnotationError(
                    "the entry cannot be read", where=where, allowed="an id and a template"
                ) from None
            rows.append(Row(f"{name}.webm", _class_name(template), split, where))
    unused = [entry for file in files if "test" in file.name.lower() for entry in _entries(file)]
    return collect(rows, classes, left_out=[_UNLABELLED] * len(unused))


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].replace('""', '"') if re.fullmatch(r'".*"', text) else text


def _read_classes(file: Path) -> list[str]:
    content = read_json(file)
    try:
        names = {int(label): _class_name(template) for template, label in content.items()}
    except (AttributeError, ValueError, TypeError):
        names = {}
    if not names or sorted(names) != list(range(len(content))):
        raise AnnotationError(
            "the class list cannot be read",
            where=str(file),
            allowed='an object such as {"Holding something": "0"}, labels from 0 without a gap',
        )
    return [names[label] for label in sorted(names)]


def _entries(file: Path) -> Iterator[tuple[str, Any]]:
    content = read_json(file)
    if not isinstance(content, list):
        raise AnnotationError("this is no list of videos", where=str(file))
    for number, entry in enumerate(content, start=1):
        yield f"{file}: entry {number}", entry


def _class_name(template: str) -> str:
    return re.sub(r"[\[\]]", "", template).strip()
