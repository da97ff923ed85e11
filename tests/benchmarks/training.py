"""Training steps of DG-P3D-50 beside plain ones. Run: python tests/benchmarks/training.py

The plain step is that of `plain_dg_p3d.py`: nn.Conv3d as the paper has it, float32, contiguous,
eager. The others are the engine's, from uint8 clips in memory to the optimiser's step. All take
turns. Told are medians over the rounds: seconds of processor time for a step on a CPU, of time on a
GPU; how many times faster than the plain step that is; on a GPU also peak memory, and the
arithmetic done as a share of what a large matrix product in bfloat16 reaches there.

    python tests/benchmarks/training.py                   # on the CPU: 2 clips of 16 x 112 x 112
    python tests/benchmarks/training.py --device cuda     # clips of 16 and of 64 x 224 x 224
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from plain_dg_p3d import PlainDGP3D, plain_step

from schedplan_video import engine
from schedplan_video.config import StageSettings
from schedplan_video.data.transforms import normalize
from schedplan_video.models.checkpointing import checkpoint_blocks
from schedplan_video.models.counting import multiply_adds
from schedplan_video.models.registry import build

CLASSES = 400
SIZES = {"cpu": [(2, 16, 112)], "cuda": [(16, 16, 224), (4, 64, 224)]}
"""Clips of a step, their frames and their side."""

Step = Callable[[], object]


def plain(device: torch.device, clips: torch.Tensor, labels: torch.Tensor) -> Step:
    """Return a step of the baseline."""
    model = PlainDGP3D(CLASSES).to(device).train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    clips, labels = clips.to(device), labels.to(device)
    return lambda: plain_step(model, optimizer, normalize(clips).contiguous(), labels)


def ours(
    device: torch.device,
    clips: torch.Tensor,
    labels: torch.Tensor,
    *,
    precision: str,
    compiled: bool = False,
    checkpointing: bool = False,
) -> Step:
    """Return a step of the engine."""
    model = build("dg_p3d_resnet50", CLASSES).to(device, memory_format=engine.memory_format(device))
    if checkpointing:
        checkpoint_blocks(model)
    if compiled:
        model.compile()
    settings = StageSettings(
        sampling="uniform", clip_length=clips.shape[1], learning_rate=0.01, batch_size=len(clips)
    )
    dtype = engine.find_precision(precision, device)
    objective = engine.Objective(device, dtype)
    updates = engine.Updates(model, settings, dtype)
    batch = clips.to(device), labels.to(device), torch.arange(len(clips))
    return lambda: engine.train_epoch(model, [batch], objective, updates)


VARIANTS = {
    "cpu": {
        "plain": plain,
        "float32": partial(ours, precision="float32"),
        "bfloat16": partial(ours, precision="bfloat16"),
    },
    "cuda": {
        "plain": plain,
        "bfloat16": partial(ours, precision="bfloat16"),
        "bfloat16, compiled": partial(ours, precision="bfloat16", compiled=True),
        "bfloat16, checkpointing": partial(ours, precision="bfloat16", checkpointing=True),
    },
}


def measure(step: Step, device: torch.device) -> tuple[float, float]:
    """Return the seconds that a step takes and, on a GPU, the GiB at its peak."""
    if device.type == "cpu":
        start = time.process_time()
        step()
        return time.process_time() - start, 0.0
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - start, torch.cuda.max_memory_allocated() / 2**30


def product_speed(device: torch.device, size: int = 8192) -> float:
    """Return the multiply-adds a second of a matrix product in bfloat16."""
    left, right = torch.randn(2, size, size, device=device, dtype=torch.bfloat16)
    seconds = [measure(lambda: left @ right, device)[0] for _ in range(20)]
    return size**3 / statistics.median(seconds[5:])


def compare(device: torch.device, size: tuple[int, int, int], rounds: int) -> None:
    """Print what every variant takes for clips of one size."""
    batch, frames, side = size
    rng = torch.Generator().manual_seed(0)
    clips = torch.randint(256, (batch, frames, side, side, 3), dtype=torch.uint8, generator=rng)
    clips, labels = clips.permute(0, 1, 4, 2, 3), torch.arange(batch)
    print(f"{batch} clips of {frames} x {side} x {side} on {device}:")
    with torch.device("meta"):
        network = build("dg_p3d_resnet50", CLASSES)
        work = 3 * batch * multiply_adds(network, torch.empty(1, 3, frames, side, side))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS[device.type]}
    steps: dict[str, Step] = {}
    for name, make in VARIANTS[device.type].items():
        torch.manual_seed(0)
        try:
            steps[name] = make(device, clips, labels)
            for _ in range(2):  # the first ones look for algorithms and compile
                measure(steps[name], device)
        except torch.OutOfMemoryError:
            print(f"    {name:24} does not fit")
            steps.pop(name, None)
        if device.type == "cuda":  # one at a time, for the sake of memory
            found[name] = [measure(steps[name], device) for _ in range(rounds) if name in steps]
            steps.pop(name, None)
            torch.cuda.empty_cache()
    for _ in range(rounds):
        for name, step in steps.items():
            found[name].append(measure(step, device))
    report({name: results for name, results in found.items() if results}, work, device)


def report(found: dict[str, list[tuple[float, float]]], work: float, device: torch.device) -> None:
    medians = {name: statistics.median(t for t, _ in results) for name, results in found.items()}
    speed = product_speed(device) if device.type == "cuda" else None
    for name, seconds in medians.items():
        line = f"    {name:24} {seconds:7.3f} s a step"
        if "plain" in medians:
            line += f", {medians['plain'] / seconds:5.2f} x plain"
        if speed:
            memory = max(gib for _, gib in found[name])
            line += f", {memory:5.1f} GiB, {work / seconds / speed:5.1%} of a matrix product"
        print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=list(SIZES))
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    for wanted in SIZES[chosen.device]:
        compare(torch.device(chosen.device), wanted, chosen.rounds)
