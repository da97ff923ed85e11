"""Manifests: which videos there are, their labels and splits, as a CSV file beside them.

The file has a header row and the columns of `Video` in any order; `path`, `label` and `split` are
required. Paths are relative to the manifest's folder. Windows line ends, a byte order mark and a
missing final newline are accepted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from schedplan.errors import UsageError, did_you_mean
from schedplan.journal import write_text

from .splits import SPLITS

_REQUIRED = ("path", "label", "split")

_N = TypeVar("_N", int, float)


class ManifestError(UsageError):
    """A manifest, or a folder of videos, that cannot be used."""


@dataclass(frozen=True)
class Video:
    """One row of a manifest.

    Attributes:
        path: relative to the manifest's folder, with forward slashes.
        label: class number, from 0.
        class_name: name of the class; the label as text where there is none.
        split: one of `SPLITS`.
        frames: number of frames that decode.
        fps: frames per second.
        width: in pixels.
        height: in pixels.
        group: what must not be parted by a split, such as one recording.

    Raises:
        ManifestError: a path that is empty or leaves the folder, a negative label, another split.
    """

    path: str
    label: int
    class_name: str
    split: str
    frames: int | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if not self.path:
            raise ManifestError("the path is empty")
        if _leaves_folder(self.path):
            raise ManifestError(
                f"the path {self.path!r} leaves the manifest's folder",
                allowed="a path relative to the manifest's folder, without '..'",
            )
        if self.label < 0:
            raise ManifestError(f"the label {self.label} is negative", allowed="0, 1, 2, ...")
        if self.split not in SPLITS:
            raise ManifestError(f"unknown split {self.split!r}", allowed=SPLITS)
        for name in ("frames", "width", "height"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ManifestError(f"the {name} {value} is below 1")


COLUMNS = tuple(column.name for column in fields(Video))


def _leaves_folder(path: str) -> bool:
    windows = PureWindowsPath(path)  # splits at both kinds of slash and knows drives
    return ".." in windows.parts or bool(windows.anchor) or PurePosixPath(path).is_absolute()


@dataclass(frozen=True)
class Manifest:
    """The videos of a dataset.

    Attributes:
        folder: what the videos' paths are relative to.
        videos: the rows, in the file's order; at least one.

    Raises:
        ManifestError: no video, a path twice, two names for one label, labels with a gap. Its
            `path` attribute holds the offending row's number, from 0.

    Example:
        >>> rows = (Video("a.mp4", 0, "hug", "train"), Video("b.mp4", 1, "kick", "val"))
        >>> Manifest(Path("clips"), rows).classes
        ('hug', 'kick')
    """

    folder: Path
    videos: tuple[Video, ...]

    def __post_init__(self) -> None:
        if not self.videos:
            raise ManifestError("there is no video")
        names: dict[int, str] = {}
        paths: set[str] = set()
        for row, video in enumerate(self.videos):
            if video.path in paths:
                raise ManifestError(f"the path {video.path!r} is listed twice", path=(row,))
            paths.add(video.path)
            name = names.setdefault(video.label, video.class_name)
            if name != video.class_name:
                raise ManifestError(
                    f"label {video.label} has two names, {name!r} and {video.class_name!r}",
                    path=(row,),
                )
        gap = next(label for label in range(len(names) + 1) if label not in names)
        for row, video in enumerate(self.videos):
            if video.label > gap:
                raise ManifestError(
                    f"there is a label {video.label} but no label {gap}",
                    allowed="labels from 0 without a gap",
                    path=(row,),
                )

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        names = {video.label: video.class_name for video in self.videos}
        return tuple(names[label] for label in sorted(names))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have videos."""
        return tuple(name for name in SPLITS if any(v.split == name for v in self.videos))

    def split(self, name: str) -> tuple[Video, ...]:
        """Return the videos of one split, in the file's order.

        Raises:
            ManifestError: the split has no video.
        """
        videos = tuple(video for video in self.videos if video.split == name)
        if not videos:
            raise ManifestError(
                f"no video is in the split {name!r}", where=str(self.folder), allowed=self.splits
            )
        return videos

    def path(self, video: Video) -> Path:
        """Return the absolute path of `video`'s file."""
        return self.folder.absolute() / video.path


