"""Manifests: which videos there are, their labels and splits, as a CSV file beside them.

The file has a header row and, in any order, the columns of `Video` and `version`, which holds the
number of this format in every row; `path`, `label` and `split` are required. Paths are relative to
the manifest's folder. What spreadsheets and data frames make of such a file is accepted too.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from schedplan.errors import UsageError, did_you_mean
from schedplan.journal import write_text

from .splits import SPLITS, quantity
from .text_files import read_table

log = logging.getLogger("schedplan")

VERSION = "1"
"""Of the format; a column rather than a comment, so that it survives a spreadsheet."""

STATUSES = ("ok", "missing", "corrupt", "short")
"""What indexing found: a video that can be used, or one of the reasons why it cannot."""

MODALITIES = {"rgb": 3, "flow": 2}
"""What the frames show, pictures or optical flow, and how many channels that has."""

_REQUIRED = ("path", "label", "split")

_N = TypeVar("_N", int, float)


class ManifestError(UsageError):
    """A manifest that cannot be used, or whose videos cannot."""


@dataclass(frozen=True)
class Video:
    """One row of a manifest.

    Attributes:
        path: relative to the manifest's folder, with forward slashes; a file, or a folder of
            numbered JPEGs.
        label: class number, from 0.
        class_name: name of the class; the label as text where there is none.
        split: one of `SPLITS`.
        group: what must not be parted by a split, such as one recording.
        frames: number of frames that decode.
        fps: frames per second.
        width: in pixels.
        height: in pixels.
        duration: in seconds.
        rotation: that turns the stored frames upright, in degrees.
        modality: `rgb`, or `flow` for videos that `data.flow` has made.
        status: one of `STATUSES`; a reason may follow, as in `corrupt: no video stream`.

    Raises:
        ManifestError: a path that is empty or leaves the folder, a number out of bounds, another
            split or status.
    """

    path: str
    label: int
    class_name: str
    split: str
    group: str | None = None
    frames: int | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    rotation: int | None = None
    modality: str = "rgb"
    status: str = "ok"

    def __post_init__(self) -> None:
        check_path(self.path)
        if self.label < 0:
            raise ManifestError(f"the label {self.label} is negative", allowed="0, 1, 2, ...")
        if self.split not in SPLITS:
            raise ManifestError(f"unknown split {self.split!r}", allowed=SPLITS)
        if self.modality not in MODALITIES:
            raise ManifestError(f"unknown modality {self.modality!r}", allowed=MODALITIES)
        if self.problem not in (None, *STATUSES[1:]):
            raise ManifestError(f"unknown status {self.status!r}", allowed=STATUSES)
        for name in ("frames", "width", "height"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ManifestError(f"the {name} {value} is below 1")
        for name in ("fps", "duration"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ManifestError(f"the {name} {value} is no positive number")
        if self.rotation is not None and not -360 < self.rotation < 360:
            raise ManifestError(f"the rotation {self.rotation} is a full turn or more")

    @property
    def problem(self) -> str | None:
        """Why the video cannot be used, one of `STATUSES` after `ok`; None if it can."""
        kind = self.status.partition(":")[0]
        return None if kind == "ok" else kind


COLUMNS = (*(column.name for column in fields(Video)), "version")


# From a root, from a drive or over a parent, with either kind of slash.
_LEAVES = re.compile(r"[/\\]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)", re.DOTALL)


def check_path(path: str) -> None:
    """Raise `ManifestError` unless `path` is a relative one that stays below its folder."""
    if not path:
        raise ManifestError("the path is empty")
    if _LEAVES.match(path):
        raise ManifestError(
            f"the path {path!r} leaves the folder of videos",
            allowed="a path relative to that folder, without '..'",
        )
    if not path.isascii() and not _is_text(path):
        raise ManifestError(f"the path {path!r} is no UTF-8 text", hint="rename the file")


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that the file system gave for no character
        return False
    return True


@dataclass(frozen=True)
class Manifest:
    """The videos of a dataset.

    Attributes:
        folder: what the videos' paths are relative to.
        videos: the rows, in the file's order; at least one.
        allow_missing: how many videos of a split may be unusable, as a number or a share such as
            "1%"; by default none.

    Raises:
        ManifestError: no video, a path twice, two modalities, two names for one label or two labels
            for one name, labels with a gap. Its `path` attribute holds the number of the offending
            row, from 0.
        UsageError: `allow_missing` is neither a number nor a share.

    Example:
        >>> rows = (Video("a.mp4", 0, "hug", "train"), Video("b.mp4", 1, "kick", "val"))
        >>> Manifest(Path("clips"), rows).classes
        ('hug', 'kick')
    """

    folder: Path
    videos: tuple[Video, ...]
    allow_missing: int | str = 0

    def __post_init__(self) -> None:
        quantity(self.allow_missing, len(self.videos), "allow_missing")
        if not self.videos:
            raise ManifestError("there is no video")
        names: dict[int, str] = {}
        labels: dict[str, int] = {}
        paths: set[str] = set()
        for row, video in enumerate(self.videos):
            if video.path in paths:
                raise ManifestError(f"the path {video.path!r} is listed twice", path=(row,))
            paths.add(video.path)
            if video.modality != self.modality:
                raise ManifestError(
                    f"the modality {video.modality!r} among videos of {self.modality!r}",
                    path=(row,),
                )
            name = names.setdefault(video.label, video.class_name)
            if name != video.class_name:
                raise ManifestError(
                    f"label {video.label} has two names, {name!r} and {video.class_name!r}",
                    path=(row,),
                )
            label = labels.setdefault(name, video.label)
            if label != video.label:
                raise ManifestError(
                    f"the class {name!r} has two labels, {label} and {video.label}", path=(row,)
                )
        self._check_gap(set(names))

    def _check_gap(self, labels: set[int]) -> None:
        gap = next(label for label in range(len(labels) + 1) if label not in labels)
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
    def modality(self) -> str:
        """What all of the videos show, one of `MODALITIES`."""
        return self.videos[0].modality

    @property
    def channels(self) -> int:
        """Channels of a frame."""
        return MODALITIES[self.modality]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have videos."""
        return tuple(name for name in SPLITS if any(v.split == name for v in self.videos))

    def split(self, name: str) -> tuple[Video, ...]:
        """Return the videos of one split that can be used, in the file's order.

        Raises:
            ManifestError: the split has no video, or more that cannot be used than are allowed.
        """
        listed = [video for video in self.videos if video.split == name]
        if not listed:
            raise ManifestError(
                f"no video is in the split {name!r}", where=str(self.folder), allowed=self.splits
            )
        usable = tuple(video for video in listed if video.problem is None)
        allowed = quantity(self.allow_missing, len(listed), "allow_missing")
        if len(listed) - len(usable) > allowed or not usable:
            lost = self.unusable(name)
            raise ManifestError(
                f"{count_problems(lost)} of {len(listed)} videos of the split {name!r},"
                f" such as {lost[0].path} ({lost[0].status})",
                where=str(self.folder),
                allowed=f"{self.allow_missing} (allow_missing)",
                hint="mend them and index again, or allow more",
            )
        return usable

    def unusable(self, name: str) -> tuple[Video, ...]:
        """Return the videos of one split that cannot be used, in the file's order."""
        return tuple(v for v in self.videos if v.split == name and v.problem is not None)

    def path(self, video: Video) -> Path:
        """Return the absolute path of `video`'s file."""
        return self.folder.absolute() / video.path


