"""ActivityNet v1.3: one JSON file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from ..text_files import read_checked
from .annotations import AnnotationError, Annotations, Row, VideoId, collect, find_files

_SPLITS = {"training": "train", "validation": "test"}
_UNUSED = "of the official test set, without labels"


class _Annotation(BaseModel):
    label: Annotated[str, Field(min_length=1)]
    segment: tuple[Annotated[FiniteFloat, Field(ge=0)], FiniteFloat]

    @model_validator(mode="after")
    def _ends_after_start(self) -> _Annotation:
        if self.seconds < 0:
            raise ValueError("a segment should not end before it starts")
        return self

    @property
    def seconds(self) -> float:
        return self.segment[1] - self.segment[0]


class _Entry(BaseModel):
    subset: Literal["training", "validation", "testing"]
    annotations: list[_Annotation] = []


class _Node(BaseModel):
    name: str = Field(alias="nodeName")
    parent: str | None = Field(alias="parentName")


class _File(BaseModel):
    database: dict[VideoId, _Entry]
    taxonomy: list[_Node] = []


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
    content = read_checked(file, _File)
    rows, left_out = [], []
    for name, entry in content.database.items():
        if entry.subset in _SPLITS:
            where = f"{file}: {name}"
            rows.append(Row(f"v_{name}.mp4", _label(entry, where), _SPLITS[entry.subset], where))
        else:
            left_out.append(_UNUSED)
    return collect(rows, _leaves(content.taxonomy), left_out=left_out)


def _label(entry: _Entry, where: str) -> str:
    """Return the label that covers most of the annotated time."""
    seconds: Counter[str] = Counter()
    for annotation in entry.annotations:
        seconds[annotation.label.strip()] += annotation.seconds
    if not seconds:
        raise AnnotationError("there is no annotation", where=where)
    return seconds.most_common(1)[0][0]


def _leaves(taxonomy: list[_Node]) -> list[str] | None:
    return sorted({node.name for node in taxonomy} - {node.parent for node in taxonomy}) or None
