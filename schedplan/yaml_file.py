"""YAML read with the safe loader, with the line on which every value stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from schedplan.errors import ConfigError, did_you_mean

KeyPath: TypeAlias = tuple[str | int, ...]


_MOST_VALUES = 100_000
_DEEPEST = 50


class _Loader(yaml.SafeLoader):
    """The safe loader, with `1e-4` read as a number (YAML 1.1 takes it for text)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


class _Dumper(yaml.SafeDumper):
    """Puts texts into quotes that `_Loader` would take for something else, such as `1e4`."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML, in its own order.

    Example:
        >>> print(dump_yaml({"id": "1e4", "rate": 0.1}), end="")
        id: '1e4'
        rate: 0.1
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False)


@dataclass
class Document:
    """Plain data and where it stands.

    Attributes:
        data: what was read.
        file: where it was read from.
        lines: the line, from 1, of the value at each path of keys.
        overrides: the text of `--set` that gave the value at a path.
    """

    data: dict[str, Any]
    file: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overrides: dict[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Return the place of the value at `path`, or of the nearest one around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.overrides:
                return f"--set {self.overrides[path[:length]]}"
            if path[:length] in self.lines:
                return f"{self.file}:{self.lines[path[:length]]}"
        return self.file

    def replaced(self, path: KeyPath, text: str) -> None:
        """Take note that `text` gave the value at `path`, and with it all inside of it."""
        for places in (self.lines, self.overrides):
            for inside in [place for place in places if place[: len(path)] == path]:
                del places[inside]
        self.overrides[path] = text


def read_yaml(path: Path) -> Document:
    """Read a mapping from a YAML file.

    Raises:
        ConfigError: if the file is missing, no YAML, no mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"the file cannot be read: {reason}", where=str(path)) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Document:
    """Read a mapping from YAML `text`; messages say that it stands in `file`.

    Raises:
        ConfigError: if it is no YAML, no mapping, or has a key twice.
    """
    lines: dict[KeyPath, int] = {}
    for place, line in _walk(_compose(text, file), (), file):
        lines[place] = line
        if len(lines) > _MOST_VALUES or len(place) > _DEEPEST:
            raise ConfigError(
                "it is too large, or an alias holds itself",
                where=f"{file}:{line}",
                allowed=f"{_MOST_VALUES:,} values, {_DEEPEST} levels deep",
            )
    data = _parse(text, file)
    if not isinstance(data, dict):
        raise ConfigError(
            "this is no mapping of keys to values",
            where=file,
            hint="a configuration begins with a line such as `name: mine`",
        )
    return Document(data, file, lines)


def override(document: Document, assignments: Sequence[str]) -> None:
    """Apply `a.b=value` texts, as `--set` gives them; the value is read as YAML.

    Raises:
        ConfigError: for a text of another form, or a path that leads through a plain value.
    """
    for text in assignments:
        dotted, equals, value = text.partition("=")
        keys = dotted.split(".")
        if not equals or not all(keys):
            raise ConfigError(
                f"cannot understand {text!r}", where="--set", allowed="key=value or key.key=value"
            )
        target = document.data
        for depth, key in enumerate(keys[:-1]):
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise ConfigError(
                    f"{'.'.join(keys[: depth + 1])} is no mapping", where=f"--set {text}"
                )
        target[keys[-1]] = _parse(value, f"--set {text}")
        document.replaced(tuple(keys), text)


def unknown_key(key: object, allowed: Sequence[str], path: KeyPath) -> ConfigError:
    """Return the error for a key that is none of those `allowed` at `path`."""
    return ConfigError(
        f"unknown key {key!r}",
        allowed=allowed,
        hint=did_you_mean(key, allowed),
        path=(*path, str(key)),
    )


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except Exception as error:  # constructors of bad dates and numbers raise all sorts
        problem = " ".join(str(error).split())
        raise ConfigError(f"this is no YAML: {problem:.200}", where=where) from error


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
        return node
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = error.problem or str(error)
        raise ConfigError(f"this is no YAML: {problem}", where=f"{file}{line}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"this is no YAML: {' '.join(str(error).split())}", where=file) from error


def _walk(node: yaml.Node | None, path: KeyPath, file: str) -> Iterator[tuple[KeyPath, int]]:
    """Yield every path of keys with its line; a mapping's entry stands where its key does."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                raise ConfigError(
                    f"the key {name!r} is given twice", where=f"{file}:{key.start_mark.line + 1}"
                )
            seen.add(name)
            yield (*path, name), key.start_mark.line + 1
            yield from _walk(value, (*path, name), file)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield (*path, position), value.start_mark.line + 1
            yield from _walk(value, (*path, position), file)
