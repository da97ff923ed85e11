"""Finding the files that annotations name."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path, PurePosixPath

from ..paths import is_there
from .annotations import AnnotationError, Annotations, Row

_SUFFIXES = (
    ".3g2 .3gp .asf .avi .dv .f4v .flv .gif .ivf .m1v .m2ts .m2v .m4v .mjpeg .mjpg .mkv .mov .mp4"
    " .mpe .mpeg .mpg .mts .mxf .nut .ogg .ogv .qt .rm .rmvb .ts .vob .webm .wmv .y4m"
)

VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
"""Of the files that count as videos. Those that the system calls so differ from one to another."""

_NUMBERED_IMAGE = re.compile(r"(?!\.).*\d.*\.(jpe?g|png)", re.IGNORECASE)


def locate(annotations: Annotations, root: Path) -> dict[str, str]:
    """Return where each row's video is, relative to `root`, by the row's path.

    A video that is not where its row says is looked for by its name without extension in all
    folders below the root, so that folders for classes or splits and other containers do no harm.
    One that is not found is left out. Symbolic links are followed: two to one file are one video.

    Raises:
        AnnotationError: no such folder, two files that might be a row's, two rows of one file, or
            no video found at all.
    """
    if not root.is_dir():
        raise AnnotationError("there is no such folder", where=str(root))
    rows = annotations.rows
    places = {row.path: row.path for row in rows if is_there(root / row.path)}
    lost = [row for row in rows if row.path not in places]
    if annotations.movable and lost:
        found = _search(root, {_stem(row) for row in lost}, set(places))
        places |= {row.path: _only(row, found[_stem(row)]) for row in lost if _stem(row) in found}
    if not places:
        raise AnnotationError(
            f"none of the {len(rows)} videos is there, such as {rows[0].path}", where=str(root)
        )
    _check_unique(rows, places, root)
    return places


def walk_videos(root: Path, passed_over: list[str] | None = None) -> Iterator[Path]:
    """Yield what may be a video below `root`: files, and folders that hold numbered images.

    Passed over are names that start with a dot, files whose suffix is none of `VIDEO_SUFFIXES`, and
    folders that a link leads back to. The suffixes of the files are put into `passed_over`.
    """
    seen = set()
    for folder, names, files in os.walk(root, followlinks=True):
        if (place := os.path.realpath(folder)) in seen:
            names.clear()
            continue
        seen.add(place)
        videos = [name for name in files if may_be_video(name)]
        if not videos and Path(folder) != root and any(map(_NUMBERED_IMAGE.fullmatch, files)):
            yield Path(folder)
            names.clear()
        elif passed_over is not None:
            others = (name for name in files if not (_is_hidden(name) or may_be_video(name)))
            passed_over.extend(Path(name).suffix.lower() for name in others)
        yield from (Path(folder, name) for name in videos)
        names[:] = [name for name in names if not _is_hidden(name)]


def may_be_video(name: str) -> bool:
    """Return whether a file of this name counts as a video."""
    return not _is_hidden(name) and Path(name).suffix.lower() in VIDEO_SUFFIXES


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _stem(row: Row) -> str:
    return PurePosixPath(row.path).stem


def _search(root: Path, stems: Set[str], taken: Set[str]) -> dict[str, list[str]]:
    """Return by their stem the videos of these names, but for those that are a row's already."""
    found = defaultdict(list)
    for path in walk_videos(root):
        name = path.name if path.is_dir() else path.stem
        place = path.relative_to(root).as_posix()
        if name in stems and place not in taken:
            found[name].append(place)
    return found


def _only(row: Row, found: list[str]) -> str:
    if len(found) > 1:
        raise AnnotationError(
            f"there is more than one file for {row.path}: {', '.join(sorted(found))}",
            where=row.where,
            hint="name a root that has one of them only",
        )
    return found[0]


def _check_unique(rows: Iterable[Row], places: Mapping[str, str], root: Path) -> None:
    taken: dict[str, Row] = {}
    for row in rows:
        if row.path in places:
            file = os.path.realpath(root / places[row.path])
            if taken.setdefault(file, row) is not row:
                raise AnnotationError(
                    f"{file} is the file of this row and of {taken[file].where}", where=row.where
                )
