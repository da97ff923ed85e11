"""The command `schedplan plugins`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from schedplan.cli.arguments import Form
from schedplan.cli.tables import Format, make_table, print_data
from schedplan.config.options import signature_of
from schedplan.errors import PluginError, UsageError
from schedplan.plugins import BUILT_IN, KINDS, Entry, Kind, Plugins, installed

_CONFIGURED: set[Kind] = {"trainers", "axis_kinds", "rules", "estimators"}
"""Kinds whose options a configuration states. What calls the others is this program."""

_MODULE = re.compile(r"(?<!['\"\w.])(?:[a-z_]\w*\.)+(?=\w)")
"""What stands before the name of a type, but for what is quoted."""


class Option(NamedTuple):
    """What a configuration may set, in words.

    Attributes:
        option: its name.
        type: of its values.
        default: the value when it is left out; None if it may not be.
    """

    option: str
    type: str
    default: str | None

    def __str__(self) -> str:
        stated = f"{self.option}: {self.type}"
        return stated if self.default is None else f"{stated} = {self.default}"


def plugins(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show every option of this one.")
    ] = None,
    form: Form = Format.TABLE,
) -> None:
    """Show what plug-ins are installed and what they add; of one, also what takes long to load."""
    if name is not None:
        rows = option_facts(name)
        print_data({"plugin": name, "adds": rows}, _option_table(name, rows), form)
        return
    facts = plugin_facts()
    print_data({"plugins": facts}, _plugin_table(facts), form)


def plugin_facts() -> list[dict[str, Any]]:
    """Return the built-ins and every plug-in installed, and what each adds.

    Each has its name as `plugin`, and either what is wrong with it as `error`, or by kind and name
    the options of what it adds; None for options that are known only once they are imported.
    """
    return [_facts(name) for name in (BUILT_IN, *installed())]


def option_facts(name: str) -> list[dict[str, str | None]]:
    """Return a row for every option of what a plug-in adds, and one for what has no options.

    Raises:
        PluginError: if there is no such plug-in, or it cannot be loaded.
        MissingDependencyError: if what it adds needs a package that is not installed.
    """
    rows: list[dict[str, str | None]] = []
    for kind, added, entry in _additions(name):
        options = [option._asdict() for option in _options(entry, entry.load())] if entry else []
        none = dict.fromkeys(Option._fields)
        rows += [{"adds": kind, "name": added, **option} for option in options or [none]]
    return rows


def _facts(name: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"plugin": name}
    try:
        for kind, added, entry in _additions(name):
            facts.setdefault(kind, {})[added] = _known_options(entry) if entry else []
    except UsageError as error:
        return {"plugin": name, "error": str(error)}
    return facts


def _additions(name: str) -> Iterator[tuple[str, str, Entry | None]]:
    """Yield the kind and the name of all that a plug-in adds, with the entry if it has options."""
    loaded = Plugins([] if name == BUILT_IN else [name])
    for kind in KINDS:
        for added, entry in sorted(loaded.all(kind).items()):
            if entry.plugin == name:
                yield kind, added, entry if kind in _CONFIGURED else None
    if name in loaded.listeners():
        yield "event_listeners", "schedplan_event", None


def _known_options(entry: Entry) -> list[str] | None:
    factory = entry.factory
    return None if isinstance(factory, str) else list(map(str, _options(entry, factory)))


def _options(entry: Entry, factory: Callable[..., Any]) -> list[Option]:
    """Return the options of what a plug-in adds; PluginError where its defaults raise."""
    try:
        return list(_each_option(factory))
    except (Exception, SystemExit) as error:  # the code is somebody else's
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(
            f"the options of {entry.name!r}, which the plug-in {entry.plugin!r} adds, cannot be "
            f"shown: {reason}"
        ) from error


def _each_option(factory: Callable[..., Any]) -> Iterator[Option]:
    made = _made_defaults(factory)
    for name, parameter in signature_of(factory).parameters.items():
        default = made.get(name, parameter.default)
        yield Option(
            option="**" * (parameter.kind is parameter.VAR_KEYWORD) + name,
            type=_type(parameter.annotation),
            default=None if default is parameter.empty else repr(default),
        )


def _made_defaults(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a dataclass that its signature does not show."""
    made = getattr(factory, "func", factory)
    if not is_dataclass(made):
        return {}
    makers = {field.name: field.default_factory for field in fields(made)}
    return {name: make() for name, make in makers.items() if make is not MISSING}


def _type(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return "anything"
    if isinstance(annotation, str):  # an annotation that only type checkers can see
        return annotation
    return _MODULE.sub("", inspect.formatannotation(annotation))


def _plugin_table(facts: Sequence[dict[str, Any]]) -> Table:
    """Show `plugin_facts`."""
    rows: list[tuple[object, ...]] = []
    for each in facts:
        plugin = each["plugin"]
        if "error" in each:
            rows.append((plugin, "cannot be loaded", each["error"], ""))
        for kind, named in each.items():
            if isinstance(named, dict):
                later = f"see: schedplan plugins {plugin}"
                rows += [
                    (plugin, _words(kind), name, later if options is None else options)
                    for name, options in named.items()
                ]
        if len(each) == 1:
            rows.append((plugin, "nothing", None, None))
    return make_table("plug-ins", ["plug-in", "adds", "name", "options"], rows)


def _option_table(name: str, rows: Sequence[dict[str, str | None]]) -> Table:
    """Show `option_facts`."""
    cells = [
        (
            _words(str(row["adds"])),
            row["name"],
            row["option"],
            row["type"],
            "required" if row["option"] and row["default"] is None else row["default"],
        )
        for row in rows
    ]
    return make_table(name, ["adds", "name", *Option._fields], cells)


def _words(kind: str) -> str:
    return kind.replace("_", " ")
