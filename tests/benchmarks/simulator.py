"""How the simulator compares with the published facts. Run: python tests/benchmarks/simulator.py

Options: --problems N (200), --size NAME (kinetics), --shape NAME (smooth), --noise POINTS (0.3).
Prints a table of facts of the drawn problems; everything is noise-free unless it says otherwise.
Delay 10: a transition is trained for 11 epochs beyond its knee.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from schedplan import CurveFit
from schedplan.simulator import (
    StagedProblem,
    TruePlan,
    best_path,
    exhaustive_plan,
    knee,
    true_quality,
)
from schedplan.space import INITIAL, State
from schedplan.trainer import derive_seed

BEYOND = 11
EARLY = 8
INSERTED = 20
LONGEST = 400

Facts = dict[str, list[float]]


def noisy(seed: int, cost: list[int]):
    """Return a chooser that trains until a smoothed curve has not risen for the delay, and then
    asks the project's curve fit once; it appends the epochs trained to `cost`."""

    def choose(problem: StagedProblem, hidden, source: State, target: State) -> tuple[int, float]:
        own = derive_seed(seed, source.label, target.label)
        scores = problem.measured(hidden, target, LONGEST, own)
        padded = np.concatenate([scores[:1], scores[:1], scores, scores[-1:], scores[-1:]])
        smooth = np.convolve(padded, np.full(5, 0.2), "valid")
        best = np.maximum.accumulate(smooth)
        last_rise = np.maximum.accumulate(np.where(smooth == best, np.arange(len(smooth)), 0))
        late = np.flatnonzero(np.arange(len(smooth)) - last_rise >= BEYOND)
        stop = int(late[0]) if len(late) else LONGEST
        cost.append(stop)
        verdict = CurveFit()(scores[: stop + 1])
        return verdict.epoch, verdict.score

    return choose


def look_at_transitions(problem: StagedProblem, facts: Facts) -> float:
    """Record every transition of the noise-free dynamic program; return its cost, weighted."""
    models, quality = {INITIAL: problem.initial}, {}
    weighted = 0.0
    for target in problem.graph.order[1:]:
        rivals = []
        for source in problem.graph.dag.predecessors(target):
            curve = problem.curve(models[source], target, LONGEST)
            stop = int(curve.argmax())
            bends = np.diff(curve[: stop + BEYOND + 1], 2)
            facts["curves with a convex part (% of transitions)"].append(
                100 * bool((bends > 1e-3).any())
            )
            facts["epochs trained per transition, delay included"].append(stop + BEYOND)
            group = "out of S0" if source is INITIAL else "other"
            facts[f"epochs kept per transition, {group}"].append(stop)
            facts["transitions with a knee at 0 (%)"].append(100 * (stop == 0))
            weighted += (stop + BEYOND) * problem.cost(target)
            rivals.append((curve[stop], curve[EARLY], source, stop))
        score, _, source, stop = max(rivals, key=lambda rival: rival[0])
        models[target], quality[target] = problem.after(models[source], target, stop), score
        if len(rivals) > 1:
            early = max(rivals, key=lambda rival: rival[1])[2]
            kind = "S0 among them" if any(r[2] is INITIAL for r in rivals) else "others"
            facts[f"leader at epoch 8 not the final one, rivals into a state, {kind} (%)"].append(
                100 * (early is not source)
            )
    starts = problem.graph.starts
    curves = [problem.curve(problem.initial, start, LONGEST) for start in starts]
    early, final = max(curves, key=lambda c: c[EARLY]), max(curves, key=np.max)
    facts["leader at epoch 8 not the final one, transitions out of S0 (%)"].append(
        100 * (early is not final)
    )
    by_strategy = defaultdict(list)
    for state in problem.graph.finals:
        by_strategy[state[0]].append(quality[state])
    if len(by_strategy) > 1:
        first, second, *_ = sorted((max(each) for each in by_strategy.values()), reverse=True)
        facts["difference of the best two strategies, points"].append(first - second)
        facts["... above 0.5 points (%)"].append(100 * (first - second > 0.5))
        facts["... above 1.5 points (%)"].append(100 * (first - second > 1.5))
    return weighted


def along(
    problem: StagedProblem, path: tuple[State, ...], fixed: dict[State, int] | None = None
) -> tuple[float, dict[State, int]]:
    """Train along `path`, every stage to its own knee unless its epochs are `fixed`.

    Returns:
        The quality and the epochs kept in each state.
    """
    model, source, kept = problem.initial, INITIAL, {}
    for state in path:
        own, _ = knee(problem, model, source, state)
        kept[state] = (fixed or {}).get(state, own)
        model, source = problem.after(model, state, kept[state]), state
    return problem.quality(model), kept