def write_manifest(manifest: Manifest, file: str | Path) -> None:
    """Write all columns of `manifest` to the CSV `file`, whole or not at all.

    In a folder above the videos, their paths are rewritten to be relative to it. Anywhere else they
    stay relative to `manifest.folder`, which `read_manifest` must then be told.
    """
    file = Path(file).absolute()
    base = file.parent if lies_above(file, manifest.folder) else manifest.folder.absolute()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for video in manifest.videos:
        path = manifest.path(video).relative_to(base).as_posix()
        writer.writerow((path, *astuple(video)[1:]))
    write_text(file, text.getvalue())


def lies_above(file: Path, folder: Path) -> bool:
    """Return whether the manifest `file` lies in `folder` or above it."""
    return folder.absolute().is_relative_to(file.absolute().parent)


def read_manifest(file: str | Path, videos: str | Path | None = None) -> Manifest:
    """Read the manifest CSV `file`.

    Args:
        file: the manifest.
        videos: the folder that its paths are relative to; by default the one that it lies in.

    Raises:
        ManifestError: the file cannot be read, or a row is wrong; names the file and the line.
    """
    file = Path(file)
    lines, rows = [], []
    for line, cells in _rows(file):
        lines.append(line)
        rows.append(_video(cells, f"{file}:{line}"))
    try:
        return Manifest(Path(videos) if videos else file.parent, tuple(rows))
    except ManifestError as error:
        raise error.at(f"{file}:{lines[error.path[0]]}" if error.path else str(file)) from None


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number and the cells by column of every row that is not blank."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            _check_header(header, f"{file}:1")
            for row in filter(None, reader):
                if len(row) != len(header):
                    raise ManifestError(
                        f"the row has {len(row)} columns, the header {len(header)}",
                        where=f"{file}:{reader.line_num}",
                    )
                yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise ManifestError(str(error), where=f"{file}:{reader.line_num}") from error
    except UnicodeDecodeError as error:
        raise ManifestError("this is no UTF-8 text", where=str(file)) from error
    except OSError as error:
        raise ManifestError(error.strerror or str(error), where=str(file)) from error


def _check_header(header: list[str], where: str) -> None:
    if not header:
        raise ManifestError("the manifest is empty", where=where, allowed=COLUMNS)
    for name in header:
        if name not in COLUMNS:
            hint = did_you_mean(name, COLUMNS)
            raise ManifestError(f"unknown column {name!r}", where=where, allowed=COLUMNS, hint=hint)
        if header.count(name) > 1:
            raise ManifestError(f"the column {name!r} is there twice", where=where)
    for name in _REQUIRED:
        if name not in header:
            raise ManifestError(f"the column {name!r} is missing", where=where, allowed=COLUMNS)


def _video(cells: dict[str, str], where: str) -> Video:
    try:
        label = _number(cells, "label", int)
        return Video(
            path=cells["path"],
            label=label,
            class_name=cells.get("class_name") or str(label),
            split=cells["split"],
            frames=_optional(cells, "frames", int),
            fps=_optional(cells, "fps", float),
            width=_optional(cells, "width", int),
            height=_optional(cells, "height", int),
            group=cells.get("group") or None,
        )
    except ManifestError as error:
        raise error.at(where) from None


def _optional(cells: dict[str, str], column: str, kind: type[_N]) -> _N | None:
    return _number(cells, column, kind) if cells.get(column) else None


def _number(cells: dict[str, str], column: str, kind: type[_N]) -> _N:
    try:
        return kind(cells[column])
    except ValueError:
        name = "an integer" if kind is int else "a number"
        raise ManifestError(f"the {column} {cells[column]!r} is not {name}") from None
