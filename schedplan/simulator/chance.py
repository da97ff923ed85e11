"""Random numbers that depend on what they are drawn for alone, on every machine, in any order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from schedplan.trainer import derive_seed

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def uniform(*parts: object) -> float:
    """Return a number in (0, 1) that depends on `parts` alone."""
    return (derive_seed(*parts) + 0.5) / 2**32


def normal(*parts: object) -> float:
    """Return a standard normal number that depends on `parts` alone (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(uniform(*parts, "radius")))
    return radius * math.cos(math.tau * uniform(*parts, "angle"))


def normals(seed: int, epochs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return one standard normal number per epoch; each depends on `seed` and its epoch alone.

    Args:
        seed: in [0, 2**32).
        epochs: shape (n,), each in [0, 2**31).

    Example:
        >>> bool(normals(7, np.arange(9))[5] == normals(7, np.array([5]))[0])
        True
    """
    counters = (np.uint64(seed) << np.uint64(32)) + (epochs.astype(np.uint64) << np.uint64(1))
    radius = np.sqrt(-2.0 * np.log(_mixed(counters)))
    return np.asarray(radius * np.cos(math.tau * _mixed(counters + np.uint64(1))))


def _mixed(counters: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return a number in (0, 1) for each counter (SplitMix64)."""
    bits = counters * _GOLDEN + _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    bits ^= bits >> np.uint64(31)
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
