"""A simulated trainer: staged training with a known optimum, in no time.

Every state has a gain, a pace and a bend of its own, drawn from a hash of its settings. The
validation curve of a transition into it is

    y(t) = y(0) + gain (1 - e^(-t / pace)) - bend t^2,

or, where the gain is negative, falls straight instead of saturating. All curves are concave.
What a state adds does not depend on the path before it, so the best path is known (`optimum`).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx

from schedplan.errors import TrainerError
from schedplan.graph import StateGraph
from schedplan.simulator.chance import normal, uniform
from schedplan.space import INITIAL, Params, State
from schedplan.trainer import Metrics

HORIZON = 60
"""Every simulated curve peaks before this epoch."""


_QUALITY = ("quality", "score", "accuracy", "top1", "top5", "mean_top135")


class SimulatedTrainer:
    """Reports its quality under the usual names, and `loss` = 1 - quality, so that it can stand in
    for the trainer of any configuration: `--set trainer='{use: simulated}'`.

    Args:
        problem: another number gives another problem with other gains.
        noise: the standard deviation of the measured quality, at least 0; the quality handed on
            is free of it.

    Raises:
        TrainerError: if `noise` is negative.

    Example:
        >>> trainer = SimulatedTrainer()
        >>> trainer.begin({"rate": 0.1}, start=None, seed=0)
        >>> before = trainer.evaluate()["quality"]
        >>> _ = trainer.train_epoch()
        >>> trainer.evaluate()["quality"] != before
        True
    """

    metrics = (*_QUALITY, "loss")

    def __init__(self, *, problem: int = 0, noise: float = 0.0) -> None:
        if not noise >= 0:
            raise TrainerError(f"noise is {noise}", allowed="0 or more", path=("noise",))
        self._problem, self._noise = problem, noise

    def begin(self, params: Params, start: Path | None, seed: int) -> None:
        self._base = _read(start)["quality"] if start else 0.0
        self._curve = SimulatedCurve.of(self._problem, params)
        self._seed, self._epoch = seed, 0

    def train_epoch(self) -> Metrics:
        self._epoch += 1
        return {}

    def evaluate(self) -> Metrics:
        quality = self._quality() + self._noise * normal(self._seed, self._epoch)
        return {**dict.fromkeys(_QUALITY, quality), "loss": 1.0 - quality}

    def save(self, folder: Path) -> None:
        facts = {"quality": self._quality(), "epoch": self._epoch}
        (folder / "simulated.json").write_text(json.dumps(facts))

    def restore(self, folder: Path) -> None:
        self._epoch = _read(folder)["epoch"]

    def _quality(self) -> float:
        return self._base + self._curve.at(self._epoch)


@dataclass(frozen=True)
class SimulatedCurve:
    """How quality moves while one state is trained.

    Attributes:
        gain: what endless training without a bend would add; below 0 if it harms.
        pace: epochs, above 0.
        bend: above 0; how fast overfitting sets in.
    """

    gain: float
    pace: float
    bend: float

    @classmethod
    def of(cls, problem: int, params: Params) -> SimulatedCurve:
        """Return the curve of training under `params`."""
        text = json.dumps(params, sort_keys=True)
        gain, pace, bend = (uniform(problem, part, text) for part in ("gain", "pace", "bend"))
        return cls(gain=gain - 0.2, pace=2.0 + 4.0 * pace, bend=1e-4 + 4e-4 * bend)

    def at(self, epoch: int) -> float:
        """Return what training for `epoch` epochs adds to the quality."""
        progress = -math.expm1(-epoch / self.pace) if self.gain > 0 else epoch / self.pace
        return self.gain * progress - self.bend * epoch**2

    @property
    def knee(self) -> int:
        """The epoch after which the quality is highest."""
        return max(range(HORIZON), key=self.at)


def optimum(graph: StateGraph, problem: int = 0) -> tuple[float, tuple[State, ...]]:
    """Return the quality and the states of the best path, when every knee is found exactly.

    It is found by trying every path, so keep the graph small.

    Example:
        >>> from schedplan import Axis, Space, build_graph
        >>> from schedplan.graph import basic
        >>> space = Space((Axis("rate", (0.1, 0.01)),))
        >>> graph = build_graph(space, basic(), space.states(), space.select({"rate": "last"}))
        >>> quality, path = optimum(graph)
        >>> path[-1]
        <State 0.01>
    """

    def value(path: tuple[State, ...]) -> float:
        curves = (SimulatedCurve.of(problem, state.space.params(state)) for state in path)
        return sum(curve.at(curve.knee) for curve in curves)

    paths = (
        tuple(path[1:])
        for final in graph.finals
        for path in nx.all_simple_paths(graph.dag, INITIAL, final)
    )
    return max((value(path), path) for path in paths)


def _read(snapshot: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((snapshot / "simulated.json").read_text())
    return facts
