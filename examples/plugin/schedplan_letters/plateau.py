"""An estimator: a frozen strategy that is called with all scores so far."""

from dataclasses import dataclass, replace

from schedplan.errors import EstimatorError
from schedplan.knees import KneeEstimator, Patience


@dataclass(frozen=True)
class Plateau(KneeEstimator):
    """Stop once the mean of the last `window` scores is not above that of the `window` before.

    Takes the best epoch observed, as Patience does.

    Raises:
        EstimatorError: if `window` is less than 1.

    Example:
        >>> Plateau(window=2)([0.1, 0.4, 0.5, 0.4, 0.4]).stop
        True
    """

    window: int = 5

    def __post_init__(self):
        if self.window < 1:
            raise EstimatorError(f"window is {self.window}", allowed="1 or more", path=("window",))

    def decide(self, scores, scale):
        recent, before = scores[-self.window :], scores[-2 * self.window : -self.window]
        stop = len(before) == self.window and not recent.mean() > before.mean()
        reason = f"the last {self.window} scores are {'not ' if stop else ''}above those before"
        return replace(Patience().decide(scores, scale), stop=stop, reason=reason)
