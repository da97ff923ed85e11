"""The truth about staged problems: what a schedule is worth, and which one is best.

For a path, every transition stops at its own noise-free knee. The optimum is the best of all paths.
Dynamic programming keeps the best model of each state only. As a model's quality does not say all
about what it will become, that may lose a little: `exhaustive_plan` against `best_path`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from schedplan.errors import GraphError
from schedplan.simulator.physics import Hidden
from schedplan.simulator.staged import StagedProblem
from schedplan.space import INITIAL, State

STAGED_HORIZON = 400
"""No transition is trained longer, in epochs."""

MAX_PATHS = 100_000
"""How many paths the optimum may be looked for among (about half a minute)."""

Choose: TypeAlias = Callable[[StagedProblem, Hidden, State, State], tuple[int, float]]
"""(problem, model as handed over, source, target) -> (epoch to hand on, score of its model)."""


@dataclass(frozen=True)
class TruePlan:
    """A schedule and its worth.

    Attributes:
        quality: what a model trained along it scores without noise, in points.
        stages: (state, epochs), the first one first; stages of 0 epochs are kept.
    """

    quality: float
    stages: tuple[tuple[State, int], ...]

    @property
    def path(self) -> tuple[State, ...]:
        """The states alone."""
        return tuple(state for state, _ in self.stages)

    @property
    def epochs(self) -> int:
        """How long training along it takes."""
        return sum(epochs for _, epochs in self.stages)


def knee(problem: StagedProblem, hidden: Hidden, source: State, target: State) -> tuple[int, float]:
    """Return the epoch at which the noise-free curve is highest, and its quality in points."""
    curve = problem.curve(hidden, target, STAGED_HORIZON)
    epoch = int(curve.argmax())
    return epoch, float(curve[epoch])


def true_quality(problem: StagedProblem, stages: Iterable[tuple[State, int]]) -> float:
    """Return what a model trained from scratch along `stages` scores without noise, in points.

    Example:
        >>> problem = StagedProblem.draw(0)
        >>> plan = exhaustive_plan(problem)
        >>> true_quality(problem, plan.stages) == plan.quality <= best_path(problem).quality
        True
    """
    hidden = problem.initial
    for state, epochs in stages:
        hidden = problem.after(hidden, state, epochs)
    return problem.quality(hidden)


def best_path(problem: StagedProblem) -> TruePlan:
    """Return the best plan of all paths, when every knee is found exactly.

    Raises:
        GraphError: if there are more than `MAX_PATHS` paths.
    """
    count = _paths(problem)
    if count > MAX_PATHS:
        raise GraphError(f"there are {count:,} paths", allowed=f"at most {MAX_PATHS:,} to try all")
    best = TruePlan(float("-inf"), ())
    stack: list[tuple[Hidden, State, tuple[tuple[State, int], ...]]]
    stack = [(problem.initial, INITIAL, ())]
    finals = set(problem.graph.finals)
    while stack:
        hidden, source, stages = stack.pop()
        if source in finals:
            best = max(
                best, TruePlan(problem.quality(hidden), stages), key=lambda plan: plan.quality
            )
        for target in problem.graph.dag.successors(source):
            epoch, _ = knee(problem, hidden, source, target)
            model = problem.after(hidden, target, epoch)
            stack.append((model, target, (*stages, (target, epoch))))
    return best


def exhaustive_plan(problem: StagedProblem, choose: Choose = knee) -> TruePlan:
    """Return what dynamic programming over all transitions finds (the paper's recursion).

    Args:
        problem: what to plan.
        choose: where a transition stops and what score it counts with; noise-free by default.

    Returns:
        The plan, its quality the true one whatever scores `choose` went by.
    """
    best: dict[State, tuple[float, Hidden, tuple[tuple[State, int], ...]]]
    best = {INITIAL: (float("-inf"), problem.initial, ())}
    for target in problem.graph.order[1:]:
        for source in problem.graph.dag.predecessors(target):
            _, hidden, stages = best[source]
            epoch, score = choose(problem, hidden, source, target)
            if target not in best or score > best[target][0]:
                model = problem.after(hidden, target, epoch)
                best[target] = (score, model, (*stages, (target, epoch)))
    _, hidden, stages = max((best[final] for final in problem.graph.finals), key=lambda it: it[0])
    return TruePlan(problem.quality(hidden), stages)


def _paths(problem: StagedProblem) -> int:
    """Return the number of paths from S0 to a final state."""
    count = {INITIAL: 1}
    for state in problem.graph.order[1:]:
        count[state] = sum(count[each] for each in problem.graph.dag.predecessors(state))
    return sum(count[final] for final in problem.graph.finals)
