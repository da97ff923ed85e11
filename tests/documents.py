"""What the documentation shows: blocks of code, and commands to be typed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import schedplan

ROOT = Path(schedplan.__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

_COMMAND = re.compile(r"(?:\w+=\S+ +)*(?:\S+/)?schedplan +(.+)")
"""A call of the program, from whatever place and in whatever environment."""

_COMMENTED = {".yaml", ".py", ".toml"}
"""Files of examples whose comments begin with #."""


def blocks(language: str) -> list[str]:
    """Return the README's blocks of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands_in_blocks() -> list[str]:
    """Return what follows `schedplan` in the README's blocks of bash, a line each."""
    text = "\n".join(blocks("bash")).replace("\\\n", " ")
    lines = (re.sub(r"\s+#.*", "", line) for line in text.splitlines())
    return _commands(part for line in lines for part in line.split("&&"))


def commands_in_text() -> list[str]:
    """Return what follows `schedplan` in the README's inline code, or would, as `run --confirm`."""
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    spans = re.findall(r"`([^`]+)`", prose)
    short = [span for span in spans if re.match(r"(?!tensorboard)[a-z]+ --", span)]
    return [*_commands(spans), *short]


def commands_in_examples() -> list[str]:
    """Return what follows `schedplan` in the comments of the examples."""
    files = (path for path in sorted((ROOT / "examples").rglob("*")) if path.suffix in _COMMENTED)
    lines = (line for path in files for line in path.read_text(encoding="utf-8").splitlines())
    return _commands(line.removeprefix("#") for line in lines if line.startswith("#"))


def _commands(texts: Iterable[str]) -> list[str]:
    found = (_COMMAND.fullmatch(" ".join(text.split())) for text in texts)
    return [match[1] for match in found if match]
