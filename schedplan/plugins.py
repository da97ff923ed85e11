"""Finding plug-ins, loading those asked for, and collecting what they add by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeAlias, get_args

import pluggy

from schedplan import hookspecs
from schedplan.axis_kinds import geometric, linear
from schedplan.curves import FAMILIES
from schedplan.errors import PluginError, did_you_mean, missing
from schedplan.executors.engines import dask, local
from schedplan.graph import any_onward, basic, extended
from schedplan.hookspecs import Factory, hookimpl
from schedplan.knees import (
    CurveFit,
    FixedEpochs,
    Kneedle,
    KneeEstimator,
    Patience,
    Stationarity,
)
from schedplan.rules import Fixed, Forbid, Forward, MaxStep, OneAxis
from schedplan.simulator import SimulatedTrainer, StagedTrainer
from schedplan.trackers import csv_tracker, tensorboard_tracker

Kind: TypeAlias = Literal[
    "trainers",
    "axis_kinds",
    "rules",
    "estimators",
    "presets",
    "executors",
    "configs",
    "plans",
    "trackers",
    "commands",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

BUILT_IN = "schedplan"
"""The name under which the built-ins are registered."""


class BuiltIns:
    """What comes with the core, through the same hooks as anybody's."""

    @hookimpl
    def schedplan_trainers(self) -> Mapping[str, Factory]:
        return {"simulated": SimulatedTrainer, "staged": StagedTrainer}

    @hookimpl
    def schedplan_axis_kinds(self) -> Mapping[str, Factory]:
        return {"linear": linear, "geometric": geometric}

    @hookimpl
    def schedplan_rules(self) -> Mapping[str, Factory]:
        return {
            "fixed": Fixed,
            "forward": Forward,
            "max_step": MaxStep,
            "one_axis": OneAxis,
            "forbid": Forbid,
        }

    @hookimpl
    def schedplan_estimators(self) -> Mapping[str, Factory]:
        return {
            **{family.name: partial(CurveFit, family.name) for family in FAMILIES},
            "paper": _paper,
            "patience": Patience,
            "fixed": FixedEpochs,
            "kneedle": Kneedle,
            "stationarity": Stationarity,
        }

    @hookimpl
    def schedplan_presets(self) -> Mapping[str, Factory]:
        return {"basic": basic, "extended": extended, "any": any_onward}

    @hookimpl
    def schedplan_executors(self) -> Mapping[str, Factory]:
        return {"local": local, "dask": dask}

    @hookimpl
    def schedplan_trackers(self) -> Mapping[str, Factory]:
        return {"csv": csv_tracker, "tensorboard": tensorboard_tracker}


def _paper(delay: int = 10) -> KneeEstimator:
    """Return the paper's literal rule: the model of the fit's peak, worth what was measured."""
    return CurveFit(
        "exponential", delay, growth=0.0, solver="trf", choice="fit", score="observed", margin=0.0
    )


@dataclass(frozen=True)
class Entry:
    """A named factory and the plug-in that it comes from."""

    name: str
    factory: Factory
    plugin: str

    def load(self) -> Any:
        """Return the factory itself, imported if it was given as text.

        Raises:
            MissingDependencyError: if it needs a package that is not installed.
        """
        if not isinstance(self.factory, str):
            return self.factory
        point = installed().get(self.plugin)
        ours = point is not None and point.dist is not None and point.dist.name == BUILT_IN
        return import_attribute(self.factory, extra=self.plugin if ours else None)


