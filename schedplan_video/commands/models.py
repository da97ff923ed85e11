"""The command `schedplan video models`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from schedplan.cli.tables import Format, make_table, print_data

from .common import Form, load, track

_COLUMNS = ("network", "M parameters#", "GMACs#", "shortest clip#", "smallest side#")


def models(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Networks; all by default.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Length of the clip.")] = 16,
    size: Annotated[int, typer.Option(min=1, help="Its height and width in pixels.")] = 224,
    classes: Annotated[int, typer.Option(min=1, help="Classes to tell apart.")] = 400,
    form: Form = Format.TABLE,
) -> None:
    """List networks: parameters, multiply-adds for one RGB clip, and the smallest clip."""
    measure = load("models.counting:measure")
    chosen = names or load("models.registry:names")()
    sizes = (measure(name, frames=frames, size=size, classes=classes) for name in chosen)
    found = list(track(sizes, len(chosen), "%s networks"))
    facts = {"frames": frames, "size": size, "classes": classes}
    title = f"{frames} x {size} x {size}, {classes} classes"
    table = make_table(title, _COLUMNS, [_row(network) for network in found])
    print_data({**facts, "models": [asdict(network) for network in found]}, table, form)


def _row(network: Any) -> tuple[object, ...]:
    """Return the cells of a `NetworkSize`, in millions and billions."""
    operations = network.multiply_adds
    only = " only" if network.clip_size.exact else ""
    return (
        network.name,
        network.parameters / 1e6,
        None if operations is None else operations / 1e9,
        f"{network.clip_size.frames}{only}",
        f"{network.clip_size.side}{only}",
    )
