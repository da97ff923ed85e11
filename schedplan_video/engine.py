"""One training epoch: micro-batches, accumulated gradients, clipping, SGD.

Protocol of Qiu et al. 2021: SGD with Nesterov momentum 0.9, weight decay 1e-4,
gradient norm clipped at 40, loss summed over the heads.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice

import torch
from torch import Tensor, nn
from torch.nn import functional

from schedplan.errors import NotFiniteError, UsageError
from schedplan_video.data.loader import Batch
from schedplan_video.data.transforms import normalize

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4
MAX_GRADIENT_NORM = 40.0


def find_device(name: str) -> torch.device:
    """Return the device called `name`: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:N`.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"cannot use the device {name!r}: {reason}",
            allowed="auto, cpu, cuda or cuda:N",
            path=("device",),
        ) from None
    return device


def share_cores(workers: int) -> None:
    """Leave a core to each of `workers` decoding processes, for training on the CPU.

    OpenMP's threads wait by spinning: with more of them than free cores they slow training tenfold.
    """
    if workers:
        free = max((os.cpu_count() or 1) - workers, 1)
        torch.set_num_threads(min(torch.get_num_threads(), free))


def sgd(model: nn.Module, learning_rate: float) -> torch.optim.SGD:
    """Return a fresh optimiser over the parameters of `model` that are not frozen."""
    return torch.optim.SGD(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=learning_rate,
        momentum=MOMENTUM,
        nesterov=True,
        weight_decay=WEIGHT_DECAY,
    )


def train_epoch(
    model: nn.Module,
    loader: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
    *,
    accumulation: int = 1,
) -> dict[str, float]:
    """Train `model` on everything in `loader` once.

    Each optimiser step uses the mean gradient over all samples of `accumulation` micro-batches;
    the last step uses what is left, however many samples those are.

    Returns:
        loss: mean per sample.
        data_seconds: time spent waiting for `loader`.
        compute_seconds: the rest of the epoch.

    Raises:
        NotFiniteError: before the step that would have used the loss.
    """
    model.train()
    since = time.perf_counter()
    batches = _Timed(loader)
    total, samples = 0.0, 0
    for group in _groups(batches, accumulation):
        optimizer.zero_grad()
        loss, count = _accumulate(model, group, device)
        _mean_gradients(model, count)
        optimizer.step()
        total, samples = total + loss, samples + count
    elapsed = time.perf_counter() - since
    return {
        "loss": total / samples,
        "data_seconds": batches.waited,
        "compute_seconds": elapsed - batches.waited,
    }


def forward(
    model: nn.Module, batch: Batch, device: torch.device
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return the float32 logits of each head, (B, num_classes), and the labels, (B,).

    On CUDA the network runs in bfloat16 where that is safe (autocast).
    """
    clips, labels, _ = batch
    clips = normalize(clips.to(device, non_blocking=True))
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = model(clips)
    return tuple(head.float() for head in logits), labels.to(device, non_blocking=True)


def summed_loss(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Return the cross-entropies of all heads, summed over heads and samples."""
    return sum(functional.cross_entropy(head, labels, reduction="sum") for head in logits)


def check_finite(loss: float) -> None:
    """Raise `NotFiniteError` if `loss` is infinite or not a number."""
    if not math.isfinite(loss):
        raise NotFiniteError(f"the loss became {loss}")


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


def _groups(batches: Iterable[Batch], size: int) -> Iterator[Iterator[Batch]]:
    """Yield runs of `size` batches, the last one shorter, without holding a run in memory."""
    iterator = iter(batches)
    for first in iterator:
        yield chain([first], islice(iterator, size - 1))


def _accumulate(
    model: nn.Module, group: Iterable[Batch], device: torch.device
) -> tuple[float, int]:
    """Add the gradients of the group's summed loss; return that loss and the sample count."""
    total, count = torch.zeros((), device=device), 0
    for batch in group:
        logits, labels = forward(model, batch, device)
        loss = summed_loss(logits, labels)
        loss.backward()
        total += loss.detach()
        count += len(labels)
    check_finite(total.item())
    return total.item(), count


def _mean_gradients(model: nn.Module, count: int) -> None:
    """Turn summed gradients into the mean over `count` samples, clipped in norm."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad /= count
    nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
