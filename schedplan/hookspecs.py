"""Every extension point. A plug-in implements any of these functions, marked with `hookimpl`, and
names its module as an entry point of the group `schedplan`; `--plugin NAME` loads it, and
`schedplan plugins` tells what it adds, or why it cannot be loaded: a marked function of another
name, for example, is refused.

A factory may be given as text, `"package.module:attribute"`: it is imported when it is used, so
that a plug-in loads fast and needs its heavy dependencies only then. The options of a factory are
the annotated parameters of its signature; configurations are checked against them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pluggy

hookspec = pluggy.HookspecMarker("schedplan")
hookimpl = pluggy.HookimplMarker("schedplan")

Factory: TypeAlias = Callable[..., Any] | str


@hookspec
def schedplan_trainers() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return factories (options) -> Trainer, for `trainer: {use: NAME, ...}`."""


@hookspec
def schedplan_axis_kinds() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return functions (options) -> a list of levels, for `axes: {AXIS: {NAME: {...}}}`."""


@hookspec
def schedplan_rules() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return factories (options) -> Rule, for `transitions: {rules: [{NAME: {...}}]}`."""


@hookspec
def schedplan_estimators() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return factories (options) -> KneeEstimator, for `knee: {estimator: NAME, ...}`."""


@hookspec
def schedplan_presets() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return functions (fixed, reversible) -> Rule, for `transitions: {preset: NAME}`."""


@hookspec
def schedplan_executors() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return factories (workers, devices, scheduler) -> Executor, for `run --engine NAME`."""


@hookspec
def schedplan_configs() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return functions () -> the text of a configuration, for `run --preset NAME` and its like."""


@hookspec
def schedplan_plans() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return functions () -> Plan, for `replay --preset NAME` and its like."""


@hookspec
def schedplan_commands() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return typer applications, for `schedplan NAME ...`, where NAME is also the plug-in's."""


@hookspec
def schedplan_trackers() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Return functions (run folder) -> context manager that gives a function (event), for
    `run --track NAME`; see `schedplan.trackers`."""


@hookspec
def schedplan_event(event: Any) -> None:
    """React to what happens in a search, or in training along a plan: `schedplan.solver.Event`.

    A `PauseEvent` tells that a training waits for its rivals, or goes on. A plug-in that raises is
    told no more of the run, with a warning."""
