"""Plan hyperparameter schedules: search for the best path through a graph of training states.

The method is optimization planning (Qiu et al., "Optimization Planning for 3D ConvNets", ICML
2021), made general: any hyperparameters, any framework.
"""

from schedplan.course import confirm, replay
from schedplan.errors import SchedplanError, UsageError
from schedplan.frontier import Beam, Pareto
from schedplan.graph import StateGraph, build_graph
from schedplan.knees import (
    AtMost,
    CurveFit,
    FixedEpochs,
    KneeEstimator,
    Patience,
    Scale,
    Verdict,
)
from schedplan.plan import Plan, Stage
from schedplan.pruning import FAST, NONE, SAFE, Cut, Pruning, Race
from schedplan.rules import (
    Fixed,
    Forbid,
    Forward,
    MaxStep,
    OneAxis,
    OneStep,
    Onward,
    Rule,
    Trade,
    Where,
)
from schedplan.simulator import SimulatedTrainer
from schedplan.solver import Budget, Problem, SearchOptions, solve
from schedplan.space import INITIAL, Axis, Link, Space, State
from schedplan.trainer import FunctionTrainer, GeneratorTrainer, Trainer

__all__ = [
    "FAST",
    "INITIAL",
    "NONE",
    "SAFE",
    "AtMost",
    "Axis",
    "Beam",
    "Budget",
    "CurveFit",
    "Cut",
    "Fixed",
    "FixedEpochs",
    "Forbid",
    "Forward",
    "FunctionTrainer",
    "GeneratorTrainer",
    "KneeEstimator",
    "Link",
    "MaxStep",
    "OneAxis",
    "OneStep",
    "Onward",
    "Pareto",
    "Patience",
    "Plan",
    "Problem",
    "Pruning",
    "Race",
    "Rule",
    "Scale",
    "SchedplanError",
    "SearchOptions",
    "SimulatedTrainer",
    "Space",
    "Stage",
    "State",
    "StateGraph",
    "Trade",
    "Trainer",
    "UsageError",
    "Verdict",
    "Where",
    "build_graph",
    "confirm",
    "replay",
    "solve",
]
