"""The answer of a search: a schedule in stages, which can be saved, asked and trained again."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from schedplan.checks import require_whole
from schedplan.errors import ConfigError, PlanError
from schedplan.journal import RunFolder, write_text
from schedplan.knees import Mode
from schedplan.space import changing_in, names_in
from schedplan.trainer import derive_seed
from schedplan.yaml_file import dump_yaml, read_yaml

VERSION = 1
"""The version of the file format."""


@dataclass(frozen=True)
class Stage:
    """Train for `epochs` epochs under `params`.

    Attributes:
        state: the state's name in the search.
        params: all hyperparameters.
        epochs: at least 1, but for a plan's `initial` and `final`.
        score: the metric at the end of the stage as the knee estimator has it; a fitted value
            where a curve is fitted. None where it is not known, as in a published plan.
        observed: the metric that was measured there; None likewise.
        seed: what the trainer was begun with.
    """

    state: str
    params: dict[str, Any]
    epochs: int
    score: float | None
    observed: float | None
    seed: int

    __pydantic_config__: ClassVar = {"extra": "forbid"}


@dataclass(frozen=True)
class Plan:
    """A schedule of stages, in the order of training.

    Attributes:
        name: of the search.
        metric: what was planned for.
        mode: `max` or `min`.
        score: the metric expected at the end, as it is measured under the settings of the last of
            `path`; None where it is not known.
        initial: where the model was made, if no epoch was kept there: a stage of 0 epochs.
        stages: one or more; none only if no training improved on the initial model.
        final: where the plan ends, if no epoch was kept there: a stage of 0 epochs.
        complete: whether the search came to its end; if a budget ended it, this is the best so far.
        confirmed: what training along the plan once more, from scratch and with another seed,
            has reached, if that was tried.
        provenance: where the plan comes from: configuration, versions, snapshot hash.

    Raises:
        PlanError: one of `stages` has no epochs, `initial` or `final` has some, or a score is not
            finite.

    Example:
        >>> stages = (
        ...     Stage("16_0.1", {"clip": 16, "rate": 0.1}, 30, score=0.5, observed=0.51, seed=1),
        ...     Stage("32_0.01", {"clip": 32, "rate": 0.01}, 10, score=0.6, observed=0.59, seed=2),
        ... )
        >>> plan = Plan("demo", metric="top1", mode="max", score=0.6, stages=stages)
        >>> plan.epochs, plan.starts
        (40, (0, 30))
        >>> plan.params_at(30)
        {'clip': 32, 'rate': 0.01}
    """

    name: str
    metric: str
    mode: Mode
    score: float | None
    stages: tuple[Stage, ...]
    initial: Stage | None = None
    final: Stage | None = None
    complete: bool = True
    confirmed: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def __post_init__(self) -> None:
        _require_finite("", self, "score", "confirmed")
        for number, stage in enumerate(self.stages):
            place = f"stages.{number}."
            require_whole(f"{place}epochs", stage.epochs, at_least=1, error=PlanError)
            _require_finite(place, stage, "score", "observed")
        for place, end in {"initial.": self.initial, "final.": self.final}.items():
            if end is not None:
                if end.epochs != 0:
                    raise PlanError(f"{place}epochs is {end.epochs!r}", allowed="0")
                _require_finite(place, end, "score", "observed")

    @property
    def epochs(self) -> int:
        """The length of the schedule in epochs."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def starts(self) -> tuple[int, ...]:
        """The epochs in which the stages begin, counted from 0 over the whole schedule."""
        ends = accumulate(stage.epochs for stage in self.stages)
        return tuple(end - stage.epochs for end, stage in zip(ends, self.stages, strict=True))

    @property
    def path(self) -> tuple[Stage, ...]:
        """All that a replay goes through: the stages between `initial` and `final`."""
        ends = self.initial, *self.stages, self.final
        return tuple(stage for stage in ends if stage is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters of `path`, those of its first stage first."""
        return names_in(stage.params for stage in self.path)

    @property
    def changing(self) -> tuple[str, ...]:
        """Those that are not the same in all `stages`, also where only some of these have them."""
        return changing_in([stage.params for stage in self.stages])

    @property
    def confirmation_seed(self) -> int:
        """The seed to train along the plan once more with, see `confirm`."""
        return derive_seed(self.provenance.get("seed", 0), "confirm")

    @property
    def bare(self) -> Plan:
        """The plan without what does not matter to training along it."""
        return replace(self, complete=True, confirmed=None, provenance={})

    def cost(self, unit: str | None, epochs: int | None = None) -> float:
        """Return what training along the plan costs.

        Args:
            unit: the hyperparameter that says what an epoch costs; None: every epoch costs 1.
            epochs: only of the first so many epochs; None: of all.

        Example:
            >>> short = Stage("16", {"clip": 16}, 30, score=None, observed=None, seed=0)
            >>> long = Stage("32", {"clip": 32}, 10, score=None, observed=None, seed=0)
            >>> plan = Plan("demo", "top1", "max", score=None, stages=(short, long))
            >>> plan.cost("clip"), plan.cost("clip", epochs=31), plan.cost(None)
            (800, 512, 40)
        """
        paid = self.epochs if epochs is None else epochs
        return sum(
            min(stage.epochs, max(paid - start, 0)) * (stage.params[unit] if unit else 1)
            for start, stage in zip(self.starts, self.stages, strict=True)
        )

    def stage_at(self, epoch: int) -> Stage:
        """Return the stage of the epoch counted from 0 over the whole schedule.

        Raises:
            PlanError: if `epoch` is not in [0, epochs).
        """
        if not 0 <= epoch < self.epochs:
            raise PlanError(
                f"the plan has no epoch {epoch}",
                allowed=f"0 to {self.epochs - 1}" if self.stages else "none, it is empty",
            )
        return self.stages[bisect_right(self.starts, epoch) - 1]

    def params_at(self, epoch: int) -> dict[str, Any]:
        """Return the hyperparameters of the epoch counted from 0 over the whole schedule.

        Raises:
            PlanError: if `epoch` is not in [0, epochs).
        """
        return dict(self.stage_at(epoch).params)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, as it is saved."""
        facts = {"version": VERSION, **asdict(self)}
        return {**facts, "stages": list(facts["stages"])}

    def as_yaml(self) -> str:
        """Return the text of the plan's file."""
        return dump_yaml(self.as_dict())

    def save(self, path: Path) -> None:
        """Write the plan as YAML."""
        write_text(path, self.as_yaml())

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan that `save` has written.

        Args:
            path: the file, or the run folder that it lies in.

        Raises:
            PlanError: if the file is missing, no YAML, of another version, or not a plan; the
                message names the place inside the file.
        """
        path = Path(path)
        if path.is_dir():
            path = RunFolder(path).plan_file
        try:
            facts = read_yaml(path).data
        except ConfigError as error:
            raise PlanError(error.what, where=error.where) from error
        return cls.from_dict(facts, where=str(path))

    @classmethod
    def from_dict(cls, facts: Any, where: str | None = None) -> Plan:
        """Return the plan that `as_dict` has described; PlanError if it is none."""
        # pydantic is imported here because it is slow to import and only reading needs it.
        from pydantic import TypeAdapter, ValidationError

        if not isinstance(facts, dict) or "stages" not in facts:
            raise PlanError("this is no plan", where=where, hint="`schedplan run` makes one")
        if facts.get("version") != VERSION:
            raise PlanError(
                f"the plan has the version {facts.get('version')!r}", where=where, allowed=[VERSION]
            )
        content = {key: value for key, value in facts.items() if key != "version"}
        try:
            return TypeAdapter(cls).validate_python(content)
        except PlanError as error:
            raise error.at(where or "") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise PlanError(f"{place}: {first['msg']}", where=where) from error


def _require_finite(place: str, holder: Plan | Stage, *names: str) -> None:
    for name in names:
        score = getattr(holder, name)
        if score is not None and not isfinite(score):
            raise PlanError(f"{place}{name} is {score!r}", allowed="a finite number, or none")
