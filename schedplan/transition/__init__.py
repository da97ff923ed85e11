"""One transition: trained in slices, each from the last snapshot on, until the estimator says stop.

Pausing a rival, retry after a loss, and resume are one operation, and a transition that has ended
is never trained again.
"""

from schedplan.transition.assignment import (
    Assignment,
    EpochEvent,
    Observer,
    PauseEvent,
    RetryEvent,
    TransitionEvent,
)
from schedplan.transition.loop import advance, unknown_metric
from schedplan.transition.training import RETRIES, Losses, Training

__all__ = [
    "RETRIES",
    "Assignment",
    "EpochEvent",
    "Losses",
    "Observer",
    "PauseEvent",
    "RetryEvent",
    "Training",
    "TransitionEvent",
    "advance",
    "unknown_metric",
]
