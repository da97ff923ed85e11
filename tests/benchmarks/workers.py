"""What workers save, and what a long run holds. Run: python tests/benchmarks/workers.py

Prints, for a wide graph whose trainings sleep: the wall time with 1, 2 and 4 child processes,
beside the list-scheduling bound (the larger of all work / workers and the critical path), both
without the start of the processes. Then, for a run of 1,000 transitions: the driver's memory after
a tenth of them and at the end, and what the run folder holds, in models and in bytes, beside the
estimate. Exits with 1 if a wall time is more than 15 % above its bound, memory grows by more than
15 % after the tenth, or the run folder has held more models, or more bytes, than estimated.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from schedplan import (
    Axis,
    FixedEpochs,
    Problem,
    SearchOptions,
    SimulatedTrainer,
    Space,
    build_graph,
    solve,
)
from schedplan.executors import ProcessExecutor
from schedplan.graph import basic
from schedplan.pruning import NONE
from schedplan.solver import DiskEvent, Event
from schedplan.transition import TransitionEvent

EPOCHS, SECONDS = 4, 0.25
MOST = 1.15
"""How much more than its bound a measurement may be, as a ratio."""

MODEL = 50_000
"""Bytes of a model, few as models go: journals and results, which the estimate leaves out as small
beside models, take about 4,000 for each transition."""

EXHAUSTIVE = SearchOptions(pruning=NONE)


class Sleeping(SimulatedTrainer):
    """Takes longer for longer clips."""

    def begin(self, params, start, seed):
        super().begin(params, start, seed)
        self._seconds = SECONDS * params["clip"]

    def train_epoch(self):
        time.sleep(self._seconds)
        return super().train_epoch()


class Saving(SimulatedTrainer):
    """Saves models that take room."""

    def save(self, folder):
        super().save(folder)
        (folder / "weights").write_bytes(bytes(MODEL))


def wide() -> Problem:
    space = Space((Axis("kind", tuple("abcdef")), Axis("clip", (1, 2)), Axis("rate", (0.1, 0.01))))
    graph = build_graph(
        space,
        basic(fixed=("kind",)),
        space.select({"clip": 1, "rate": 0.1}),
        space.select({"clip": 2, "rate": 0.01}),
    )
    return Problem(graph, Sleeping, "quality", estimator=FixedEpochs(EPOCHS))


def bound(problem: Problem, workers: int) -> float:
    """Return the list-scheduling bound in seconds."""

    def length(state) -> float:
        return SECONDS * EPOCHS * state.space.params(state)["clip"]

    graph = problem.graph
    work = sum(length(target) for _, target in graph.dag.edges)
    path = {graph.order[0]: 0.0}
    for state in graph.order[1:]:
        path[state] = length(state) + max(path[source] for source in graph.dag.predecessors(state))
    return max(work / workers, *path.values())


def measure_workers() -> list[str]:
    """Return what is out of bounds."""
    missed = []
    problem = wide()
    print(f"{problem.graph.transitions} transitions")
    for workers in (1, 2, 4):
        with ProcessExecutor(workers) as pool:
            for call in [pool.submit(time.sleep, 1) for _ in range(workers)]:
                call.result()  # all processes are there
            begun = time.perf_counter()
            solve(problem, executor=pool, options=EXHAUSTIVE)
            wall = time.perf_counter() - begun
        least = bound(problem, workers)
        print(f"workers {workers}: {wall:.1f} s, bound {least:.1f} s, ratio {wall / least:.3f}")
        if wall > MOST * least:
            missed.append(f"the wall time of {workers} workers")
    return missed


def measure_memory(transitions: int = 1000) -> list[str]:
    """Return what is out of bounds."""
    levels = round((transitions / 3) ** (1 / 3)) + 1
    space = Space(tuple(Axis(name, tuple(range(levels))) for name in "abc"))
    graph = build_graph(
        space,
        basic(),
        space.select(dict.fromkeys("abc", "first")),
        space.select(dict.fromkeys("abc", "last")),
    )
    trainer = partial(Saving, noise=0.01)
    problem = Problem(graph, trainer, "quality", estimator=FixedEpochs(10))
    memory: list[int] = []
    models: list[int] = []
    sizes: list[int] = []
    disk: list[DiskEvent] = []
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"

        def note(event: Event) -> None:
            if isinstance(event, DiskEvent):
                disk.append(event)
            if isinstance(event, TransitionEvent) and event.outcome:
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
                if len(memory) % 50 == 0:
                    found = [*run.glob("snapshots/*"), *run.glob("transitions/*/*/snapshots/*")]
                    models.append(len(found))
                    sizes.append(size(run))

        solve(problem, run, options=EXHAUSTIVE, on_event=note)
        sizes.append(size(run))
    early, late = memory[len(memory) // 10] / 1024, memory[-1] / 1024
    print(f"{graph.transitions} transitions: {early:.1f} MB after a tenth, {late:.1f} at the end")
    most, estimate = max(models), disk[0].needed // disk[0].snapshot
    print(f"models at a time: {most}, estimate {estimate}")
    room, needed = max(sizes), disk[0].needed
    print(f"run folder: {room / 1e6:.1f} MB at most, estimate {needed / 1e6:.1f} MB")
    bounds = {
        "memory": late <= MOST * early,
        "the models at a time": most <= estimate,
        "the run folder": room <= needed,
    }
    return [name for name, kept in bounds.items() if not kept]


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder; holds few of their names at a time."""
    places = os.walk(folder)
    return sum(Path(place, name).stat().st_size for place, _, names in places for name in names)


if __name__ == "__main__":
    if missed := [*measure_workers(), *measure_memory()]:
        sys.exit(f"out of bounds: {', '.join(missed)}")
