"""What does the loader add to decoding? Run: python tests/benchmarks/loader.py [--augment NAME]

Random 16-frame clips of 256x256 H.264 videos of 300 frames, made first in a temporary folder, to
batches of 8 crops of 224x224. The videos are quick to decode (a keyframe every 8 frames), which is
the hard case for a loader. In turns, so that all meet the same machine: the same clips decoded one
after the other in this process without any loader, and read through loaders with 0, 1 and 2
workers. Told are, as medians over the rounds,

- clips/s, and its ratio to decoding alone, which workers multiply while there are free cores;
- the share of the time for which a consumer that does nothing waits (nearly 1: it has nothing else
  to do), and one that is busy 1.5 times as long as its workers need to decode (ideally 0).

About two minutes on 2 CPU cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from schedplan_video.data.dataset import ClipDataset
from schedplan_video.data.decode import read_frames
from schedplan_video.data.loader import ClipLoader
from schedplan_video.data.manifest import read_manifest
from schedplan_video.data.toy import make_toy
from schedplan_video.data.transforms import AUGMENTS, TrainingTransform

BATCH = 8
WORKERS = (0, 1, 2)
ROUNDS = 7


def decode_alone(dataset: ClipDataset, epoch: int) -> float:
    """Return the seconds that the decoder takes for the clips of an epoch."""
    since = time.perf_counter()
    for row, video in enumerate(dataset.videos):
        rng = np.random.default_rng((dataset.seed, epoch, row))
        (indices,) = dataset.sampler(video.frames, rng=rng)
        view = dataset.transform.view(video.height, video.width, rng)
        read_frames(dataset.path(row), indices, frames=video.frames, view=view)
    return time.perf_counter() - since


def load(loader: ClipLoader, epoch: int, busy: float) -> tuple[float, float]:
    """Return an epoch's seconds, and those spent waiting, if a batch keeps the consumer busy."""
    begin, waited = time.perf_counter(), 0.0
    with loader.epoch(epoch) as batches:
        while True:
            since = time.perf_counter()
            batch = next(batches, None)
            waited += time.perf_counter() - since
            if batch is None:
                return time.perf_counter() - begin, waited
            time.sleep(busy)  # as if a GPU were at work


def median(measure: Callable[[int], list[float]]) -> list[float]:
    """Return the medians of several measurements over the rounds, the first of which warms up."""
    rounds = [measure(epoch) for epoch in range(ROUNDS + 1)]
    return [statistics.median(values) for values in zip(*rounds[1:], strict=True)]


def compare(dataset: ClipDataset) -> None:
    """Print the table."""
    loaders = [ClipLoader(dataset, BATCH, workers=workers) for workers in WORKERS]

    def idle(epoch: int) -> list[float]:
        loads = [load(loader, epoch, busy=0) for loader in loaders]
        shares = [waited / seconds for seconds, waited in loads]
        return [decode_alone(dataset, epoch), *(seconds for seconds, _ in loads), *shares]

    alone, *rest = median(idle)
    batch_seconds = alone * BATCH / len(dataset)

    def busy(epoch: int) -> list[float]:
        pauses = [1.5 * batch_seconds / max(workers, 1) for workers in WORKERS]
        loads = [load(*each) for each in zip(loaders, [epoch] * len(loaders), pauses, strict=True)]
        return [waited / seconds for seconds, waited in loads]

    seconds, shares = rest[: len(loaders)], rest[len(loaders) :]
    print(f"decode alone: {len(dataset) / alone:6.1f} clips/s")
    print("workers  clips/s  ratio  waiting  waiting if busy")
    for row in zip(WORKERS, seconds, shares, median(busy), strict=True):
        workers, each, share, share_if_busy = row
        speed = f"{len(dataset) / each:7.1f}  {alone / each:5.2f}"
        print(f"{workers:7d}  {speed}  {share:7.2f}  {share_if_busy:15.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--augment", choices=AUGMENTS, default="paper")
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--per-class", type=int, default=6, help="videos; there are 8 classes")
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # as in the workers
    with tempfile.TemporaryDirectory() as folder:
        per_class = (chosen.per_class, 0, 0)
        toy = make_toy(Path(folder) / "toy", per_class=per_class, frames=300, size=256)
        compare(
            ClipDataset(
                read_manifest(toy),
                "train",
                sampling="consecutive",
                length=chosen.length,
                transform=TrainingTransform(augment=chosen.augment),
                seed=0,
                train=True,
            )
        )