def skips(path: tuple[State, ...]) -> Iterator[tuple[State, ...]]:
    for n in range(len(path) - 1):
        yield path[:n] + path[n + 1 :]


def insertions(problem: StagedProblem, path: tuple[State, ...]) -> Iterator[tuple[State, ...]]:
    """Yield the path with one more state: no rate rises, no range leaves those around it by more
    than one level."""
    axes = problem.space.axes
    for n in range(1, len(path)):
        before, after = path[n - 1], path[n]
        ranges = []
        for axis, a, b in zip(axes, before, after, strict=True):
            low, high = sorted((a, b))
            slack = 1 if axis.name == problem.physics.roles.range else 0
            ranges.append(range(max(0, low - slack), min(len(axis.values), high + slack + 1)))
        for levels in itertools.product(*ranges):
            state = State(levels, problem.space)
            if state not in path:
                yield (*path[:n], state, *path[n:])


def changes(problem: StagedProblem, best: TruePlan) -> Iterator[tuple[str, list[float]]]:
    """Yield what it costs to change the best path by one state; stages of 0 epochs do not count."""
    path = tuple(state for state, epochs in best.stages if epochs)
    skipped = [along(problem, shorter)[0] for shorter in skips(path)]
    yield "skipping a state", [best.quality - quality for quality in skipped]
    to_knee, for_long = [], []
    for longer in insertions(problem, path):
        (added,) = set(longer) - set(path)
        quality, kept = along(problem, longer)
        if kept[added]:
            to_knee.append(best.quality - quality)
        for_long.append(best.quality - along(problem, longer, {added: INSERTED})[0])
    yield "inserting a state, to its own knee", to_knee
    yield f"inserting a state for {INSERTED} epochs", for_long


def grid_cost(problem: StagedProblem) -> float:
    """Return the weighted epochs of the 60 hand-tuned runs of the paper's Table 3."""
    axes = {axis.name: axis for axis in problem.space.axes}
    lengths = len(axes[problem.physics.roles.range].values)
    weight = [problem.dearest ** (level / max(lengths - 1, 1)) for level in range(lengths)]
    short, middle, long = weight[0], weight[min(1, lengths - 1)], weight[-1]
    paths = [(short, long), (middle, long), (short, middle, long)]
    runs = itertools.product(paths, range(2), range(2), (128, 192, 256, 320, 384))
    return sum(epochs * float(np.mean(path)) for path, _, _, epochs in runs)


def look_at(problem: StagedProblem, facts: Facts) -> None:
    weighted = look_at_transitions(problem, facts)
    facts["planning in weighted epochs"].append(weighted)
    facts["grid / planning, weighted epochs"].append(grid_cost(problem) / weighted)
    best, planned = best_path(problem), exhaustive_plan(problem)
    facts["quality of the best path, points"].append(best.quality)
    facts["brute force minus dynamic programming, points"].append(best.quality - planned.quality)
    facts["dynamic programming finds the best path (%)"].append(100 * (best.path == planned.path))
    facts["epochs on the best path"].append(best.epochs)
    stages = [epochs for _, epochs in best.stages if epochs]
    facts["stages of the best path"].append(len(stages))
    for name, losses in changes(problem, best):
        facts[f"loss from {name}, points"].extend(losses)
        facts[f"... {name}: 0.2 to 1.0 points (%)"].extend(100 * (0.2 <= x <= 1) for x in losses)
        facts[f"... {name}: below 0 (%)"].extend(100 * (x < -1e-9) for x in losses)
    trained: list[int] = []
    one, two = (exhaustive_plan(problem, noisy(seed, trained)) for seed in (1, 2))
    facts["noisy: epochs trained per transition"].extend(trained)
    facts["noisy: two noise seeds, same path (%)"].append(100 * (one.path == two.path))
    facts["noisy: loss against the best path, points"].append(best.quality - one.quality)
    assert true_quality(problem, one.stages) == one.quality


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--size", default="kinetics")
    parser.add_argument("--shape", default="smooth")
    parser.add_argument("--noise", type=float, default=0.3)
    options = parser.parse_args()
    facts: Facts = defaultdict(list)
    for seed in range(options.problems):
        look_at(
            StagedProblem.draw(seed, noise=options.noise, size=options.size, shape=options.shape),
            facts,
        )
    print(f"{'':72}    mean     10%  median     90%")
    for name, values in facts.items():
        low, median, high = np.quantile(values, (0.1, 0.5, 0.9))
        print(f"{name:72} {np.mean(values):7.2f} {low:7.2f} {median:7.2f} {high:7.2f}")


if __name__ == "__main__":
    main()