def count_problems(videos: Iterable[Video]) -> str:
    """Say how many videos cannot be used, by reason.

    Example:
        >>> lost = Video("a.mp4", 0, "hug", "train", status="corrupt: no video stream")
        >>> count_problems([lost, lost])
        '2 corrupt'
    """
    counts = Counter(video.problem for video in videos)
    return ", ".join(f"{counts[kind]} {kind}" for kind in STATUSES if counts[kind])


def log_skipped(manifest: Manifest, split: str) -> None:
    """Say what `Manifest.split` leaves out, if anything."""
    if skipped := manifest.unusable(split):
        log.warning("skipped in the split %r: %s", split, count_problems(skipped))


def write_manifest(manifest: Manifest, file: str | Path) -> None:
    """Write all columns of `manifest` to the CSV `file`, whole or not at all.

    In a folder above the videos, their paths are rewritten to be relative to it. Anywhere else they
    stay relative to `manifest.folder`, which `read_manifest` must then be told.
    """
    file, folder = Path(file).absolute(), manifest.folder.absolute()
    above = folder.relative_to(file.parent).as_posix() if lies_above(file, folder) else "."
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for video in manifest.videos:
        path = video.path if above == "." else f"{above}/{video.path}"
        writer.writerow((path, *(getattr(video, name) for name in COLUMNS[1:-1]), VERSION))
    write_text(file, text.getvalue())


