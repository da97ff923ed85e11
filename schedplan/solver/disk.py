"""How much disk a search may need, known once there is a first snapshot."""

from __future__ import annotations

import shutil
from pathlib import Path

from schedplan.frontier import Frontier
from schedplan.journal import KeepSnapshots, RunFolder
from schedplan.pruning import NONE
from schedplan.solver.problem import DiskEvent, Problem, SearchOptions

_SINCE = 20  # epochs from the one chosen so far to the last, say


def estimate(run: RunFolder, count: int) -> DiskEvent | None:
    """Return what `count` snapshots take; None as long as there is none to measure."""
    size = max(map(_size, run.path.glob("transitions/*/*/snapshots/*")), default=0)
    if not size:
        return None
    return DiskEvent(size, size * count, shutil.disk_usage(run.path).free)


def most_snapshots(
    problem: Problem, options: SearchOptions, workers: float, keep: KeepSnapshots
) -> int:
    """Return about how many snapshots of a search there are at a time, at most.

    Every state has those of its frontier, every training under way those of the epochs that may
    still be chosen, and of what was pruned the best and the last are kept.
    """
    graph, width = problem.graph, _width(options.frontier)
    at_once = int(min(workers, graph.transitions))
    rivals = max((graph.dag.in_degree(state) for state in graph.dag), default=0)
    ended = graph.transitions if keep == "all" else graph.states + rivals
    under_way, pruned = at_once, 0
    if options.pruning != NONE:  # rivals take turns
        under_way, pruned = at_once + rivals, 2 * graph.transitions
    each = problem.estimator.lookback + _SINCE
    return (ended + pruned + each * under_way) * width


def _width(frontier: Frontier) -> int:
    return int(getattr(frontier, "width", 1))


def _size(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except FileNotFoundError:  # whoever trains has removed it meanwhile
        return 0
