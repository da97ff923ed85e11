"""The commands `schedplan video ...`. Torch and PyAV are imported by those that need them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from schedplan.cli.tables import Format, pairs_table, print_data
from schedplan.errors import UsageError

from . import index
from .common import Form, Seed, Videos, load

app = typer.Typer(no_args_is_help=True, help="Video data sets and models.")
app.add_typer(index.app, name="index")


@app.command()
def toy(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")],
    seed: Seed = 0,
    per_class: Annotated[
        str, typer.Option(metavar="N,N,N", help="Train, val and test videos of each class.")
    ] = "16,8,16",
    frames: Annotated[int, typer.Option(help="Length of a video.")] = 64,
    size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 64,
) -> None:
    """Write a small real dataset of MP4 files; print its manifest's path."""
    make_toy = load("data.toy:make_toy")
    print(make_toy(out, seed=seed, per_class=_counts(per_class), frames=frames, size=size))


@app.command()
def evaluate(
    snapshot: Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="A saved model's folder.")],
    manifest: Annotated[Path, typer.Option("--manifest", metavar="FILE", help="The videos.")],
    videos: Videos = None,
    split: Annotated[str, typer.Option(help="Which of the manifest's splits.")] = "test",
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    form: Form = Format.TABLE,
) -> None:
    """Measure a saved model on one centre clip of every video."""
    evaluate_snapshot = load("evaluate:evaluate_snapshot")
    listed = load("data.manifest:read_manifest")(manifest, videos)
    metrics = evaluate_snapshot(snapshot, listed, split, workers=workers, device=device)
    facts = {"snapshot": str(snapshot), "split": split, **metrics}
    print_data(facts, pairs_table(f"{snapshot} on {split}", metrics), form)


def _counts(text: str) -> tuple[Any, ...]:
    """Return the three numbers, one per split, in `text`."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise UsageError(f"--per-class is {text!r}", allowed="three numbers with commas between")
    return numbers
