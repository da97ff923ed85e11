"""The one error of decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schedplan.errors import UsageError


class DecodeError(UsageError):
    """A video that cannot be read, or not as far as the frame asked for.

    It is a usage error, so it ends a search at once instead of failing transition by transition;
    the search can be resumed when the file is mended, or the videos are indexed again.

    Args:
        path: the video file or folder of images.
        frame: index of the frame that could not be had, or None if it is the video as a whole.
        reason: why, as one sentence without a final full stop.
        passing: whether it may be no fault of the file, such as a disk that does not answer, so
            that another try is worth while.

    Example:
        >>> print(DecodeError("hug/7.avi", 31, "the video ends after 30 frames"))
        hug/7.avi: frame 31: the video ends after 30 frames
    """

    def __init__(
        self, path: str | Path, frame: int | None, reason: str, *, passing: bool = False
    ) -> None:
        what = reason if frame is None else f"frame {frame}: {reason}"
        super().__init__(what, where=str(path))
        self.file = Path(path)
        self.frame = frame
        self.reason = reason
        self.passing = passing

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way out of a worker process."""
        return type(self), (self.file, self.frame, self.reason), {"passing": self.passing}


def reason_of(error: BaseException) -> str:
    """Return what an error of FFmpeg or Python says, without file names and numbers."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
