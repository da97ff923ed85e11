"""Presentation times of a video's frames, known from its packets without decoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    def of(cls, packets: Iterable[Packet]) -> Timeline | None:
        """Read the packets of a stream; None where their times do not tell frames apart."""
        shown = [(p.pts, p.is_keyframe) for p in packets if p.size and not p.is_discard]
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
