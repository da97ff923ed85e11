"""What the file system says of videos, which are files or folders of images."""

from __future__ import annotations

from pathlib import Path


def is_there(file: Path) -> bool:
    """Return whether a file exists; one whose name is too long, or that may not be seen, does not.

    Example:
        >>> is_there(Path("x" * 5000))
        False
    """
    try:
        return file.exists()
    except OSError:
        return False


def size_and_date(video: Path) -> tuple[int, int]:
    """Return the bytes of a video and when it was last changed, in nanoseconds.

    Of a folder of images, both are over all of them: its own say nothing of what they hold.

    Raises:
        OSError: it is gone, or may not be seen.
    """
    files = list(video.iterdir()) if video.is_dir() else [video]
    stats = [file.stat() for file in files]
    return sum(stat.st_size for stat in stats), max((s.st_mtime_ns for s in stats), default=0)
