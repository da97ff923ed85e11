"""What planning costs beside training. Run: python tests/benchmarks/planner.py [--large]

Prints, for graphs of growing size: building and checking the graph; what the search itself takes,
pruning on, when training takes nothing; planning it in a run folder with a trainer that does
nothing, per transition, beside what that trainer's own calls and files cost; and the time that
`import schedplan` takes beside that of its dependencies alone.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from schedplan import Axis, FixedEpochs, Problem, Space, build_graph, solve
from schedplan.graph import StateGraph, basic
from schedplan.journal import Outcome
from schedplan.pruning import SAFE
from schedplan.solver import Search


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


def decide(graph: StateGraph) -> float:
    """Return the seconds that the search itself takes, pruning on, when training takes none."""
    begun = time.perf_counter()
    ended = Outcome("done", "", 1, 0.5, (0.5, 0.5), "model", None, 0, 0.0)
    search = Search(graph, pruning=SAFE)
    while request := search.next_request():
        search.report(request[0], ended)
    assert search.answer() is not None
    return time.perf_counter() - begun


def measure(transitions: int) -> None:
    begun = time.perf_counter()
    graph = grid(transitions)
    order = len(graph.order)
    built = time.perf_counter() - begun
    line = f"{graph.transitions:9,} transitions, {order:7,} states: graph {built:7.3f} s"
    decided = decide(graph)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line += f", search {decided:7.3f} s, {memory:.0f} MB so far"
    line += f" ({1e6 * (built + decided) / graph.transitions:.0f} us a transition)"
    if transitions <= 20_000:
        with tempfile.TemporaryDirectory() as folder:
            alone = trainer_alone(graph.transitions, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            problem = Problem(graph, InstantTrainer, "score", estimator=FixedEpochs(1))
            solve(problem, Path(folder) / "run")
            planned = time.perf_counter() - begun
        added = (planned - alone) / graph.transitions
        line += f"; with a run folder, planning adds {added * 1e3:.2f} ms a transition"
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
