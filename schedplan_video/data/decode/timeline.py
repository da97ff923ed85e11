"""Presentation times of a video's frames, known from its packets without decoding."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from av.packet import Packet


class Timeline(NamedTuple):
    """When each frame is shown, in the stream's time base.

    Attributes:
        times: int64 of shape (frames,), rising: frame `i` is shown at `times[i]`.
        keys: numbers of the keyframes, rising; the first is 0.
    """

    times: np.ndarray
    keys: np.ndarray

    @classmethod
    def of(cls, packets: Iterable[Packet], is_key: Callable[[Packet], bool]) -> Timeline | None:
        """Read the packets of a stream; None where their times do not tell frames apart.

        Args:
            packets: all of them.
            is_key: whether decoding may start at a packet.
        """
        shown = [(p.pts, is_key(p)) for p in packets if p.size and not p.is_discard]
        if not shown or any(time is None for time, _ in shown):
            return None
        times = np.array(sorted(time for time, _ in shown), dtype=np.int64)
        keys = np.searchsorted(times, sorted(time for time, is_key in shown if is_key))
        if (np.diff(times) == 0).any() or not keys.size or keys[0] != 0:
            return None
        return cls(times, keys)

    def groups(self, frames: np.ndarray) -> Iterator[tuple[int, Mapping[int, int]]]:
        """Part frame numbers by the keyframe from which decoding gets to them.

        Args:
            frames: numbers, rising, without repeats.

        Yields:
            the keyframe's time, and the frame number by the time of each frame.
        """
        keys = self.keys[np.searchsorted(self.keys, frames, side="right") - 1]
        for key in np.unique(keys):
            group = frames[keys == key]
            yield (
                int(self.times[key]),
                dict(zip(self.times[group].tolist(), group.tolist(), strict=True)),
            )


UNKNOWN = Timeline(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
"""Stands for the timeline of a file that has not been looked at."""


class TimelineCache:
    """Timelines of the files read last, as many as go into some memory.

    A file that has changed in size or date is unknown again. Threads may share a cache.

    Args:
        room: in bytes; a frame takes 8.
    """

    def __init__(self, room: int = 1 << 24) -> None:
        self.room = room
        self._kept: OrderedDict[tuple[Path, int, int], Timeline | None] = OrderedDict()
        self._used = 0
        self._lock = Lock()

    def get(self, file: Path) -> Timeline | None:
        """Return the timeline of a file, None if it has none, or `UNKNOWN`."""
        key = _state(file)
        with self._lock:
            if key not in self._kept:
                return UNKNOWN
            self._kept.move_to_end(key)
            return self._kept[key]

    def put(self, file: Path, timeline: Timeline | None) -> None:
        """Keep the timeline of a file, and let go of those that were not used for longest."""
        key = _state(file)
        with self._lock:
            if key in self._kept:  # by another thread
                return
            self._kept[key] = timeline
            self._used += _size(timeline)
            while self._used > self.room:
                self._used -= _size(self._kept.popitem(last=False)[1])


def _state(file: Path) -> tuple[Path, int, int]:
    stat = file.stat()
    return file, stat.st_size, stat.st_mtime_ns


def _size(timeline: Timeline | None) -> int:
    """Return about how many bytes of memory an entry takes."""
    return 512 + (timeline.times.nbytes + timeline.keys.nbytes if timeline else 0)
