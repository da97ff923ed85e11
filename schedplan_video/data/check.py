"""Checking that the videos are still what their manifest says."""

from __future__ import annotations

from dataclasses import dataclass

from .decode import VideoInfo
from .manifest import Manifest, Video, corrupt
from .paths import is_there
from .probing import Found, probe_files
from .processes import Track, untracked

_COMPARED = ("frames", "width", "height", "rotation")


@dataclass(frozen=True)
class Difference:
    """Something that a manifest says of a video, and that is not so.

    Attributes:
        path: of the video, as in the manifest.
        what: the column.
        listed: its value.
        found: what it should be.
    """

    path: str
    what: str
    listed: str | int
    found: str | int


def check_videos(
    manifest: Manifest, *, workers: int = 0, track: Track[VideoInfo] = untracked
) -> list[Difference]:
    """Decode every video of a manifest and compare; columns without a value are passed over.

    A video that is listed as one that cannot be used is not asked why it cannot, only whether it
    decodes by now; nothing is lost if the reason is another one.

    Args:
        manifest: the videos.
        workers: processes that decode; see `probe_files`.
        track: shows progress.

    Returns:
        the differences, in the manifest's order.

    Raises:
        ManifestError: none of the videos is in its place.

    Example:
        >>> check_videos(read_manifest("toy/manifest.csv"), workers=2)  # doctest: +SKIP
        []
    """
    manifest.check_there([video for video in manifest.videos if video.problem is None])
    files = {video.path: manifest.path(video) for video in manifest.videos}
    there = [file for file in files.values() if is_there(file)]
    found = dict(track(probe_files(there, workers), len(there)))
    return [
        difference
        for video in manifest.videos
        for difference in _differences(video, found.get(files[video.path]))
    ]


def _differences(video: Video, found: Found | None) -> list[Difference]:
    if isinstance(found, VideoInfo):
        if video.problem in ("missing", "corrupt"):
            return [Difference(video.path, "status", video.status, "decodes")]
        facts = found._asdict()
        return [
            Difference(video.path, name, getattr(video, name), facts[name])
            for name in _COMPARED
            if getattr(video, name) not in (None, facts[name])
        ]
    if video.problem:
        return []
    now = "missing" if found is None else corrupt(found.what)
    return [Difference(video.path, "status", video.status, now)]
