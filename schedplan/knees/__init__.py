"""When to stop training a state, and which epoch's model to hand on: the knee estimators.

An estimator is a frozen, stateless strategy. After every epoch it is called with all scores so far
and answers with a `Verdict`: stop or go on, and the epoch to hand on if training ended now. Limits
are added by wrapping: `AtMost(400, CurveFit())`. Source: "Optimization Planning for 3D ConvNets"
(ICML 2021), section 3.3.
"""

from schedplan.knees.base import KneeEstimator, Mode, Scale, Verdict
from schedplan.knees.curve_fit import CurveFit
from schedplan.knees.kneedle import Kneedle
from schedplan.knees.simple import FixedEpochs, Patience
from schedplan.knees.stationarity import Stationarity
from schedplan.knees.wrappers import All, Any, AtLeast, AtMost

__all__ = [
    "All",
    "Any",
    "AtLeast",
    "AtMost",
    "CurveFit",
    "FixedEpochs",
    "KneeEstimator",
    "Kneedle",
    "Mode",
    "Patience",
    "Scale",
    "Stationarity",
    "Verdict",
]
