"""The command line: data on stdout, everything else on stderr, errors as one clear message.

Exit codes: 0 done; 1 failed; 2 bad configuration or usage; 130 interrupted, resumable.
"""

from __future__ import annotations

import sys

from schedplan.cli.app import app
from schedplan.errors import SchedplanError
from schedplan.plugins import Plugins, installed

__all__ = ["app", "main"]

_EVERYWHERE = {"-v", "--verbose", "-q", "--quiet", "--debug"}


def main() -> None:
    """Run the command line and exit."""
    arguments = _global_options_first(sys.argv[1:])
    try:
        _add_plugin_command(arguments)
        app(arguments, prog_name="schedplan")
    except SchedplanError as error:
        if "--debug" in arguments:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _global_options_first(arguments: list[str]) -> list[str]:
    """Let the options of all commands stand anywhere: `schedplan run CONFIG -v`."""
    moved = [argument for argument in arguments if argument in _EVERYWHERE]
    return moved + [argument for argument in arguments if argument not in _EVERYWHERE]


def _add_plugin_command(arguments: list[str]) -> None:
    """Load the plug-in that the command is named after, if there is one, for its commands."""
    command = next((each for each in arguments if not each.startswith("-")), None)
    if command in installed():
        entry = Plugins([command]).all("commands").get(command)
        if entry:
            app.add_typer(entry.load(), name=command)
