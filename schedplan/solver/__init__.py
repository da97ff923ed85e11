"""The search: dynamic programming over the graph of states (paper, section 3.2).

A state is settled once every transition into it has ended or can no longer win; the best of them
gives the state its model, V(S_j) = max_i V(S_i -> S_j), from which all transitions out of it start.
The result depends on nothing but the graph, the trainer, the estimator, the options and the seed:
not on the number of workers, on their timing, or on interruptions.

`search.py` decides what to train, `driver.py` has it trained, `solve.py` makes a plan of it.
"""

from schedplan.solver.problem import (
    Budget,
    DiskEvent,
    Event,
    PlanEvent,
    Problem,
    RunEvent,
    SearchOptions,
)
from schedplan.solver.search import Search
from schedplan.solver.solve import solve
from schedplan.solver.trial import END, Trial

__all__ = [
    "END",
    "Budget",
    "DiskEvent",
    "Event",
    "PlanEvent",
    "Problem",
    "RunEvent",
    "Search",
    "SearchOptions",
    "Trial",
    "solve",
]
