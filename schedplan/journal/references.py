"""Which snapshots of a run are still needed."""

from __future__ import annotations

from collections import Counter
from typing import Literal, TypeAlias

from schedplan.journal.run import RunFolder

KeepSnapshots: TypeAlias = Literal["best", "all"]


class SnapshotReferences:
    """Counts who still needs a snapshot, and removes those that nobody does.

    Args:
        run: the run folder.
        keep: `all` removes nothing.
    """

    def __init__(self, run: RunFolder, keep: KeepSnapshots) -> None:
        self._run, self._keep = run, keep
        self._count: Counter[str] = Counter()

    def acquire(self, snapshot: str | None) -> None:
        """Note that somebody needs `snapshot`, a path relative to the run folder."""
        if snapshot is not None:
            self._count[snapshot] += 1

    def release(self, snapshot: str | None) -> None:
        """Note that one who needed `snapshot` does no longer."""
        if snapshot is None:
            return
        self._count[snapshot] -= 1
        if self._count[snapshot] == 0:
            del self._count[snapshot]
            if self._keep == "best":
                self._run.remove(snapshot)
