"""Estimators made of estimators."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

from schedplan.errors import EstimatorError
from schedplan.knees.base import Array, KneeEstimator, Scale, Verdict, require_whole


@dataclass(frozen=True)
class AtMost(KneeEstimator):
    """Stop at epoch `epochs` whatever `estimator` says; epoch and score are chosen by it.

    Args:
        epochs: the last epoch to train, at least 1.
        estimator: what decides until then.

    Raises:
        EstimatorError: an argument out of bounds.

    Example:
        >>> from schedplan.knees import Patience
        >>> AtMost(2, Patience(10))([0.1, 0.4, 0.5]).reason
        'cap of 2 epochs reached; no better score for 0 epochs'
    """

    epochs: int
    estimator: KneeEstimator

    def __post_init__(self) -> None:
        require_whole("epochs", self.epochs, at_least=1)

    @property
    def lookback(self) -> int:
        """That of the wrapped estimator."""
        return self.estimator.lookback

    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        verdict = self.estimator.decide(scores, scale)
        if verdict.stop or len(scores) - 1 < self.epochs:
            return verdict
        reason = f"cap of {self.epochs} epochs reached; {verdict.reason}"
        return replace(verdict, stop=True, reason=reason)


@dataclass(frozen=True)
class AtLeast(KneeEstimator):
    """Do not stop before epoch `epochs`; all else is up to `estimator`.

    Args:
        epochs: the first epoch at which training may stop, at least 0.
        estimator: what decides from then on, and chooses epoch and score.

    Raises:
        EstimatorError: an argument out of bounds.

    Example:
        >>> from schedplan.knees import Patience
        >>> AtLeast(4, Patience(1))([0.5, 0.4, 0.3]).stop
        False
    """

    epochs: int
    estimator: KneeEstimator

    def __post_init__(self) -> None:
        require_whole("epochs", self.epochs, at_least=0)

    @property
    def lookback(self) -> int:
        """That of the wrapped estimator."""
        return self.estimator.lookback

    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        verdict = self.estimator.decide(scores, scale)
        if not verdict.stop or len(scores) - 1 >= self.epochs:
            return verdict
        reason = f"epoch {self.epochs} not reached yet; {verdict.reason}"
        return replace(verdict, stop=False, reason=reason)


@dataclass(frozen=True, init=False)
class _Several(KneeEstimator):
    estimators: tuple[KneeEstimator, ...]

    def __init__(self, *estimators: KneeEstimator) -> None:
        if not estimators:
            raise EstimatorError(f"{type(self).__name__} has no estimators", allowed="one or more")
        object.__setattr__(self, "estimators", estimators)

    @property
    def lookback(self) -> int:
        """That of the first one, which chooses."""
        return self.estimators[0].lookback

    def decide(self, scores: Array, scale: Scale | None) -> Verdict:
        verdicts = [estimator.decide(scores, scale) for estimator in self.estimators]
        stop = self._joined([verdict.stop for verdict in verdicts])
        reasons = [verdict.reason for verdict in verdicts if verdict.stop == stop]
        return replace(verdicts[0], stop=stop, reason="; ".join(reasons))

    @abstractmethod
    def _joined(self, stops: list[bool]) -> bool:
        """Say whether to stop, given who wants to."""


@dataclass(frozen=True, init=False)
class All(_Several):
    """Stop once all estimators say so; the first one chooses epoch and score.

    Args:
        estimators: one or more.

    Raises:
        EstimatorError: there are none.

    Example:
        >>> from schedplan.knees import CurveFit, Patience
        >>> All(CurveFit(), Patience(20))([0.5] * 15).stop  # flat, but not for 20 epochs yet
        False
    """

    def _joined(self, stops: list[bool]) -> bool:
        return all(stops)


@dataclass(frozen=True, init=False)
class Any(_Several):
    """Stop once any of the estimators says so; the first one chooses epoch and score.

    Args:
        estimators: one or more.

    Raises:
        EstimatorError: there are none.

    Example:
        >>> from schedplan.knees import CurveFit, Patience
        >>> Any(CurveFit(), Patience(5))([0.5] * 8).stop
        True
    """

    def _joined(self, stops: list[bool]) -> bool:
        return any(stops)
