"""Presets: configurations and plans that come with plug-ins and are asked for by name."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from schedplan.errors import PluginError, SchedplanError, did_you_mean
from schedplan.plan import Plan
from schedplan.plugins import Entry, offered
from schedplan.yaml_file import Document, parse_yaml

_Kind: TypeAlias = Literal["configs", "plans"]

_USE = {
    "configs": "it is a configuration: `schedplan run --preset {}` searches along it",
    "plans": "it is a plan: `schedplan replay --preset {}` trains along it",
}


def preset_config(name: str) -> Document:
    """Return the configuration called `name`, of any plug-in installed.

    Raises:
        PluginError: if there is none; the message names the nearest.
    """
    return parse_yaml(_config_text(_find("configs", name)), preset_place(name))


def preset_plan(name: str) -> Plan:
    """Return the plan called `name`, of any plug-in installed.

    Raises:
        PluginError: if there is none; the message names the nearest.
    """
    plan: Plan = _made(_find("plans", name), Plan, "a `Plan`")
    return plan


def preset_text(name: str) -> str:
    """Return the configuration or plan called `name` as the text of a file.

    Raises:
        PluginError: if there is none; the message names the nearest.
    """
    configs, plans = offered("configs"), offered("plans")
    if name in plans:
        return preset_plan(name).as_yaml()
    if name in configs:
        return _config_text(configs[name])
    raise _unknown(name, [*configs, *plans])


def preset_place(name: str) -> str:
    """Return what messages about a preset begin with."""
    return f"--preset {name}"


def _config_text(entry: Entry) -> str:
    text: str = _made(entry, str, "the text of a configuration")
    return text


def _made(entry: Entry, kind: type, allowed: str) -> Any:
    """Return what a plug-in makes for a preset; PluginError where that is no good."""
    where, whose = preset_place(entry.name), f"the plug-in {entry.plugin!r}"
    make = entry.load()
    try:
        made = make()
    except SchedplanError:
        raise
    except (Exception, SystemExit) as error:  # the code is somebody else's
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(f"{whose} cannot make it: {reason}", where=where) from error
    if not isinstance(made, kind):
        raise PluginError(f"{whose} has made {made!r}", where=where, allowed=allowed)
    return made


def _find(kind: _Kind, name: str) -> Entry:
    entries = offered(kind)
    if name in entries:
        return entries[name]
    other: _Kind = "plans" if kind == "configs" else "configs"
    hint = _USE[other].format(name) if name in offered(other) else None
    raise _unknown(name, list(entries), hint)


def _unknown(name: str, names: list[str], hint: str | None = None) -> PluginError:
    return PluginError(
        "there is no such preset here",
        where=preset_place(name),
        allowed=sorted(names),
        hint=hint or did_you_mean(name, names),
    )
