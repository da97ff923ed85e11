"""A trainer of staged problems, for any configuration with a learning rate and a clip length."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from schedplan.simulator.chance import normals
from schedplan.simulator.physics import SCRATCH, Physics, Setting, Shape, hidden_from
from schedplan.simulator.roles import Roles
from schedplan.space import Params
from schedplan.trainer import Metrics

_QUALITY = ("quality", "score", "accuracy", "top1", "top5", "mean_top135")


class StagedTrainer:
    """Trains as a `StagedProblem` says, and reports fractions of 1: `top1` 0.78 is 78 points.

    Quality is reported under the usual names, and `loss` = 1 - quality. Noise may push either
    beyond 0 to 1. With the default roles, it agrees with `StagedProblem.draw(problem, ...)`.

    Args:
        problem: another number gives another problem.
        noise: the standard deviation of one measurement at the highest rate, in points: 0.3 makes
            0.003. The quality handed on is free of it.
        shape: `smooth`, `late` or `heavy`, see `schedplan.simulator.Shape`.
        rate, range, strategy: the names of the hyperparameters with these meanings; those absent
            from the configuration have no effect. All others modify training mildly.
        highest_rate, shortest, longest: where the rate starts, and the ends of the range.

    Raises:
        TrainerError: for a negative noise, an unknown shape or bounds that are no range; `check`
            raises it for a rate or range that is no number above 0.

    Example:
        >>> trainer = StagedTrainer(problem=3, noise=0)
        >>> trainer.begin({"learning_rate": 0.04, "clip_length": 16}, start=None, seed=0)
        >>> before = trainer.evaluate()["top1"]
        >>> _ = trainer.train_epoch()
        >>> before < trainer.evaluate()["top1"] < 1
        True
    """

    metrics = (*_QUALITY, "loss")
    scales: Mapping[str, tuple[float, float]] = MappingProxyType(
        {**dict.fromkeys(_QUALITY, (SCRATCH / 100, 1.0)), "loss": (1.0 - SCRATCH / 100, 0.0)}
    )

    def __init__(
        self,
        *,
        problem: int = 0,
        noise: float = 0.3,
        shape: Shape = "smooth",
        rate: str = "learning_rate",
        range: str = "clip_length",  # noqa: A002
        strategy: str = "sampling",
        highest_rate: float = 0.04,
        shortest: float = 16,
        longest: float = 128,
    ) -> None:
        roles = Roles(rate, range, strategy, highest_rate, shortest, longest)
        self._physics = Physics.draw(problem, noise=noise, shape=shape, roles=roles)

    def check(self, params: Params) -> None:
        """Raise TrainerError if the rate or the range is no number above 0."""
        self._physics.setting(params)

    def begin(self, params: Params, start: Path | None, seed: int) -> None:
        self._setting = self._physics.setting(params)
        self._handed_over = self._physics.initial
        if start:
            facts = _read(start)
            self._handed_over = self._physics.after(
                hidden_from(facts["handed_over"]), self._setting_of(facts), facts["epoch"]
            )
        self._params, self._seed, self._epoch = dict(params), seed, 0

    def train_epoch(self) -> Metrics:
        self._epoch += 1
        return {}

    def evaluate(self) -> Metrics:
        epochs = np.array([self._epoch])
        points = self._physics.qualities(self._handed_over, self._setting, epochs)
        points = points + self._setting.noise * normals(self._seed, epochs)
        quality = float(points[0]) / 100.0
        return {**dict.fromkeys(_QUALITY, quality), "loss": 1.0 - quality}

    def save(self, folder: Path) -> None:
        facts = {
            "handed_over": self._handed_over._asdict(),
            "params": self._params,
            "epoch": self._epoch,
        }
        (folder / "staged.json").write_text(json.dumps(facts))

    def restore(self, folder: Path) -> None:
        facts = _read(folder)
        self._handed_over, self._epoch = hidden_from(facts["handed_over"]), facts["epoch"]

    def _setting_of(self, facts: dict[str, Any]) -> Setting:
        return self._physics.setting(facts["params"])


def _read(snapshot: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((snapshot / "staged.json").read_text())
    return facts
