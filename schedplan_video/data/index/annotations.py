"""What all annotation formats come down to: rows of videos, and the list of their classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from schedplan.errors import UsageError, did_you_mean

from ..manifest import ManifestError, check_text, plain_path

VideoId = Annotated[str, StringConstraints(pattern=r"^[^/]+$")]
"""What JSON files call a video, whose file is named so."""


class AnnotationError(UsageError):
    """Annotations that cannot be used."""


@dataclass(frozen=True)
class Row:
    """One video, as the annotations list it.

    Attributes:
        path: where it should be, relative to the dataset's folder, with forward slashes.
        class_name: what it shows.
        split: one of `SPLITS`, the official validation or test set being `test`; None where the
            annotations leave that open.
        where: the place in the annotations, such as `FILE:LINE`.
        group: what must not be parted by a split, such as one recording.

    Raises:
        ManifestError: a path, class name or group that no manifest may have; names the place.
    """

    path: str
    class_name: str
    split: str | None
    where: str
    group: str | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "path", plain_path(self.path))
            check_text("class name", self.class_name)
            if self.group is not None:
                check_text("group", self.group)
        except ManifestError as error:
            raise error.at(self.where) from None


@dataclass(frozen=True)
class Annotations:
    """The videos of a dataset; made by `collect`.

    Attributes:
        rows: one for each video.
        classes: their names, by label.
        left_out: how many rows of the annotations were left out, by reason.
        movable: whether a video may lie elsewhere below the root, or have another extension.
    """

    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    movable: bool = True


def collect(
    rows: Iterable[Row],
    classes: Sequence[str] | None = None,
    *,
    left_out: Iterable[str] = (),
    movable: bool = True,
) -> Annotations:
    """Return the rows, each once, with the classes that they have.

    Args:
        rows: may repeat a video if they say the same of it.
        classes: by label; by default those of the rows, sorted by name.
        left_out: the reason for every row that is not among `rows`.
        movable: see `Annotations`.

    Raises:
        AnnotationError: no row, two rows of one video that differ, a class that is not listed, or
            one that is listed and has no row; names the lines.
    """
    found: dict[str, Row] = {}
    for row in rows:
        first = found.setdefault(row.path, row)
        for name in ("class_name", "split", "group"):
            one, other = getattr(first, name), getattr(row, name)
            if one != other:
                raise AnnotationError(
                    f"the {name} of {row.path!r} is {other!r}, but {one!r} at {first.where}",
                    where=row.where,
                )
    if not found:
        raise AnnotationError("the annotations list no video with a class")
    if classes is None:
        classes = sorted({row.class_name for row in found.values()})
    else:
        _check_classes(found.values(), classes)
    return Annotations(tuple(found.values()), tuple(classes), Counter(left_out), movable)


def _check_classes(rows: Iterable[Row], classes: Sequence[str]) -> None:
    listed = set(classes)
    if len(listed) < len(classes):
        twice = [name for name, count in Counter(classes).items() if count > 1]
        raise AnnotationError(f"the class list has {twice[0]!r} twice")
    for row in rows:
        if row.class_name not in listed:
            raise AnnotationError(
                f"unknown class {row.class_name!r}",
                where=row.where,
                allowed=f"the {len(listed)} of the class list",
                hint=did_you_mean(row.class_name, listed),
            )
    empty = sorted(listed - {row.class_name for row in rows})
    if empty:
        raise AnnotationError(
            f"no video is of the classes {', '.join(map(repr, empty))}",
            hint="name the annotations of all splits, or a class list that fits them",
        )


def find_files(paths: Iterable[Path], suffix: str) -> list[Path]:
    """Return the files among `paths` and in the folders among them, if they end in `suffix`.

    Raises:
        AnnotationError: a path that does not exist, or no such file at all.
    """
    paths = list(paths)
    files = []
    for path in paths:
        if not path.exists():
            raise AnnotationError("there is no such file or folder", where=str(path))
        files += sorted(path.glob(f"*{suffix}")) if path.is_dir() else [path]
    if not files:
        raise AnnotationError(
            "there are no annotations", where=", ".join(map(str, paths)), allowed=f"*{suffix} files"
        )
    return files


def pick_file(files: Iterable[Path], *words: str) -> Path:
    """Return the one file whose name has one of the `words`, in any case.

    Raises:
        AnnotationError: there is none, or more than one.
    """
    files = list(files)
    found = [file for file in files if any(word in file.name.lower() for word in words)]
    if len(found) != 1:
        names = ", ".join(file.name for file in found or files)
        raise AnnotationError(
            f"{len(found)} annotation files are named {' or '.join(f'*{w}*' for w in words)}",
            allowed="exactly one",
            hint=f"found: {names}",
        )
    return found[0]
