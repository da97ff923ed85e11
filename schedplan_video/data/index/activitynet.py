"""ActivityNet v1.3: one JSON file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..text_files import read_json
from .annotations import AnnotationError, Annotations, Row, collect, find_files

_SPLITS = {"training": "train", "validation": "test"}
_UNUSED = {"testing": "of the official test set, without labels"}


def read_activitynet(paths: Iterable[Path]) -> Annotations:
    """Read `{"database": {ID: {"subset": ..., "annotations": [{"label", "segment"}]}}}`.

    A video's class is the label that covers most of its annotated time, the first of equals. The
    official validation set becomes `test`. Videos are named `v_ID.mp4`. Where the file has a
    taxonomy, its leaves are the classes.

    Args:
        paths: the JSON file, or its folder.

    Raises:
        UsageError: annotations that cannot be used, with the file and the video.
    """
    (file, *others) = find_files(paths, ".json")
    if others:
        raise AnnotationError("there is more than one JSON file", where=str(others[0]))
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("database"), dict):
        raise AnnotationError("the key 'database' is missing", where=str(file))
    rows, left_out = [], []
    for name, entry in content["database"].items():
        where = f"{file}: {name}"
        subset = entry.get("subset") if isinstance(entry, dict) else None
        if subset in _UNUSED:
            left_out.append(_UNUSED[subset])
        elif subset in _SPLITS:
            rows.append(Row(f"v_{name}.mp4", _label(entry, where), _SPLITS[subset], where))
        else:
            raise AnnotationError(
                f"unknown subset {subset!r}", where=where, allowed=(*_SPLITS, *_UNUSED)
            )
    return collect(rows, _leaves(content, file), left_out=left_out)


def _label(entry: Mapping[str, Any], where: str) -> str:
    """Return the label that covers most of the annotated time."""
    seconds: Counter[str] = Counter()
    try:
        for annotation in entry["annotations"]:
            start, end = annotation["segment"]
            seconds[str(annotation["label"]).strip()] += end - start
    except (KeyError, TypeError, ValueError):
        seconds.clear()
    if not seconds:
        raise AnnotationError(
            "there is no annotation", where=where, allowed="objects with a label and a segment"
        )
    return seconds.most_common(1)[0][0]


def _leaves(content: Mapping[str, Any], file: Path) -> list[str] | None:
    try:
        nodes = content.get("taxonomy") or []
        parents = {node["parentName"] for node in nodes}
        return sorted({node["nodeName"] for node in nodes} - parents) or None
    except (KeyError, TypeError):
        raise AnnotationError(
            "the taxonomy cannot be read",
            where=str(file),
            allowed="a list of objects with a nodeName and a parentName",
        ) from None
