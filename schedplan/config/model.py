"""What a configuration may say: its sections, keys, types and defaults."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schedplan.errors import ConfigError
from schedplan.journal import KeepSnapshots
from schedplan.knees import Mode
from schedplan.solver.search import Order

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


def _nothing_as_empty(value: Any) -> Any:
    return {} if value is None else value


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _list_or_kind(value: Any) -> Any:
    if not isinstance(value, (list, dict)):
        raise ValueError("a list of values, or {KIND: {option: value}}")
    return value


class BudgetSection(_Section):
    """Where the search stops, all sessions of a run together; without a number: nowhere."""

    epochs: Annotated[int, Field(ge=0)] | None = None
    cost: Amount | None = None
    hours: Amount | None = None


class SearchSection(_Section):
    """How the graph is searched."""

    prune: Any = "safe"  # see `schedplan.pruning.PRUNINGS`
    keep: Any = "best"  # NAME or {NAME: width}, see `schedplan.frontier.FRONTIERS`
    order: Order = "topological"
    budget: Annotated[BudgetSection, BeforeValidator(_nothing_as_empty)] = BudgetSection()
    cost: str | None = None
    devices: Annotated[int, Field(ge=1)] | str = 1
    speculate: bool = False
    keep_snapshots: KeepSnapshots = "best"


class TrainerSection(_Section):
    """What trains; further keys are the trainer's own, and `replay` holds what a replay changes of
    them, such as the data that is trained on once the plan is known."""

    model_config = ConfigDict(extra="allow")
    use: str
    replay: Annotated[dict[str, Any], BeforeValidator(_nothing_as_empty)] = {}


class Config(_Section):
    """A whole configuration."""

    name: Annotated[str, BeforeValidator(_file_name)]
    metric: str
    mode: Mode = "max"
    seed: Annotated[int, Field(ge=0)] = 0
    plugins: Names = []
    axes: dict[str, Annotated[Any, AfterValidator(_list_or_kind)]]
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
    return list(_section_at(path).model_fields)


def no_section(path: tuple[str | int, ...], value: Any) -> ConfigError:
    """Return the error for a `value` that stands where a section has to.

    Example:
        >>> print(no_section(("search", "budget"), 100))
        search.budget is 100; allowed: a mapping of epochs, cost, hours; such as {epochs: 100}
    """
    keys = allowed_keys(path)
    name = ".".join(map(str, path))
    try:  # what was meant may be the value of the first key
        _section_at(path).model_validate({keys[0]: value})
        hint = f"such as {{{keys[0]}: {value}}}"
    except ValidationError:
        hint = None
    allowed = f"a mapping of {', '.join(keys)}"
    return ConfigError(f"{name} is {value!r}", allowed=allowed, hint=hint, path=path)


def _section_at(path: tuple[str | int, ...]) -> type[BaseModel]:
    sections: dict[tuple[str | int, ...], type[BaseModel]] = {
        (): Config,
        ("transitions",): TransitionsSection,
        ("knee",): KneeSection,
        ("search",): SearchSection,
        ("search", "budget"): BudgetSection,
        ("trainer",): TrainerSection,
    }
    return sections.get(path, LinkSection)
