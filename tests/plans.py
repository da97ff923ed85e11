"""Plans for the tests of what trains along them."""

from __future__ import annotations

from schedplan import Plan, Stage


def make_plan(*stages: tuple[dict, int]) -> Plan:
    """Return a plan of stages, each given as its hyperparameters and epochs."""
    made = [Stage(str(n), params, epochs, 0.5, 0.5, n) for n, (params, epochs) in enumerate(stages)]
    return Plan("demo", metric="top1", mode="max", score=0.5, stages=tuple(made))


PLAN = make_plan(
    ({"learning_rate": 0.1, "batch_size": 2}, 3),
    ({"learning_rate": 0.1, "batch_size": 4}, 2),
    ({"learning_rate": 0.01, "batch_size": 4}, 2),
)

LATE = make_plan(({"learning_rate": 0.1}, 2), ({"learning_rate": 0.1, "batch_size": 8}, 1))
"""Changes what its first stage does not have."""
