"""Simulated training with a known optimum, for trying things out and for judging searches.

`SimulatedTrainer` is the simple one: what a state adds does not depend on the path before it.
`StagedTrainer` and `StagedProblem` are the realistic family: coarse, short- and long-range quality
are carried along the path, as in the staged training of a 3D ConvNet.
"""

from schedplan.simulator.additive import HORIZON, SimulatedCurve, SimulatedTrainer, optimum
from schedplan.simulator.judge import (
    TruePlan,
    best_path,
    exhaustive_plan,
    knee,
    true_quality,
)
from schedplan.simulator.physics import Hidden, Physics, Setting, Shape
from schedplan.simulator.roles import Roles
from schedplan.simulator.staged import SIZES, StagedProblem
from schedplan.simulator.staged_trainer import StagedTrainer

__all__ = [
    "HORIZON",
    "SIZES",
    "Hidden",
    "Physics",
    "Roles",
    "Setting",
    "Shape",
    "SimulatedCurve",
    "SimulatedTrainer",
    "StagedProblem",
    "StagedTrainer",
    "TruePlan",
    "best_path",
    "exhaustive_plan",
    "knee",
    "optimum",
    "true_quality",
]
