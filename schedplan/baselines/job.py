"""A job of a comparison: to train along one strategy with one seed, in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schedplan.baselines.results import load_result, save_result
from schedplan.course import Observer, replay, stages_by_key
from schedplan.errors import RunFailedError
from schedplan.journal import RunFolder, remove_folder
from schedplan.plan import Plan
from schedplan.trainer import Metrics, TrainerFactory

_RESULT = "compared.json"


@dataclass(frozen=True)
class Result:
    """What training along a strategy with one seed has come to.

    Attributes:
        metrics: all that was measured of the model of the last epoch; nothing if it failed.
        epochs: how many were trained.
        seconds: that they took: training, evaluation, snapshot. What is measured before the first
            epoch of a stage does not count: only that it is a stage makes it necessary.
        failure: why it failed; None if it did not.
    """

    metrics: Metrics
    epochs: int
    seconds: float
    failure: str | None = None


@dataclass(frozen=True)
class Job:
    """A strategy that is to be trained with one seed; picklable.

    Attributes:
        plan: the strategy's.
        trainer: makes trainers.
        folder: where to train.
        seed: each stage's seed derives from it and from the stage's number, so that all strategies
            begin with the same weights if the trainer draws them by the seed.
        config: plain data to bind the folder to, besides the plan and the seed.
    """

    plan: Plan
    trainer: TrainerFactory
    folder: Path
    seed: int
    config: Mapping[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What the folder is bound to."""
        return {"replay": self.plan.as_dict(), **self.config, "seed": self.seed}

    def __call__(self, observe: Observer | None) -> Result:
        """Train, or go on with it; what stays are the journals and the result, and no model.

        Raises:
            RunFolderError, UsageError, DamagedSnapshotError, OSError: see `replay`.
        """
        try:
            replay(
                self.plan,
                self.trainer,
                self.folder,
                seed=self.seed,
                on_event=observe or (lambda event: None),
                config=self.facts,
            )
        except RunFailedError as error:
            return self.failed(str(error))
        *_, key = stages_by_key(self.plan)
        last = RunFolder(self.folder).transition(key)
        result = self._result(last.records()[-1].metrics)
        save_result(self.folder / _RESULT, result)
        self._tidy()
        return result

    @property
    def epochs(self) -> int:
        """How many epochs are trained so far."""
        return self._result({}).epochs

    def failed(self, reason: str) -> Result:
        """Return the result of a training that has failed, with what was trained until then."""
        return self._result({}, reason)

    def _result(self, metrics: Metrics, failure: str | None = None) -> Result:
        """Return a result with all epochs that are written down."""
        stages = RunFolder(self.folder).trainings()
        epochs = [each for stage in stages for each in stage.records() if each.epoch > 0]
        return Result(metrics, len(epochs), sum(each.seconds for each in epochs), failure)

    def known(self) -> Result | None:
        """Return the result of an earlier session; None if there is none, or it had failed.

        Raises:
            RunFolderError: the file is damaged; it is named.
        """
        hint = "remove the folder that it lies in to train it again"
        result = load_result(self.folder / _RESULT, Result, hint)
        if result:
            self._tidy()
        return result

    def _tidy(self) -> None:
        for name in ("snapshots", "model"):
            remove_folder(self.folder / name)
