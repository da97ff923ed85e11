"""Plan hyperparameter schedules: search for the best path through a graph of training states.

The method is optimization planning (Qiu et al., "Optimization Planning for 3D ConvNets", ICML
2021), made general: any hyperparameters, any framework.
"""

from schedplan.errors import SchedplanError, UsageError
from schedplan.graph import StateGraph, build_graph
from schedplan.knees import AtMost, CurveFit, FixedEpochs, KneeEstimator, Patience, Verdict
from schedplan.plan import Plan, Stage, replay
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
from schedplan.solver import Problem, solve
from schedplan.space import INITIAL, Axis, Link, Space, State
from schedplan.trainer import FunctionTrainer, GeneratorTrainer, Trainer

__all__ = [
    "INITIAL",
    "AtMost",
    "Axis",
    "CurveFit",
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
    "Patience",
    "Plan",
    "Problem",
    "Rule",
    "SchedplanError",
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
    "replay",
    "solve",
]
