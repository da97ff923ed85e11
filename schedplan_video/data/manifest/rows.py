"""Videos, and the datasets that they make up."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from schedplan.errors import UsageError

from ..paths import is_there
from ..splits import SPLITS, quantity

log = logging.getLogger("schedplan")

STATUSES = ("ok", "missing", "corrupt", "short")
"""What indexing found: a video that can be used, or one of the reasons why it cannot."""

MODALITIES = {"rgb": 3, "flow": 2}
"""What the frames show, pictures or optical flow, and how many channels that has."""

_LARGEST = 2**31 - 1  # of what is counted in files of videos


class ManifestError(UsageError):
    """A manifest that cannot be used, or whose videos cannot."""


@dataclass(frozen=True)
class Video:
    """One row of a manifest.

    Attributes:
        path: relative to the manifest's folder, with forward slashes; a file, or a folder of
            numbered JPEGs. Kept as `plain_path` gives it.
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
        ManifestError: a path that is empty or leaves the folder, a name that is not one line of
            text, a number out of bounds, another split or status.
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
        object.__setattr__(self, "path", plain_path(self.path))
        check_text("class name", self.class_name)
        check_text("status", self.status)
        if self.group is not None:
            check_text("group", self.group)
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
            if value is not None and not 1 <= value <= _LARGEST:
                raise ManifestError(f"the {name} {value:g}", allowed=f"1 to {_LARGEST}")
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


# From a root, from a drive or over a parent, with either kind of slash.
_LEAVES = re.compile(r"[/\\]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)", re.DOTALL)


def plain_path(path: str) -> str:
    """Return the one form that a path has: without `.`, doubled slashes and one at the end.

    Links are not looked at: two names of one file are two paths.

    Raises:
        ManifestError: the path is empty, not relative, not one line of text, or has a `..`.

    Example:
        >>> plain_path("./a//b.mp4")
        'a/b.mp4'
    """
    if _LEAVES.match(path):
        raise ManifestError(
            f"the path {path!r} leaves the folder of videos",
            allowed="a path relative to that folder, without '..'",
        )
    plain = PurePosixPath(path).as_posix()
    check_text("path", "" if plain == "." else plain)
    return plain


def check_text(name: str, text: str) -> None:
    """Raise `ManifestError` unless `text` can stand in a manifest, and in one line of a message."""
    if not text:
        raise ManifestError(f"the {name} is empty")
    if text.splitlines() != [text] or "\0" in text or not _is_unicode(text):
        raise ManifestError(
            f"the {name} {text!r} is not one line of UTF-8 text", hint="rename it, and its file"
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that the file system gave for no character
        return False
    return True


def corrupt(reason: str) -> str:
    """Return the status of a video that cannot be decoded.

    Example:
        >>> corrupt("no video stream")
        'corrupt: no video stream'
    """
    return " ".join(f"corrupt: {reason}".encode(errors="backslashreplace").decode().split())


@dataclass(frozen=True)
class Manifest:
    """The videos of a dataset.

    Attributes:
        folder: what the videos' paths are relative to.
        videos: the rows, in the file's order; at least one.
        allow_missing: how many videos of a split may be unusable, as a number or a share such as
            "1%"; by default none.
        file: where it was read, for messages.

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
    file: Path | None = field(default=None, compare=False)

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

    @cached_property
    def digest(self) -> str:
        """SHA-256, as hexadecimal digits, of what there is to learn from which videos: path, label,
        class and split of every row, in order. What probing found is no part of it."""
        rows = [[video.path, video.label, video.class_name, video.split] for video in self.videos]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

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

    def split(self, *names: str) -> tuple[Video, ...]:
        """Return the videos of one or several splits that can be used, in the file's order.

        Raises:
            ManifestError: a split has no video, or more that cannot be used than are allowed.
        """
        for name in names:
            self._check_split(name)
        return tuple(v for v in self.videos if v.split in names and v.problem is None)

    def _check_split(self, name: str) -> None:
        where = str(self.file or self.folder)
        listed, lost = sum(video.split == name for video in self.videos), self.unusable(name)
        if not listed:
            what = f"no video is in the split {name!r}"
            raise ManifestError(what, where=where, allowed=self.splits)
        if not lost:
            return
        what = (
            f"{count_problems(lost)} of {listed} videos of the split {name!r},"
            f" such as {lost[0].path} ({lost[0].status})"
        )
        if len(lost) == listed:
            hint = "mend them and index again"
            raise ManifestError(f"{what}; so none is left", where=where, hint=hint)
        if len(lost) > quantity(self.allow_missing, listed, "allow_missing"):
            raise ManifestError(
                what,
                where=where,
                allowed=f"{self.allow_missing} (allow_missing)",
                hint="mend them and index again, or allow more",
            )

    def unusable(self, name: str) -> tuple[Video, ...]:
        """Return the videos of one split that cannot be used, in the file's order."""
        return tuple(v for v in self.videos if v.split == name and v.problem is not None)

    def check_there(self, videos: Sequence[Video]) -> None:
        """Raise `ManifestError` if not one of `videos` is in its place, as in a wrong folder."""
        if videos and not any(is_there(self.path(video)) for video in videos):
            raise ManifestError(
                f"none of the {len(videos)} videos is there, such as {videos[0].path}",
                where=str(self.file or self.folder),
                hint=f"the paths are relative to {self.folder.absolute()}: name the right folder "
                "with trainer.videos or --videos, or index again",
            )

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
