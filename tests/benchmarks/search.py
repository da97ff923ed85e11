"""What pruning, frontiers and orders cost and lose on simulated problems, against the truth.

    python tests/benchmarks/search.py [--problems 500] [--noise 0.1 0.3 0.5] [--size kinetics]
                                      [--shape smooth] [--first 20000] [--extra]

Every variant meets the same trainings, noise included. Columns: the cost in weighted epochs
against the exhaustive search; how often the path is the exhaustive one; the loss, exhaustive plan
less plan found, both trained again without noise, in points, and how often it exceeds 0.2; how
optimistic the plan's score is. `--extra` adds beams, fronts, anytime plans and the makespan of
several workers. The floor is a clairvoyant that drops every loser after its first look and the
losing part of the graph at the first allowed moment; below it there is only knowing the path.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from worlds import Found, World

from schedplan.frontier import Beam, Pareto
from schedplan.knees import AtMost, CurveFit
from schedplan.pruning import FAST, NONE, SAFE, Cut, Pruning, Race
from schedplan.simulator import StagedProblem
from schedplan.solver import Search
from schedplan.space import State

VARIANTS = {
    "safe": SAFE,
    "fast": FAST,
    "race as in safe": Pruning(race=SAFE.race),
    "race as in fast": Pruning(race=FAST.race),
    "race, z = 0": Pruning(race=Race(z=0)),
    "race, long line": Pruning(race=Race(window=30)),
    "race, near look from scratch": Pruning(race=Race(ahead_from_scratch=20)),
    "cut as in safe": Pruning(cut=SAFE.cut),
    "cut as in fast": Pruning(cut=FAST.cut),
    "cut after two states": Pruning(cut=Cut(z=2, states=2)),
}

Row = dict[str, float]


def floor(world: World, exhaustive: Search) -> float:
    """Return the cost of a clairvoyant racer and cutter that gives the exhaustive path."""
    cost, answer = 0.0, exhaustive.answer()
    part = answer.state.value("sampling")
    pairs: set[State] = set(list(exhaustive.graph.order)[1:][: 2 * SAFE.cut.states])
    for state, trials in exhaustive.trials.items():
        if not state or (state.value("sampling") != part and state not in pairs):
            continue
        winner = exhaustive.kept[state][0]
        for trial in trials.values():
            look = SAFE.race.warm_up(trial.from_scratch) if trial.label is not winner else math.inf
            cost += min(trial.trained, look) * world.cost(state)
    return cost


def compared(world: World, base: Found, found: Found) -> Row:
    loss = world.true(base) - world.true(found)
    return {
        "cost": found.cost / base.cost,
        "same": found.path == base.path,
        "loss": loss,
        "bad": loss > 0.2,
        "optimism": found.label.value - world.true(found),
    }


def anytime(world: World, base: Found, found: Found) -> Row:
    """Return when a dive has its first plan, and what its plan at half the cost lacks."""
    first = found.answers[0][0] / base.cost
    half = [label for cost, label in found.answers if cost <= base.cost / 2]
    late = math.nan
    if half:
        plan = Found(half[-1], 0, 0, 0, [])
        late = world.true(base) - world.true(plan)
    return {"first": first, "by 30%": first <= 0.3, "regret at 50%": late}


def measure(world: World, extra: bool) -> Iterator[tuple[str, Row]]:
    exhaustive = Search(world.graph, cost=world.cost)
    while request := exhaustive.next_request():
        exhaustive.report(request[0], world.advance(*request))
    base = world.search(pruning=NONE)
    yield "exhaustive", compared(world, base, base)
    yield "floor", {"cost": floor(world, exhaustive) / base.cost}
    for name, pruning in VARIANTS.items():
        yield name, compared(world, base, world.search(pruning=pruning))
    if not extra:
        return
    for name, frontier in {"beam 2": Beam(2), "Pareto 2": Pareto(2)}.items():
        found = world.search(pruning=NONE, frontier=frontier)
        yield name, compared(world, base, found)
        yield f"{name}, safe", compared(world, base, world.search(frontier=frontier, pruning=SAFE))
    for name, pruning in {"none": NONE, "safe": SAFE, "fast": FAST}.items():
        yield f"dive, {name}", anytime(world, base, world.search(pruning=pruning, order="dive"))
        for workers in (1, 2, 4, 8, 1000):
            for speculate in (False, True):
                found = world.search(pruning=pruning, workers=workers, speculate=speculate)
                row = {"makespan": found.makespan / base.makespan, "cost": found.cost / base.cost}
                spec = ", speculating" if speculate else ""
                yield f"{name}, {workers} workers{spec}", row


def report(noise: float, rows: dict[str, list[Row]]) -> None:
    print(f"\nnoise {noise}: {len(rows['exhaustive'])} problems")
    for name, several in rows.items():
        cells = []
        for key in several[0]:
            values = np.array([row[key] for row in several], dtype=float)
            mean = np.nanmean(values)
            percent = key not in ("loss", "optimism", "regret at 50%")
            cells.append(f"{key} {100 * mean:5.1f}%" if percent else f"{key} {mean:+.4f}")
        print(f"{name:32s} {'  '.join(cells)}")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.1, 0.3, 0.5])
    parser.add_argument("--size", default="kinetics")
    parser.add_argument("--shape", default="smooth")
    parser.add_argument("--first", type=int, default=20_000)
    parser.add_argument("--delay", type=int, help="fixed, instead of the default rule")
    parser.add_argument("--extra", action="store_true")
    options = parser.parse_args()
    fixed = None if options.delay is None else CurveFit(delay=options.delay, growth=0.0)
    for noise in options.noise:
        rows: dict[str, list[Row]] = defaultdict(list)
        for seed in range(options.first, options.first + options.problems):
            problem = StagedProblem.draw(seed, noise=noise, size=options.size, shape=options.shape)
            world = World(problem, estimator=AtMost(400, fixed)) if fixed else World(problem)
            for name, row in measure(world, options.extra):
                rows[name].append(row)
        report(noise, rows)


if __name__ == "__main__":
    main()