def lies_above(file: Path, folder: Path) -> bool:
    """Return whether the manifest `file` lies in `folder` or above it."""
    return folder.absolute().is_relative_to(file.absolute().parent)


def read_manifest(
    file: str | Path, videos: str | Path | None = None, allow_missing: int | str = 0
) -> Manifest:
    """Read the manifest CSV `file`.

    Args:
        file: the manifest.
        videos: the folder that its paths are relative to; by default the one that it lies in.
        allow_missing: how many videos of a split may be unusable, see `Manifest`.

    Raises:
        ManifestError: a row is wrong; names the file and the line.
        UsageError: the file cannot be read as a table, likewise.
    """
    file = Path(file)
    places, rows = [], []
    for where, cells in read_table(file, _REQUIRED):
        _check_version(cells, where)
        if not rows:
            _check_columns(cells, f"{file}:1")
        places.append(where)
        rows.append(_video(cells, where))
    try:
        return Manifest(Path(videos) if videos else file.parent, tuple(rows), allow_missing)
    except ManifestError as error:
        raise error.at(places[int(error.path[0])] if error.path else str(file)) from None


def _check_version(cells: dict[str, str], where: str) -> None:
    version = cells.get("version") or VERSION
    if version != VERSION:
        raise ManifestError(
            f"the manifest's format has version {version!r}",
            where=where,
            allowed=VERSION,
            hint="update schedplan, or index the videos again",
        )


def _check_columns(names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in COLUMNS:
            hint = did_you_mean(name, COLUMNS)
            raise ManifestError(f"unknown column {name!r}", where=where, allowed=COLUMNS, hint=hint)


def _video(cells: dict[str, str], where: str) -> Video:
    try:
        label = _number(cells, "label", int)
        return Video(
            path=cells["path"],
            label=label,
            class_name=cells.get("class_name") or str(label),
            split=cells["split"],
            group=cells.get("group") or None,
            frames=_optional(cells, "frames", int),
            fps=_optional(cells, "fps", float),
            width=_optional(cells, "width", int),
            height=_optional(cells, "height", int),
            duration=_optional(cells, "duration", float),
            rotation=_optional(cells, "rotation", int),
            modality=cells.get("modality") or "rgb",
            status=cells.get("status") or "ok",
        )
    except ManifestError as error:
        raise error.at(where) from None


def _optional(cells: dict[str, str], column: str, kind: type[_N]) -> _N | None:
    return _number(cells, column, kind) if cells.get(column) else None


def _number(cells: dict[str, str], column: str, kind: type[_N]) -> _N:
    try:
        number = float(cells[column])
        if kind is int and not number.is_integer():  # 16.0 is what data frames make of 16
            raise ValueError
        return kind(number)
    except ValueError:
        name = "an integer" if kind is int else "a number"
        raise ManifestError(f"the {column} {cells[column]!r} is not {name}") from None