class Plugins:
    """The built-ins and the plug-ins named.

    Args:
        names: entry points of the group `schedplan`, such as `video`.

    Raises:
        PluginError: if a name is unknown or that of two plug-ins, or a plug-in cannot be loaded.

    Example:
        >>> sorted(Plugins().all("presets"))
        ['any', 'basic', 'extended']
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._manager = pluggy.PluginManager("schedplan")
        self._manager.add_hookspecs(hookspecs)
        self._manager.register(BuiltIns(), BUILT_IN)
        self.names: list[str] = []
        for name in names:
            if name not in self.names:
                self._load(name)

    def all(self, kind: Kind) -> dict[str, Entry]:
        """Return everything of a kind by name.

        Raises:
            PluginError: if two plug-ins claim one name, or a hook does not return named factories.
        """
        entries: dict[str, Entry] = {}
        for implementation in getattr(self._manager.hook, _hook(kind)).get_hookimpls():
            for name, factory in _call(implementation, _hook(kind)).items():
                entry = Entry(name, factory, implementation.plugin_name)
                if name in entries:
                    raise PluginError(
                        f"the plug-ins {entries[name].plugin!r} and {entry.plugin!r} both add "
                        f"{name!r} to the {singular(kind)}s",
                        hint="load only one of them",
                    )
                entries[name] = entry
        return entries

    def get(self, kind: Kind, name: str) -> Entry:
        """Return one entry; PluginError with the nearest name if there is none."""
        entries = self.all(kind)
        if name in entries:
            return entries[name]
        offers = [plugin for plugin in installed() if plugin not in self.names]
        hint = did_you_mean(name, entries)
        if name in offers:
            hint = f"the plug-in {name!r} is not loaded: add --plugin {name}"
        raise PluginError(
            f"there is no {singular(kind)} {name!r}", allowed=sorted(entries), hint=hint
        )

    def emit(self, event: Any) -> None:
        """Tell every plug-in what has happened in a search."""
        self._manager.hook.schedplan_event(event=event)

    def listeners(self) -> list[str]:
        """Return the names of the plug-ins that react to what happens in a search."""
        return [each.plugin_name for each in self._manager.hook.schedplan_event.get_hookimpls()]

    def _load(self, name: str) -> None:
        point = _find(name)
        try:
            module = point.load()
            self._manager.register(module, name)
        except (Exception, SystemExit) as error:  # the code is somebody else's
            raise PluginError(
                f"the plug-in {name!r} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        self._check_hooks(module, name)
        self.names.append(name)

    def _check_hooks(self, module: Any, name: str) -> None:
        """Refuse what is marked as a hook and is none: pluggy would never call it."""
        hooks = [*map(_hook, KINDS), "schedplan_event"]
        for caller in self._manager.get_hookcallers(module) or ():
            needed = any(not each.optionalhook for each in caller.get_hookimpls())
            if needed and not caller.has_spec():
                raise PluginError(
                    f"there is no hook {caller.name!r}, which the plug-in {name!r} implements",
                    allowed=hooks,
                    hint=did_you_mean(caller.name, hooks),
                )


def _hook(kind: Kind) -> str:
    return f"schedplan_{kind}"


def _call(implementation: pluggy.HookImpl, hook: str) -> Mapping[str, Factory]:
    """Return what a plug-in adds by a hook."""
    whose = f"{hook}() of the plug-in {implementation.plugin_name!r}"
    try:
        added = implementation.function()
    except (Exception, SystemExit) as error:  # the code is somebody else's
        raise PluginError(f"{whose} has raised {type(error).__name__}: {error}") from error
    if not isinstance(added, Mapping) or not all(map(_is_named_factory, added.items())):
        raise PluginError(
            f"{whose} returns {added!r}",
            allowed="a mapping of names to factories, or to their text",
        )
    return added


def _is_named_factory(item: tuple[object, object]) -> bool:
    name, factory = item
    return isinstance(name, str) and (isinstance(factory, str) or callable(factory))


def _find(name: str) -> EntryPoint:
    """Return the one plug-in of that name."""
    points = entry_points(group="schedplan", name=name)
    if len(points) > 1:
        packages = " and ".join(sorted(repr(point.dist.name) for point in points if point.dist))
        raise PluginError(
            f"the packages {packages} both have a plug-in {name!r}", hint="uninstall one of them"
        )
    if not points:
        names = sorted(installed())
        raise PluginError(
            f"there is no plug-in {name!r}", allowed=names, hint=did_you_mean(name, names)
        )
    return points[name]


def singular(kind: Kind) -> str:
    """Return what messages call one of a kind.

    Example:
        >>> singular("axis_kinds")
        'axis kind'
    """
    return kind.removesuffix("s").replace("_", " ")


def installed() -> dict[str, EntryPoint]:
    """Return the plug-ins that are installed, by name, without loading them."""
    return {point.name: point for point in entry_points(group="schedplan")}


def offered(kind: Kind) -> dict[str, Entry]:
    """Return everything of a kind by name, from all plug-ins that are installed and sound.

    Raises:
        PluginError: if two plug-ins claim one name.
    """
    sound = []
    for name in installed():
        with suppress(PluginError):  # `schedplan plugins` tells what is wrong with it
            Plugins([name]).all(kind)
            sound.append(name)
    return Plugins(sound).all(kind)


def import_attribute(reference: str, extra: str | None = None) -> Any:
    """Import `package.module:attribute`.

    Args:
        reference: what to import.
        extra: the extra of this project that brings what the module needs, if it has one.

    Raises:
        MissingDependencyError: if the module needs a package that is not installed.
        PluginError: if there is no such module or attribute.
    """
    module_name, _, attribute = reference.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), attribute]):
        raise PluginError(f"{reference!r} names no code", allowed="package.module:attribute")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        absent = error.name or module_name
        if module_name == absent or module_name.startswith(f"{absent}."):
            raise PluginError(f"there is no module {absent!r}") from error
        raise missing(absent, extra) from error
    except (Exception, SystemExit) as error:  # the code is somebody else's
        raise PluginError(
            f"the module {module_name!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise PluginError(
            f"the module {module_name!r} has no {attribute!r}",
            hint=did_you_mean(attribute, public),
        )
    return getattr(module, attribute)
