"""The order of an epoch: shuffled so that it can be repeated, and shared out to ranks.

It is a function of (seed, epoch), whatever the number of ranks and of workers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from schedplan.checks import require_whole
from schedplan.errors import UsageError


class EpochSampler(Sampler[tuple[int, int]]):
    """One rank's share of the rows of a dataset, each with the epoch: `(epoch, row)`.

    Ranks take turns: in evaluation row by row, in training batch by batch. So rank r of N has every
    N-th batch, from the r-th on, of those that a single rank would have. Ranks that average
    gradients must train equally many batches; what is left when not every rank can have a full one
    is shared out evenly as smaller batches. Only if fewer rows than ranks are left, those are left
    out of the epoch, and others each time.

    Args:
        rows: number of rows.
        shuffle: whether this is training; if not, the rows come in order, and all of them.
        seed: of the shuffling.
        batch_size: rows of a batch; has no part in evaluation.
        rank: which share, from 0.
        world_size: number of shares.

    Raises:
        UsageError: a number out of bounds, or fewer rows to shuffle than ranks.

    Example:
        >>> list(EpochSampler(3, shuffle=False, seed=0, rank=0, world_size=2))
        [(0, 0), (0, 2)]
    """

    def __init__(
        self,
        rows: int,
        *,
        shuffle: bool,
        seed: int,
        batch_size: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        require_whole("batch_size", batch_size, at_least=1, error=UsageError)
        require_whole("world_size", world_size, at_least=1, error=UsageError)
        require_whole("rank", rank, at_least=0, error=UsageError)
        if rank >= world_size:
            raise UsageError(f"rank is {rank}", allowed=f"0 to {world_size - 1}", path=("rank",))
        if shuffle and rows < world_size:
            raise UsageError(
                f"{rows} videos cannot be shared out to {world_size} ranks",
                hint="use fewer ranks",
            )
        self.rows = rows
        self.shuffle = shuffle
        self.seed = seed
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._share(np.arange(self.rows)))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rows = np.arange(self.rows)
        if self.shuffle:
            rows = np.random.default_rng((self.seed, self.epoch)).permutation(rows)
        return iter([(self.epoch, row) for row in self._share(rows).tolist()])

    def _share(self, rows: np.ndarray) -> np.ndarray:
        if not self.shuffle:
            return rows[self.rank :: self.world_size]
        turns = len(rows) // (self.world_size * self.batch_size)
        full, rest = np.split(rows, [turns * self.world_size * self.batch_size])
        dealt = full.reshape(turns, self.world_size, self.batch_size)[:, self.rank].ravel()
        if len(rest) < self.world_size:
            return dealt
        return np.concatenate([dealt, np.array_split(rest, self.world_size)[self.rank]])
