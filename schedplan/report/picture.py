"""A picture, to be drawn as a bitmap, as a vector graphic of its own, or into a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from schedplan.report import palette
from schedplan.report.bitmap import Bitmap, plain_style
from schedplan.report.canvas import Canvas
from schedplan.report.vector import Vector

AnyCanvas = TypeVar("AnyCanvas", bound=Canvas)


class Drawing(Protocol):
    """Makes a sheet of the kind given and draws on it."""

    def __call__(self, sheet: type[AnyCanvas], /) -> AnyCanvas:
        """Return the sheet."""


@dataclass(frozen=True)
class Picture:
    """What can be drawn on any kind of sheet.

    Attributes:
        title: what it is.
        description: what it shows, for those who do not see it.
        draw: draws it.
    """

    title: str
    description: str
    draw: Drawing

    def png(self) -> bytes:
        """Return it as a file in PNG, the same bytes every time."""
        with plain_style():
            return self.draw(Bitmap).png()

    def svg(self) -> bytes:
        """Return it as a file in SVG, on white, whose text is text."""
        drawn = self.draw(Vector).svg(self.title, self.description, paper=palette.WHITE)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{drawn}\n'.encode()

    def element(self) -> str:
        """Return it as an element of a page, whose variables say the colours (`palette.NAMES`)."""
        return self.draw(Vector).svg(
            self.title, self.description, color=lambda color: f"var(--{palette.NAMES[color]})"
        )
