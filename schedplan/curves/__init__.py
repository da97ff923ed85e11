"""Concave families of performance-epoch curves: value, slope, least-squares fit and peak.

A curve says how the validation metric y_t moves with the epoch t while one state is trained, t = 0
being the model as handed over. Source: "Optimization Planning for 3D ConvNets" (ICML 2021),
section 3.3 and Table 1.
"""

from schedplan.curves.families import (
    FAMILIES,
    Curve,
    Exponential,
    Family,
    MultiExponential,
    MultiPower,
    Power,
    find_family,
)
from schedplan.curves.fitting import MIN_POINTS, Solver, check_solver, fit
from schedplan.curves.goodness import Goodness, goodness_of_fit

__all__ = [
    "FAMILIES",
    "MIN_POINTS",
    "Curve",
    "Exponential",
    "Family",
    "Goodness",
    "MultiExponential",
    "MultiPower",
    "Power",
    "Solver",
    "check_solver",
    "find_family",
    "fit",
    "goodness_of_fit",
]
