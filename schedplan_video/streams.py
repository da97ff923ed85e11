"""Streams: what one network says about videos, stored with their names, and fused with another's.

A file of scores is a NumPy archive (`.npz`, read without pickle) of five arrays:

    version  text           of this format, "1"
    videos   text (N,)      paths as in the manifest; of optical flow, those of the RGB videos
    labels   int64 (N,)     class numbers from 0
    classes  text (C,)      names of the classes by number
    scores   float32 (N, C) softmax scores, averaged over a video's views
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schedplan.errors import UsageError
from schedplan.journal import write_bytes

VERSION = "1"
"""Of the format."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Scores of N named videos for C classes.

    Args:
        videos: (N,), names that a video has in every stream: the path of its RGB version.
        labels: (N,), integers from 0 to below C.
        classes: (C,), names.
        scores: (N, C).

    Raises:
        UsageError: shapes that do not fit together, a video twice, a label out of range, or a score
            that is not finite.

    Example:
        >>> Stream(["a.mp4"], [1], ["hug", "kick"], [[0.2, 0.8]]).scores.shape
        (1, 2)
    """

    videos: np.ndarray
    labels: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        kinds = {"videos": np.str_, "labels": np.int64, "classes": np.str_, "scores": np.float32}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        shape = (*self.videos.shape, *self.classes.shape)
        if len(shape) != 2 or self.scores.shape != shape or self.labels.shape != shape[:1]:
            raise UsageError("the videos, labels, classes and scores do not fit together")
        if len(np.unique(self.videos)) < len(self.videos):
            raise UsageError("a video is there twice")
        if not ((self.labels >= 0) & (self.labels < len(self.classes))).all():
            raise UsageError("a label is out of range", allowed=f"0 to {len(self.classes) - 1}")
        if not np.isfinite(self.scores).all():
            raise UsageError("a score is not finite")

    def save(self, file: Path) -> None:
        """Write the file, whole or not at all."""
        content = io.BytesIO()
        np.savez_compressed(content, version=VERSION, **vars(self))
        write_bytes(file, content.getvalue())

    @classmethod
    def load(cls, file: Path) -> Stream:
        """Read a file that `save` has written.

        Raises:
            UsageError: it cannot be read, or holds anything else.
        """
        try:
            with np.load(file, allow_pickle=False) as data:
                version = str(data["version"])
                arrays = {name: data[name] for name in cls.__dataclass_fields__}
        except FileNotFoundError as error:
            raise UsageError(
                "there is no such file",
                where=str(file),
                hint="`schedplan video evaluate --scores FILE` writes one",
            ) from error
        except Exception as error:  # what holds something else raises all sorts
            raise UsageError(
                "the file holds no scores",
                where=str(file),
                hint="`schedplan video evaluate --scores FILE` writes them",
            ) from error
        if version != VERSION:
            raise UsageError(
                f"the scores have the version {version!r}", where=str(file), allowed=VERSION
            )
        try:
            return cls(**arrays)
        except UsageError as error:
            raise error.at(str(file)) from None


def fuse(first: Stream, second: Stream, weights: tuple[float, float] = (1.0, 1.0)) -> Stream:
    """Return the weighted mean of two streams' scores for the same videos, in the first's order.

    Args:
        first, second: in any order of videos.
        weights: from 0 up; their ratio counts.

    Raises:
        UsageError: weights out of bounds, or streams of other classes, videos or labels.

    Example:
        >>> rgb = Stream(["a", "b"], [0, 1], ["hug", "kick"], [[0.5, 0.5], [0, 1]])
        >>> flow = Stream(["b", "a"], [1, 0], ["hug", "kick"], [[0, 1], [1, 0]])
        >>> fuse(rgb, flow).scores.tolist()
        [[0.75, 0.25], [0.0, 1.0]]
    """
    shares = np.asarray(weights, dtype=np.float64)
    if not (shares >= 0).all() or not 0 < shares.sum() < np.inf:
        raise UsageError(
            f"the weights are {', '.join(map(str, weights))}",
            allowed="numbers from 0 up, one of them above 0",
        )
    _check_classes(first, second)
    _check_videos(first, second)
    places = {video: place for place, video in enumerate(second.videos.tolist())}
    order = [places[video] for video in first.videos.tolist()]
    _check_labels(first, second.labels[order])
    mean = np.average([first.scores, second.scores[order]], axis=0, weights=shares)
    return Stream(first.videos, first.labels, first.classes, mean)


def _check_classes(first: Stream, second: Stream) -> None:
    one, other = first.classes.tolist(), second.classes.tolist()
    if one == other:
        return
    if sorted(one) == sorted(other):
        raise UsageError("the streams number the same classes differently")
    raise UsageError(f"the streams are of other classes: {_differences(one, other)}")


def _check_videos(first: Stream, second: Stream) -> None:
    one, other = first.videos.tolist(), second.videos.tolist()
    if sorted(one) != sorted(other):
        raise UsageError(
            f"the streams are of other videos: {_differences(one, other)}",
            hint="evaluate both on the same split, flow with the manifest that"
            " `schedplan video flow` has made of the other's",
        )


def _check_labels(first: Stream, labels: np.ndarray) -> None:
    wrong = np.flatnonzero(first.labels != labels)
    if len(wrong):
        video, one, other = (
            array[wrong[0]]
            for array in (first.videos, first.classes[first.labels], first.classes[labels])
        )
        raise UsageError(
            f"the streams give other labels to {len(wrong)} videos, such as {video}:"
            f" {str(one)!r} in the first, {str(other)!r} in the second"
        )


def _differences(one: list[str], other: list[str]) -> str:
    """Say what is in one of two lists only."""
    parts = []
    for names, rest, place in ((one, other, "first"), (other, one, "second")):
        known = set(rest)
        only = [name for name in names if name not in known]
        if only:
            parts.append(f"{len(only)} are in the {place} only, such as {only[0]!r}")
    return ", ".join(parts)
