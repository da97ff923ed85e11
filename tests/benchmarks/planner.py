"""What planning costs beside training. Run: python tests/benchmarks/planner.py [--large]

Prints, for graphs of growing size: building and checking the graph; planning it with a trainer that
does nothing, per transition, beside what that trainer's own calls and files cost; and the time that
`import schedplan` takes beside that of its dependencies alone.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from schedplan import Axis, FixedEpochs, Problem, Space, build_graph, solve
from schedplan.graph import StateGraph, basic


class InstantTrainer:
    """Does nothing, and writes one small file as a model."""

    def begin(self, params, start, seed):
        pass

    def train_epoch(self):
        return {}

    def evaluate(self):
        return {"score": 0.5}

    def save(self, folder):
        (folder / "model").write_text("0")

    def restore(self, folder):
        pass


def grid(transitions: int) -> StateGraph:
    """Return a basic graph over three axes with about this many transitions."""
    levels = round((transitions / 3) ** (1 / 3)) + 1
    space = Space(tuple(Axis(name, tuple(range(levels))) for name in "abc"))
    start, final = dict.fromkeys("abc", "first"), dict.fromkeys("abc", "last")
    return build_graph(space, basic(), space.select(start), space.select(final))


def trainer_alone(count: int, folder: Path) -> float:
    """Return the seconds that `count` transitions of one epoch take in a bare loop."""
    begun = time.perf_counter()
    for number in range(count):
        trainer = InstantTrainer()
        trainer.begin({}, None, 0)
        trainer.evaluate()
        trainer.train_epoch()
        trainer.evaluate()
        (folder / str(number)).mkdir()
        trainer.save(folder / str(number))
    return time.perf_counter() - begun


def measure(transitions: int) -> None:
    begun = time.perf_counter()
    graph = grid(transitions)
    order = len(graph.order)
    built = time.perf_counter() - begun
    line = f"{graph.transitions:9,} transitions, {order:7,} states: graph {built:7.3f} s"
    if transitions <= 20_000:
        with tempfile.TemporaryDirectory() as folder:
            alone = trainer_alone(graph.transitions, Path(folder))
        for name in ("nothing kept", "with a run folder"):
            with tempfile.TemporaryDirectory() as folder:
                kept = Path(folder) / "run" if name == "with a run folder" else None
                begun = time.perf_counter()
                solve(Problem(graph, InstantTrainer, "score", estimator=FixedEpochs(1)), kept)
                planned = time.perf_counter() - begun
            added = (planned - alone) / graph.transitions
            line += f"; {name}: planning adds {added * 1e3:.2f} ms a transition"
            line += f" ({planned / alone:.1f}x the bare loop)"
    print(line, flush=True)


def seconds_to_import(modules: str) -> float:
    """Return the median over five processes."""
    program = (
        f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    return statistics.median(float(run.stdout) for run in runs)


if __name__ == "__main__":
    for size in (1_000, 10_000, 100_000, *([1_000_000] if "--large" in sys.argv else [])):
        measure(size)
    ours = seconds_to_import("schedplan")
    theirs = seconds_to_import("numpy, networkx, yaml, filelock")
    print(f"import schedplan: {ours:.3f} s, {ours / theirs:.2f}x that of its dependencies alone")
