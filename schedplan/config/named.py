"""What a configuration names, as `NAME` or `{NAME: {option: value}}`, made by whoever offers it."""

from __future__ import annotations

from typing import Any

from schedplan.config.options import bind, call
from schedplan.errors import ConfigError, SchedplanError
from schedplan.plugins import Kind, Plugins, singular
from schedplan.yaml_file import KeyPath


def make_named(plugins: Plugins, kind: Kind, stated: object, path: KeyPath) -> Any:
    """Return what is stated at `path`, made by the built-in or plug-in of that name.

    Args:
        plugins: who offers names.
        kind: of what is named.
        stated: `NAME` or `{NAME: {option: value}}`.
        path: where it stands in the configuration, for messages.

    Raises:
        UsageError: for an unknown name, an option that is unknown, missing or of the wrong type, or
            what the maker objects to; it knows its path.

    Example:
        >>> make_named(Plugins(), "rules", {"fixed": {"axes": ["sampling"]}}, ("rules", 0))
        Fixed(axes=('sampling',))
    """
    name, options = _name_and_options(stated, singular(kind), path)
    try:
        factory = plugins.get(kind, name).load()
    except SchedplanError as error:
        error.path = path
        raise
    bound = bind(factory, options, (*path, name))
    return call(bound, f"the {singular(kind)} {name!r}", (*path, name))


def _name_and_options(stated: object, what: str, path: KeyPath) -> tuple[str, dict[str, Any]]:
    if isinstance(stated, str):
        return stated, {}
    if isinstance(stated, dict) and len(stated) == 1:
        name, options = next(iter(stated.items()))
        if isinstance(options, dict):
            return str(name), options
    raise ConfigError(
        f"cannot understand the {what} {stated!r}",
        allowed="NAME or {NAME: {option: value}}",
        path=path,
    )
