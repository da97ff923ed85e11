"""Problems of staged training: a graph of settings, and what training along it does.

Everything here is in percentage points, 0 to 100, and epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from schedplan.errors import TrainerError, did_you_mean
from schedplan.graph import StateGraph, build_graph, default_final, default_start, extended
from schedplan.simulator.chance import normals
from schedplan.simulator.physics import Array, Hidden, Physics, Setting, Shape
from schedplan.space import Axis, Space, State

SIZES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "single": (1, 3, 3),
        "kinetics": (2, 3, 3),
        "large": (2, 4, 4),
        "cube": (1, 4, 4, 4),
        "huge": (2, 6, 5, 5),
    }
)
"""How many sampling strategies, clip lengths, learning rates and augmentations a size has: 18, 36,
70, 218 and 1,134 transitions."""

_STRATEGIES = ("consecutive", "uniform", "dense", "sparse")


@dataclass(frozen=True)
class StagedProblem:
    """A planning problem whose truth is known; make one with `draw`.

    Args:
        physics: the constants of training.
        space: the settings; axes with the names that `physics.roles` gives have the meaning of
            those roles, others modify training mildly.
        dearest: what an epoch of the last range level costs, in epochs of the first level; the
            levels between are spaced geometrically (1, 2, 4 for three levels).

    Example:
        >>> problem = StagedProblem.draw(3, noise=0.3)
        >>> problem.graph.transitions
        36
        >>> first = problem.graph.starts[0]
        >>> model = problem.after(problem.initial, first, epochs=60)
        >>> problem.quality(model) > problem.quality(problem.initial)
        True
        >>> scores = problem.measured(problem.initial, first, epochs=60, seed=1)
        >>> scores.shape, bool(abs(scores[60] - problem.quality(model)) < 5 * problem.physics.noise)
        ((61,), True)
    """

    physics: Physics
    space: Space
    dearest: float = 4.0

    @classmethod
    def draw(
        cls, seed: int, *, noise: float = 0.3, size: str = "kinetics", shape: Shape = "smooth"
    ) -> StagedProblem:
        """Return problem number `seed` of a family.

        Args:
            seed: other numbers give other problems.
            noise: the standard deviation of one measurement at the highest rate, in points.
            size: a key of `SIZES`.
            shape: of the curves, see `Shape`.

        Raises:
            TrainerError: if there is no such size or shape, or the noise is negative.
        """
        if size not in SIZES:
            raise TrainerError(
                f"size is {size!r}", allowed=SIZES, hint=did_you_mean(size, SIZES), path=("size",)
            )
        physics = Physics.draw(seed, noise=noise, shape=shape)
        strategies, ranges, rates, *others = SIZES[size]
        axes = [
            Axis("sampling", _STRATEGIES[:strategies]),
            Axis("clip_length", _lengths(ranges)),
            Axis("learning_rate", _rates(rates)),
            *(Axis(f"augmentation{n or ''}", tuple(range(k))) for n, k in enumerate(others)),
        ]
        return cls(physics, Space(tuple(axes)))

    @cached_property
    def graph(self) -> StateGraph:
        """The extended graph: the strategy is fixed and the range may move back."""
        roles, names = self.physics.roles, {axis.name for axis in self.space.axes}
        fixed = tuple(sorted({roles.strategy} & names))
        reversible = tuple(sorted({roles.range} & names))
        starts = self.space.select(default_start(self.space, fixed, reversible))
        finals = self.space.select(default_final(self.space, fixed))
        return build_graph(self.space, extended(fixed, reversible), starts, finals)

    @property
    def initial(self) -> Hidden:
        """A model from scratch, the one of S0."""
        return self.physics.initial

    def cost(self, state: State) -> float:
        """Return what an epoch under `state` costs, in epochs of the first range level."""
        names = [axis.name for axis in self.space.axes]
        if self.physics.roles.range not in names:
            return 1.0
        position = names.index(self.physics.roles.range)
        last = len(self.space.axes[position].values) - 1
        return self.dearest ** (state[position] / last) if last > 1 else 2.0 ** state[position]

    def after(self, hidden: Hidden, state: State, epochs: float) -> Hidden:
        """Return the model after so many more epochs under `state`.

        If `hidden` was trained under another state last, a new stage begins; otherwise its stage
        goes on, so `after(h, s, a + b)` is `after(after(h, s, a), s, b)`.
        """
        return self.physics.after(hidden, self.setting(state), epochs)

    def quality(self, hidden: Hidden) -> float:
        """Return what a model scores without noise, in points."""
        return self.physics.quality(hidden)

    def curve(self, hidden: Hidden, state: State, epochs: int) -> Array:
        """Return the noise-free quality after 0 to `epochs` more epochs, shape (epochs + 1,)."""
        return self.physics.qualities(hidden, self.setting(state), _epochs(epochs))

    def noise(self, seed: int, state: State, epoch: int) -> float:
        """Return the error of one measurement, in points.

        Args:
            seed: of the transition, in [0, 2**32): the one handed to a trainer's `begin`.
            state: the transition's target; it settles the standard deviation alone.
            epoch: in the transition, 0 first.
        """
        return self.setting(state).noise * float(normals(seed, np.array([epoch]))[0])

    def measured(self, hidden: Hidden, state: State, epochs: int, seed: int) -> Array:
        """Return the scores of a transition after epochs 0 to `epochs`, in points.

        Args:
            hidden: the model as handed over.
            state: the transition's target.
            epochs: the last epoch, at least 0.
            seed: of the transition, in [0, 2**32); the same seed replays the same noise, whatever
                the model and the number of epochs.

        Returns:
            Shape (epochs + 1,). Scores may leave 0 to 100 by the noise.
        """
        sd = self.setting(state).noise
        return self.curve(hidden, state, epochs) + sd * normals(seed, _epochs(epochs))

    def setting(self, state: State) -> Setting:
        """Return what training under `state` does."""
        found = self._settings.get(state)
        if found is None:
            found = self._settings[state] = self.physics.setting(self.space.params(state))
        return found

    @cached_property
    def _settings(self) -> dict[State, Setting]:
        return {}


_LADDER = np.arange(1024, dtype=np.int64)


def _epochs(last: int) -> NDArray[np.int64]:
    ladder = _LADDER if last < len(_LADDER) else np.arange(last + 1, dtype=np.int64)
    return ladder[: last + 1]


def _lengths(levels: int) -> tuple[int, ...]:
    """Return clip lengths from 16 to 128 frames; the second one is 32, as in the paper."""
    if levels < 3:
        return (16, 32)[:levels]
    return (16, *(round(32 * 4 ** (n / (levels - 2))) for n in range(levels - 1)))


def _rates(levels: int) -> tuple[float, ...]:
    """Return learning rates from 0.04 down to 0.0004, spaced geometrically."""
    return tuple(float(f"{0.04 * 100 ** (-n / max(levels - 1, 1)):.3g}") for n in range(levels))
