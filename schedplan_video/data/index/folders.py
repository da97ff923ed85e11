"""Folders of classes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..text_files import read_table
from .annotations import AnnotationError, Annotations, Row, collect
from .locate import may_be_video, walk_videos

log = logging.getLogger("schedplan")


def read_folders(root: Path, groups: Path | None = None) -> Annotations:
    """List the videos below `root`, where every folder is a class; it may have folders of its own.

    What is not passed over is said at `walk_videos`. The split is left open.

    Args:
        root: the folder of class folders.
        groups: a file that says which videos belong together, see `read_groups`.

    Raises:
        UsageError: no class, a class without videos, videos without a group.
    """
    if not root.is_dir():
        raise AnnotationError("there is no such folder", where=str(root))
    passed_over: list[str] = []
    rows = list(_rows(root, passed_over))
    if not rows:
        raise AnnotationError("there is no folder of videos", where=str(root))
    if groups is not None:
        rows = _grouped(root, rows, groups)
    deep = sum(1 for row in rows if row.path.count("/") > 1)
    if deep:
        log.info("videos deeper than CLASS/FILE: %d; their class is the uppermost folder", deep)
    outside = (path for path in root.iterdir() if path.is_file() and may_be_video(path.name))
    left_out = [f"files {suffix or 'without a suffix'}, no videos" for suffix in passed_over]
    left_out += ["videos outside the folders of classes" for _ in outside]
    return collect(rows, left_out=left_out, movable=False)


def read_groups(file: Path) -> dict[Path, str]:
    """Read which group each video belongs to, such as one recording.

    Args:
        file: a CSV file, or a tab-separated one if its name ends in `.tsv`, with a header row and
            at least the columns `path`, relative to the file's folder, and `group`. Rows without a
            group are left out.

    Returns:
        group by absolute path.

    Raises:
        UsageError: the file cannot be read, lacks a column, or gives a video two groups.
    """
    delimiter = "\t" if file.suffix == ".tsv" else ","
    groups: dict[Path, str] = {}
    for where, cells in read_table(file, ("path", "group"), delimiter):
        if cells["path"] and cells["group"]:
            path = (file.parent / cells["path"]).resolve()
            group = groups.setdefault(path, cells["group"])
            if group != cells["group"]:
                raise AnnotationError(
                    f"{cells['path']} is in the group {cells['group']!r}, and in {group!r} above",
                    where=where,
                )
    return groups


def _rows(root: Path, passed_over: list[str]) -> Iterator[Row]:
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if folder.name.startswith("."):
            continue
        found = sorted(walk_videos(folder, passed_over))
        if not found:
            raise AnnotationError("the class has no video", where=str(folder))
        for path in found:
            yield Row(path.relative_to(root).as_posix(), folder.name, None, str(path))


def _grouped(root: Path, rows: list[Row], file: Path) -> list[Row]:
    groups = read_groups(file)
    known = [groups.get((root / row.path).resolve()) for row in rows]
    lost = [row.path for row, group in zip(rows, known, strict=True) if group is None]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise AnnotationError(
            f"videos without a group: {', '.join(lost[:5])}{more}",
            where=str(file),
            hint=f"its paths are relative to its own folder, {file.absolute().parent}",
        )
    return [replace(row, group=group) for row, group in zip(rows, known, strict=True)]
