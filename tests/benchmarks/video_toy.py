"""Does the plan beat the constants? Run: python tests/benchmarks/video_toy.py [--seeds 0 1 2]

For every seed: makes toy videos, plans as examples/video_toy.yaml does, and measures the plan's
model on the test split; then trains every single constant setting from scratch for as many epochs
as the plan's schedule has, and measures those on the same videos. About ten minutes a seed on 2 CPU
cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from schedplan import Plan, Stage
from schedplan.config import load_config
from schedplan.trainer import derive_seed

CONFIG = Path(__file__).parents[2] / "examples" / "video_toy.yaml"


def schedplan(*arguments: str) -> str:
    command = [sys.executable, "-m", "schedplan", "-q", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_accuracy(model: Path, manifest: Path) -> float:
    printed = schedplan(
        "video",
        "evaluate",
        str(model),
        "--manifest",
        str(manifest),
        "--split",
        "test",
        *("--clips", "1", "--crops", "1"),
        "-f",
        "json",
    )
    return float(json.loads(printed)["top1"])


def constants(plan: Plan, seed: int) -> list[Plan]:
    """Return a plan of one stage for every state, as long as `plan`."""
    space = load_config(CONFIG, ["video"]).space
    return [
        Plan(
            name=state.label,
            metric=plan.metric,
            mode=plan.mode,
            score=0.0,
            stages=(
                Stage(
                    state=state.label,
                    params=space.params(state),
                    epochs=plan.epochs,
                    score=0.0,
                    observed=0.0,
                    seed=derive_seed(seed, state.label),
                ),
            ),
            provenance=plan.provenance,
        )
        for state in space.states()
    ]


def compare(seed: int, folder: Path) -> dict[str, float]:
    """Return the test accuracy of the plan and of every constant setting."""
    manifest = folder / f"toy{seed}" / "manifest.csv"
    run = folder / f"plan{seed}"
    overrides = [f"seed={seed}", f"trainer.toy.seed={seed}", f"trainer.manifest={manifest}"]
    options = [part for override in overrides for part in ("--set", override)]
    schedplan("run", str(CONFIG), "--plugin", "video", "--out", str(run), *options)
    plan = Plan.load(run / "plan.yaml")
    print(f"seed {seed}: {plan.epochs} epochs, val {plan.score:.3f}:", flush=True)
    for stage in plan.stages:
        print(f"  {stage.state}: {stage.epochs} epochs")
    results = {"plan": test_accuracy(run / "model", manifest)}
    print(f"  plan {results['plan']:.3f}", flush=True)
    for constant in constants(plan, seed):
        file, out = folder / f"{constant.name}-{seed}.yaml", folder / f"{constant.name}-{seed}"
        constant.save(file)
        schedplan("replay", str(file), "--out", str(out))
        results[constant.name] = test_accuracy(out / "model", manifest)
        print(f"  {constant.name} {results[constant.name]:.3f}", flush=True)
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/video-toy-benchmark"))
    chosen = parser.parse_args()
    table = {seed: compare(seed, chosen.out) for seed in chosen.seeds}
    for name in table[chosen.seeds[0]]:
        scores = [table[seed][name] for seed in chosen.seeds]
        shown = "  ".join(f"{score:.3f}" for score in scores)
        print(f"{name:28s} {shown}   mean {sum(scores) / len(scores):.3f}")
