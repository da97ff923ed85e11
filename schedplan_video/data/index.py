"""Indexing: from folders of video files to a manifest."""

from __future__ import annotations

import csv
import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import Path

from .decode import DecodeError, VideoInfo, probe
from .manifest import Manifest, ManifestError, Video
from .splits import assign_splits


def read_groups(file: str | Path) -> dict[Path, str]:
    """Read which group each video belongs to, such as one recording.

    Args:
        file: a CSV file, or a tab-separated one if its name ends in `.tsv`, with a header row and
            at least the columns `path`, relative to the file's folder, and `group`. Rows without a
            group are left out.

    Returns:
        group by absolute path, as `index_folders` takes it.

    Raises:
        ManifestError: the file cannot be read or lacks a column.
    """
    file = Path(file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t" if file.suffix == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"cannot be read: {error}", where=str(file)) from error
    for name in ("path", "group"):
        if not rows or name not in rows[0]:
            raise ManifestError(f"there is no column {name!r}, or no row", where=f"{file}:1")
    folder = file.absolute().parent
    return {folder / row["path"]: row["group"] for row in rows if row["path"] and row["group"]}


def index_folders(
    root: str | Path,
    groups: Mapping[Path, str] | None = None,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> Manifest:
    """Make a manifest of the videos below `root`, where every folder is a class.

    Classes are the folder names in order, labels count from 0. Every file is decoded once; those
    whose name starts with a dot or says another kind, such as `.txt`, are passed over. See
    `assign_splits` for how the videos are split.

    Args:
        root: folder of class folders; a class folder may have folders of its own.
        groups: group of every video, by absolute path or by path below `root`; no group falls on
            both sides of a split.
        fractions: share of train, val and test; they sum to 1.
        seed: decides the split, together with the files' names.

    Raises:
        ManifestError: no class, a class without videos, files that do not decode (all of them are
            named), videos without a group, fractions that are not shares.

    Example:
        >>> index_folders("clips", read_groups("recordings.tsv"))  # doctest: +SKIP
    """
    root = Path(root).absolute()
    files = _class_files(root)
    names = _group_names(root, files, groups)
    infos = _probe_all(files)
    labels = [sorted(set(files.values())).index(name) for name in files.values()]
    splits = assign_splits(labels, names, fractions, seed)
    videos = (
        Video(
            path=file.relative_to(root).as_posix(),
            label=label,
            class_name=files[file],
            split=split,
            group=groups and name,
            **infos[file]._asdict(),
        )
        for file, label, split, name in zip(files, labels, splits, names, strict=True)
    )
    return Manifest(root, tuple(videos))


def _class_files(root: Path) -> dict[Path, str]:
    """Return the class of every file, in order."""
    if not root.is_dir():
        raise ManifestError("there is no such folder", where=str(root))
    files = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if folder.name.startswith("."):
            continue
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        found = [path for path in found if _may_be_video(path)]
        if not found:
            raise ManifestError("the class has no video", where=str(folder))
        files.update(dict.fromkeys(found, folder.name))
    if not files:
        raise ManifestError("there is no folder of videos", where=str(root))
    return files


def _may_be_video(path: Path) -> bool:
    """Return whether a file's name leaves it open that it is a video: no notes, no subtitles."""
    kind, _ = mimetypes.guess_type(path.name)
    return not path.name.startswith(".") and (
        kind is None or kind.startswith("video/") or kind == "image/gif"
    )


def _group_names(root: Path, files: Iterable[Path], groups: Mapping[Path, str] | None) -> list[str]:
    """Return the group of every file; its own path where there are no groups."""
    if groups is None:
        return [str(file) for file in files]
    known = {(root / path).resolve(): group for path, group in groups.items()}
    lost = [str(file) for file in files if file.resolve() not in known]
    if lost:
        raise ManifestError(f"videos without a group: {', '.join(lost)}", where=str(root))
    return [known[file.resolve()] for file in files]


def _probe_all(files: Iterable[Path]) -> dict[Path, VideoInfo]:
    infos, broken = {}, []
    for file in files:
        try:
            infos[file] = probe(file)
        except DecodeError as error:
            broken.append(str(error))
    if broken:
        more = [f"and {len(broken) - 10} more"] if len(broken) > 10 else []
        raise ManifestError(
            "\n  ".join([f"cannot decode all files ({len(broken)}):", *broken[:10], *more]),
            hint="repair or remove them",
        )
    return infos
