"""From annotations to a manifest: split, find and probe the videos."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from schedplan.errors import UsageError

from ..decode import DecodeError, VideoInfo
from ..manifest import Manifest, Video, corrupt
from ..probing import Found, probe_files
from ..processes import Track, untracked
from ..splits import hold_out, quantity
from .annotations import AnnotationError, Annotations, Row
from .locate import locate
from .probe_log import ProbeLog

logger = logging.getLogger("schedplan")


def index_videos(
    annotations: Annotations,
    root: Path,
    log: ProbeLog,
    *,
    validation: int | str | None = None,
    test: int | str | None = None,
    seed: int = 0,
    min_frames: int = 4,
    workers: int = 0,
    track: Track[VideoInfo] = untracked,
) -> Manifest:
    """Make the manifest of a dataset, in which every video has a status.

    Args:
        annotations: what one of the readers returned.
        root: the folder that their paths are relative to.
        log: keeps what was found, and knows what was found earlier.
        validation, test, seed: see `split_rows`.
        min_frames: videos with fewer frames are `short`.
        workers: processes that probe; see `probe_files`.
        track: shows progress.

    Raises:
        UsageError: splits that cannot be made, or files that cannot be told apart.

    Example:
        >>> root = Path("clips")
        >>> index_videos(read_folders(root), root, ProbeLog(Path("m.csv")))  # doctest: +SKIP
    """
    rows = split_rows(annotations.rows, validation, test, seed)
    root = root.absolute()
    places = locate(annotations, root)
    with log:
        found = _probe([root / place for place in places.values()], log, workers, track)
    labels = {name: label for label, name in enumerate(annotations.classes)}
    videos = []
    for row in rows:
        place = places.get(row.path)
        result = None if place is None else found[root / place]
        videos.append(
            Video(
                path=place or row.path,
                label=labels[row.class_name],
                class_name=row.class_name,
                split=str(row.split),
                group=row.group,
                **_facts(result, min_frames),
            )
        )
    return Manifest(root, tuple(videos))


def split_rows(
    rows: Sequence[Row],
    validation: int | str | None = None,
    test: int | str | None = None,
    seed: int = 0,
) -> list[Row]:
    """Give a split to rows that have none, and take those to validate on from the training rows.

    Both are chosen class by class and never part a group; see `hold_out`.

    Args:
        rows: of one dataset.
        validation: how many training videos are set aside to validate on while planning, as a
            number or a share such as "10%"; by default as many as the test set has.
        test: likewise of all videos, where no row has a split; by default "20%".
        seed: decides which.

    Raises:
        UsageError: a size that cannot be had, or one for a split that the rows have already.
    """
    rows = list(rows)
    given = {row.split for row in rows}
    if given == {None}:
        size = quantity("20%" if test is None else test, len(rows), "the size of the test set")
        rows = _set_aside([replace(row, split="train") for row in rows], "test", size, seed)
    elif None in given:
        where = next(row.where for row in rows if row.split is None)
        raise AnnotationError("the row has no split, others have", where=where)
    elif test is not None:
        raise AnnotationError("the annotations have splits: no size can be given for a test set")
    if "val" not in given:
        return _set_aside(rows, "val", _validation_size(rows, validation), seed)
    if validation is not None:
        raise AnnotationError("the annotations have a split 'val': no size can be given for it")
    return rows


def _validation_size(rows: Iterable[Row], validation: int | str | None) -> float:
    splits = [row.split for row in rows]
    if validation is not None:
        return quantity(validation, splits.count("train"), "the size of the validation set")
    if "test" not in splits:
        raise AnnotationError(
            "there is no test set whose size the validation set could have",
            hint="name the annotations of the official validation or test set, or a size",
        )
    tests, training = splits.count("test"), splits.count("train")
    if tests >= training:
        raise AnnotationError(
            f"a validation set as large as the test set, {tests} videos,"
            f" would leave none of the {training} training videos",
            hint="say how large it shall be",
        )
    return tests


def _set_aside(rows: Sequence[Row], split: str, size: float, seed: int) -> list[Row]:
    """Move so many training rows to another split."""
    training = [row for row in rows if row.split == "train"]
    names = {name: label for label, name in enumerate(sorted({row.class_name for row in rows}))}
    try:
        chosen = hold_out(
            [names[row.class_name] for row in training],
            [f"group {row.group}" if row.group else f"video {row.path}" for row in training],
            round(size),
            seed,
        )
    except UsageError as error:
        raise error.at(f"the split {split!r}") from None
    if not any(chosen) and round(size):
        raise AnnotationError(
            f"no video can be set aside as {split!r}, where {round(size)} should be",
            hint="groups stay together and every class keeps one: smaller groups would help",
        )
    if sum(chosen) < round(size):
        logger.warning(
            "%d videos are set aside as %r, not %d: groups stay together, every class keeps one",
            *(sum(chosen), split, round(size)),
        )
    moved = {row.path for row, is_chosen in zip(training, chosen, strict=True) if is_chosen}
    return [replace(row, split=split) if row.path in moved else row for row in rows]


def _probe(
    files: Sequence[Path], log: ProbeLog, workers: int, track: Track[VideoInfo]
) -> Mapping[Path, Found]:
    known = {file: log.get(file) for file in files}
    found = {file: result for file, result in known.items() if result is not None}
    new = [file for file in files if file not in found]
    logger.info("decoding %d videos, %d are known from before", len(new), len(found))
    for file, result in track(probe_files(new, workers), len(new)):
        log.add(file, result)
        found[file] = result
    return found


def _facts(found: Found | None, min_frames: int) -> dict[str, Any]:
    """Return what a manifest says of a video; None is one that is not there."""
    if found is None:
        return {"status": "missing"}
    if isinstance(found, DecodeError):
        return {"status": corrupt(found.what)}
    short = found.frames < min_frames
    return {**found._asdict(), "status": f"short: below {min_frames} frames" if short else "ok"}
