"""Help: every command, argument and option has it, and what it says is what is shown."""

from __future__ import annotations

import pytest
from commands import tree, visible, walk

COMMANDS = {" ".join(path): command for path, command in walk(tree())}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_argument_and_option_has_help(command):
    assert command.help
    without = [each.name for each in command.params if not getattr(each, "help", None)]
    assert without == []


@pytest.mark.parametrize("path", COMMANDS)
def test_help_is_shown_as_it_was_written(path, monkeypatch, capsys):
    """With its brackets, which are taken for markup where they are not marked as text."""
    monkeypatch.setenv("COLUMNS", "2000")
    COMMANDS[""].main([*path.split(), "--help"], prog_name="schedplan", standalone_mode=False)
    shown = visible(capsys.readouterr().out)
    for each in (COMMANDS[path], *COMMANDS[path].params):
        assert visible(each.help.replace("\\[", "[")) in shown
