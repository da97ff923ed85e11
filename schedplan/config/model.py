"""What a configuration may say: its sections, keys, types and defaults."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _file_name(value: Any) -> Any:
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise ValueError("letters, digits, '.', '_' and '-', not starting with a sign")
    return value


Names = Annotated[list[str], BeforeValidator(_as_list)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class LinkSection(_Section):
    """A hyperparameter that follows axes by a table."""

    of: Names
    values: list[Any]


class TransitionsSection(_Section):
    """Which transitions there are."""

    preset: str = "extended"
    fixed: Names = []
    reversible: Names = []
    rules: list[str | dict[str, Any]] = []


class KneeSection(_Section):
    """When a transition stops; further keys are the estimator's own."""

    model_config = ConfigDict(extra="allow")
    estimator: str = "exponential"
    max_epochs: Annotated[int, Field(ge=1)] = 400


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class BudgetSection(_Section):
    """Where the search stops, all sessions of a run together; without a number: nowhere."""

    epochs: Annotated[int, Field(ge=0)] | None = None
    cost: Amount | None = None
    hours: Amount | None = None


class SearchSection(_Section):
    """How the graph is searched."""

    prune: Literal["none", "safe", "fast"] = "safe"
    keep: Any = "best"  # NAME or {NAME: width}, see `schedplan.frontier.FRONTIERS`
    order: Literal["topological", "dive"] = "topological"
    budget: BudgetSection = BudgetSection()
    cost: str | None = None
    speculate: bool = False
    keep_snapshots: Literal["best", "all"] = "best"


class TrainerSection(_Section):
    """What trains; further keys are the trainer's own."""

    model_config = ConfigDict(extra="allow")
    use: str


class Config(_Section):
    """A whole configuration."""

    name: Annotated[str, BeforeValidator(_file_name)]
    metric: str
    mode: Literal["max", "min"] = "max"
    seed: Annotated[int, Field(ge=0)] = 0
    plugins: Names = []
    axes: dict[str, list[Any]]
    links: dict[str, LinkSection] = {}
    transitions: TransitionsSection = TransitionsSection()
    start: dict[str, Any] | None = None
    final: dict[str, Any] | None = None
    knee: KneeSection = KneeSection()
    search: SearchSection = SearchSection()
    trainer: TrainerSection


def allowed_keys(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that may stand in the section at `path`.

    Example:
        >>> allowed_keys(("links", "batch_size"))
        ['of', 'values']
    """
    sections: dict[tuple[str | int, ...], type[BaseModel]] = {
        (): Config,
        ("transitions",): TransitionsSection,
        ("search",): SearchSection,
        ("search", "budget"): BudgetSection,
    }
    return list(sections.get(path, LinkSection).model_fields)
