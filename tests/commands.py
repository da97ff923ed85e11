"""All commands with those of the video plug-in, as the program itself reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from schedplan.cli.app import app
from schedplan.plugins import Plugins

_ANYWHERE = {"-v", "--verbose", "-q", "--quiet", "--debug"}


def tree() -> Any:
    """Return the group of all commands."""
    group = get_command(app)
    group.add_command(get_command(Plugins(["video"]).get("commands", "video").load()), "video")
    return group


def walk(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield a command and all below it, each with the words that lead to it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, *path, name)


def parse(group: Any, line: str) -> None:
    """Read what follows `schedplan` in a command line.

    Arguments may be left out, `[NAME]` may be given or not, and a final `...` stands for whatever
    the commands of a group are.

    Raises:
        ValueError: if there is no such command, option or argument.
    """
    words = [word for word in shlex.split(line) if word not in _ANYWHERE]
    command = group
    while words and words != ["..."] and hasattr(command, "commands"):
        word = words.pop(0)
        if word not in command.commands:
            raise ValueError(f"{line}: no command {word!r}")
        command = command.commands[word]
    if words == ["..."]:
        return
    try:
        _, left, _ = command.make_parser(command.context_class(command)).parse_args(args=words)
    except Exception as error:  # typer's own kind of click has no public name
        raise ValueError(f"{line}: {error}") from error
    if left:
        raise ValueError(f"{line}: nothing takes {left}")


def visible(text: str) -> str:
    """Return what is left of a text when spaces, line breaks and frames are not looked at."""
    return re.sub(r"[\s│]+", "", text)
