"""What probing has found, kept beside the manifest."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import av

from schedplan.errors import UsageError

from ..decode import DecodeError, VideoInfo
from ..paths import size_and_date
from ..probing import Found


class ProbeLog:
    """An append-only file of probing results, so that no file is decoded again without need.

    Indexing goes on with it where it was cut off; and other splits, or some files that were mended,
    need no more than what has changed. The logs of other manifests in the folder are read too.

    A result counts as long as the file has the size and time of change that it had, and none counts
    for another version of schedplan, PyAV or FFmpeg, which begins the log anew. A line that was cut
    off is passed over. Used in a `with` statement.

    Args:
        manifest: the log is a hidden file beside it.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, manifest: Path) -> None:
        self.file = manifest.with_name(f".{manifest.name}.probed")
        self._found: dict[str, tuple[list[int], Found]] = {}

    def __enter__(self) -> ProbeLog:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.file.open("a+", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise self._not_written(error) from error
        self._stream.seek(0)
        line, header = self._stream.readline(), f"{json.dumps(_versions())}\n"
        if line != header:
            self._stream.seek(0)
            self._stream.truncate()
            self._stream.write(line := header)
        self._recall_others(header)
        for line in self._stream:
            self._recall(line)
        if not line.endswith("\n"):
            self._stream.write("\n")
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):  # of what `add` could not write, which has been said
            self._stream.close()

    def get(self, file: Path) -> Found | None:
        """Return what was found earlier in `file`, or None if it was not probed as it is now."""
        state, found = self._found.get(str(file), (None, None))
        return found if found is not None and state == _state(file) else None

    def add(self, file: Path, found: Found) -> None:
        """Keep what was found in `file`, unless another try may find something else."""
        if isinstance(found, DecodeError) and found.passing:
            return
        said = found.what if isinstance(found, DecodeError) else found._asdict()
        try:
            self._stream.write(json.dumps([str(file), _state(file), said]) + "\n")
            self._stream.flush()
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> UsageError:
        return UsageError(error.strerror or str(error), where=str(self.file))

    def _recall_others(self, header: str) -> None:
        """Recall what was found for other manifests in this folder."""
        for file in sorted(self.file.parent.glob(".*.probed")):
            with suppress(OSError), file.open(encoding="utf-8", errors="replace") as stream:
                if file != self.file and stream.readline() == header:
                    for line in stream:
                        self._recall(line)

    def _recall(self, line: str) -> None:
        try:
            name, state, said = json.loads(line)
            error = isinstance(said, str)
            found = DecodeError(name, None, said) if error else VideoInfo(**said)
            self._found[name] = (state, found)
        except (ValueError, TypeError):  # cut off
            pass


def _versions() -> dict[str, object]:
    """Return the versions of what says what a file holds."""
    return {"schedplan": version("schedplan"), "av": av.__version__, **av.library_versions}


def _state(file: Path) -> list[int]:
    """Return the size and the time of the last change of a video; nothing if it is gone."""
    try:
        return [*size_and_date(file)]
    except OSError:
        return []
