"""The four families of concave curves, and a curve of one of them with its peak.

All families share one shape, here for one decaying term,

    f(t) = a1 + a2 g(t; a3) + a4 t + a5 t^2,    a2, a3, a5 < 0,    g(t; a) = exp(a u(t)),

and differ in the number of decaying terms and in the clock u: t itself makes them exponentials,
log(t + 1) powers of t + 1. Either way g is convex and falls towards 0, so f is concave, hence
unimodal, and its peak is where the slope changes its sign.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schedplan.errors import EstimatorError, did_you_mean

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Family(ABC):
    """A family of concave curves, for metrics that are maximised.

    Parameters are ordered as in the paper: a constant, an (amplitude, rate) pair for each decaying
    term, the linear and the quadratic coefficient. Rates are below 0, amplitudes and the quadratic
    coefficient at most 0, the others free. Times `t` are epochs.
    """

    name: ClassVar[str]
    terms: ClassVar[int]
    """How many decaying terms there are, 1 or 2."""

    @staticmethod
    @abstractmethod
    def clock(t: Array) -> Array:
        """Return u(t), in the shape of `t`; a decaying term is exp(rate u)."""

    @staticmethod
    @abstractmethod
    def clock_speed(t: Array) -> Array:
        """Return u'(t), in the shape of `t`."""

    @staticmethod
    @abstractmethod
    def rate_bounds(span: float) -> tuple[float, float]:
        """Return the fastest and the slowest rate (both < 0) told apart over `span` epochs."""

    def value(self, parameters: Array, t: ArrayLike) -> Array:
        """Return f(t), in the shape of `t`."""
        t = np.asarray(t, dtype=np.float64)
        decayed = np.exp(self.clock(t)[..., None] * parameters[2:-2:2])
        terms = decayed @ parameters[1:-2:2]
        return np.asarray(parameters[0] + terms + (parameters[-2] + parameters[-1] * t) * t)

    def slope(self, parameters: Array, t: ArrayLike) -> Array:
        """Return f'(t), in the shape of `t`; it never rises with `t`."""
        t = np.asarray(t, dtype=np.float64)
        decayed = np.exp(self.clock(t)[..., None] * parameters[2:-2:2])
        terms = self.clock_speed(t) * (decayed @ (parameters[1:-2:2] * parameters[2:-2:2]))
        return np.asarray(terms + parameters[-2] + 2 * parameters[-1] * t)

    def jacobian(self, parameters: Array, t: Array) -> Array:
        """Return the derivatives of f by the parameters, shape (len(t), len(parameters))."""
        clock = self.clock(t)[:, None]
        decayed = np.exp(clock * parameters[2:-2:2])
        columns = np.empty((len(t), len(parameters)))
        columns[:, 0] = 1.0
        columns[:, 1:-2:2] = decayed
        columns[:, 2:-2:2] = parameters[1:-2:2] * clock * decayed
        columns[:, -2] = t
        columns[:, -1] = t * t
        return columns


@dataclass(frozen=True)
class Power(Family):
    """a1 + a2 (t+1)^a3 + a4 t + a5 t^2 with a2, a3, a5 < 0."""

    name = "power"
    terms = 1

    @staticmethod
    def clock(t: Array) -> Array:
        return np.log1p(t)

    @staticmethod
    def clock_speed(t: Array) -> Array:
        return 1 / (t + 1)

    @staticmethod
    def rate_bounds(span: float) -> tuple[float, float]:
        # Faster, only epoch 0 differs; slower, the term is a logarithm already.
        return -30.0, -1e-3


@dataclass(frozen=True)
class MultiPower(Power):
    """a1 + a2 (t+1)^a3 + a4 (t+1)^a5 + a6 t + a7 t^2 with a2, a3, a4, a5, a7 < 0."""

    name = "multi-power"
    terms = 2


@dataclass(frozen=True)
class Exponential(Family):
    """a1 + a2 e^(a3 t) + a4 t + a5 t^2 with a2, a3, a5 < 0: the paper's best fit, its default."""

    name = "exponential"
    terms = 1

    @staticmethod
    def clock(t: Array) -> Array:
        return t

    @staticmethod
    def clock_speed(t: Array) -> Array:
        return np.ones_like(t)

    @staticmethod
    def rate_bounds(span: float) -> tuple[float, float]:
        # Faster than e^-20 an epoch only epoch 0 differs; slower than e^-0.01 over the whole span
        # the term is a parabola, which the quadratic coefficient has already.
        return -20.0, -0.01 / span


@dataclass(frozen=True)
class MultiExponential(Exponential):
    """a1 + a2 e^(a3 t) + a4 e^(a5 t) + a6 t + a7 t^2 with a2, a3, a4, a5, a7 < 0."""

    name = "multi-exponential"
    terms = 2


FAMILIES: Final[tuple[Family, ...]] = (Power(), MultiPower(), Exponential(), MultiExponential())
"""Every family, in the order of the paper's Table 1."""


def find_family(name: str) -> Family:
    """Return the family called `name`.

    Raises:
        EstimatorError: there is none; the message names all and the nearest.

    Example:
        >>> find_family("exponential")
        Exponential()
    """
    families = {family.name: family for family in FAMILIES}
    if name not in families:
        raise EstimatorError(
            f"no family of curves is called {name!r}",
            allowed=families,
            hint=did_you_mean(name, families),
            path=("family",),
        )
    return families[name]


@dataclass(frozen=True)
class Curve:
    """A curve of one family, in the unit of the scores and in epochs.

    Args:
        family: the family.
        parameters: its parameters, in the family's order.
        sse: the sum of squared errors over the scores it was fitted to.

    Example:
        >>> curve = Curve(Exponential(), (0.9, -0.5, -0.2, 0.0, -1e-5), sse=0.0)
        >>> round(float(curve.value(0)), 6), round(curve.peak_epoch, 2), round(curve.peak, 4)
        (0.4, 26.25, 0.8905)
    """

    family: Family
    parameters: tuple[float, ...]
    sse: float

    def value(self, t: ArrayLike) -> Array:
        """Return the fitted score at epochs `t`, in the shape of `t`."""
        return self.family.value(np.array(self.parameters), t)

    def slope(self, t: ArrayLike) -> Array:
        """Return the fitted gain per epoch at epochs `t`, in the shape of `t`."""
        return self.family.slope(np.array(self.parameters), t)

    @cached_property
    def peak_epoch(self) -> float:
        """The earliest real-valued argmax over [0, inf); inf for a curve that rises for ever.

        As the slope never rises, it is where bisecting the slope's sign ends.
        """
        if self.slope(0.0) <= 0:
            return 0.0
        linear, quadratic = self.parameters[-2:]
        if quadratic == 0 and linear >= 0:
            return math.inf
        rising, falling = 0.0, 1.0
        while self.slope(falling) > 0:
            rising, falling = falling, 2 * falling
        if math.isinf(falling):
            return math.inf
        while rising < (middle := rising + (falling - rising) / 2) < falling:
            if self.slope(middle) > 0:
                rising = middle
            else:
                falling = middle
        return falling

    @property
    def peak(self) -> float:
        """The fitted score at `peak_epoch`; its limit for a curve that rises for ever."""
        if math.isinf(self.peak_epoch):
            return math.inf if self.parameters[-2] > 0 else self.parameters[0]
        return float(self.value(self.peak_epoch))
