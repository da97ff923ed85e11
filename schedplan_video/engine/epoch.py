"""One training epoch: micro-batches, accumulated gradients, on one process or several."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import chain, pairwise

import torch
from torch import nn

from schedplan.trainer import derive_seed
from schedplan_video.data.loader import Batch
from schedplan_video.engine.objective import Objective
from schedplan_video.engine.updates import Updates
from schedplan_video.metrics import check_finite
from schedplan_video.parallel import unsynced
from schedplan_video.ranks import ALONE, Ranks


def train_epoch(
    model: nn.Module,
    loader: Iterable[Batch],
    objective: Objective,
    updates: Updates,
    *,
    accumulation: int = 1,
    ranks: Ranks = ALONE,
    seed: int = 0,
) -> dict[str, float]:
    """Train `model` on everything in `loader` once.

    Each optimiser step uses the mean gradient over all samples of `accumulation` micro-batches of
    every rank; the last step uses what is left, however many samples those are. What is random in
    a micro-batch depends on `seed` and on its number among those of all ranks.

    Args:
        model: made by `parallel.distribute` if there are several ranks.
        loader: this rank's micro-batches, equally many on every rank, dealt in turn.
        objective: what is minimised.
        updates: of the parameters of `model`.
        accumulation: micro-batches per step and rank.
        ranks: who trains.
        seed: of dropout and mixing; torch's own generators are left as they were.

    Returns:
        loss: mean per sample, over all ranks.
        data_seconds: time that this rank has spent waiting for `loader`.
        compute_seconds: the rest of the epoch.

    Raises:
        NotFiniteError: on every rank, before the step that would have used the loss.
    """
    model.train()
    since = time.perf_counter()
    batches = _Timed(loader)
    loss = torch.zeros((), device=objective.device)
    samples, losses, trained = 0, 0.0, 0.0
    with torch.random.fork_rng(_generators(objective.device)):
        for number, (batch, last) in enumerate(_steps(batches, accumulation)):
            torch.manual_seed(derive_seed(seed, number * ranks.size + ranks.rank))
            with nullcontext() if last else unsynced(model):
                summed = objective(model, batch)
                updates.backward(summed)
            loss += summed.detach()
            samples += len(batch[1])
            if last:
                total, count = ranks.sum(loss.item(), samples)
                check_finite(total)
                updates.step(ranks.size / count)
                losses, trained = losses + total, trained + count
                loss.zero_()
                samples = 0
    elapsed = time.perf_counter() - since
    return {
        "loss": losses / trained,
        "data_seconds": batches.waited,
        "compute_seconds": elapsed - batches.waited,
    }


class _Timed:
    """Batches, and the seconds that were spent waiting for them."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self.waited = 0.0

    def __iter__(self) -> Iterator[Batch]:
        since = time.perf_counter()
        for batch in self._batches:
            self.waited += time.perf_counter() - since
            yield batch
            since = time.perf_counter()
        self.waited += time.perf_counter() - since


def _steps(batches: Iterable[Batch], accumulation: int) -> Iterator[tuple[Batch, bool]]:
    """Yield each batch with whether it is the last one of a step."""
    for number, (batch, following) in enumerate(pairwise(chain(batches, [None])), start=1):
        assert batch is not None
        yield batch, number % accumulation == 0 or following is None


def _generators(device: torch.device) -> range:
    """Return the GPUs whose generators are seeded besides that of the CPU."""
    return range(torch.cuda.device_count() if device.type == "cuda" else 0)
