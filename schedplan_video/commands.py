"""The commands `schedplan video ...`. Torch and PyAV are imported by those that need them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from schedplan.cli.tables import Format, pairs_table, print_data
from schedplan.errors import UsageError
from schedplan.plugins import import_attribute

log = logging.getLogger("schedplan")

app = typer.Typer(no_args_is_help=True, help="Video data sets and models.")
index = typer.Typer(no_args_is_help=True, help="Make manifests of video collections.")
app.add_typer(index, name="index")

Form = Annotated[Format, typer.Option("-f", "--format", help="How to print data on stdout.")]


@app.command()
def toy(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 0,
    per_class: Annotated[
        str, typer.Option(metavar="N,N,N", help="Train, val and test videos of each class.")
    ] = "16,8,16",
    frames: Annotated[int, typer.Option(help="Length of a video.")] = 64,
    size: Annotated[int, typer.Option(help="Width and height in pixels.")] = 64,
) -> None:
    """Write a small real dataset of MP4 files; print its manifest's path."""
    make_toy = _video("data.toy:make_toy")
    counts = _numbers("--per-class", per_class, int)
    print(make_toy(out, seed=seed, per_class=counts, frames=frames, size=size))


@index.command()
def folders(
    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="A folder per class.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The manifest to write.")
    ],
    groups: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV or TSV with columns path and group."),
    ] = None,
    split: Annotated[
        str, typer.Option(metavar="X,X,X", help="Shares of train, val and test.")
    ] = "0.6,0.2,0.2",
    seed: Annotated[int, typer.Option(help="Decides the split.")] = 0,
) -> None:
    """Make a manifest of the videos below a folder; print its path.

    A group, such as one recording, never falls on two sides of a split.
    """
    index_folders = _video("data.index:index_folders")
    names = _video("data.index:read_groups")(groups) if groups else None
    manifest = index_folders(root, names, _numbers("--split", split, float), seed)
    _video("data.manifest:write_manifest")(manifest, output)
    log.info("%d classes: %s", len(manifest.classes), ", ".join(manifest.classes))
    for name in manifest.splits:
        log.info("%s: %d videos", name, len(manifest.split(name)))
    if not _video("data.manifest:lies_above")(output, root):
        log.info("the manifest lies elsewhere: tell with --set trainer.videos=%s", root)
    print(output)


@app.command()
def evaluate(
    snapshot: Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="A saved model's folder.")],
    manifest: Annotated[Path, typer.Option("--manifest", metavar="FILE", help="The videos.")],
    videos: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where they are, if not by the manifest.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which of the manifest's splits.")] = "test",
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    form: Form = Format.TABLE,
) -> None:
    """Measure a saved model on one centre clip of every video."""
    evaluate_snapshot = _video("evaluate:evaluate_snapshot")
    listed = _video("data.manifest:read_manifest")(manifest, videos)
    metrics = evaluate_snapshot(snapshot, listed, split, workers=workers, device=device)
    facts = {"snapshot": str(snapshot), "split": split, **metrics}
    print_data(facts, pairs_table(f"{snapshot} on {split}", metrics), form)


def _video(reference: str) -> Any:
    """Import `module:attribute` of this package; a missing dependency names the extra."""
    return import_attribute(f"schedplan_video.{reference}", extra="video")


def _numbers(option: str, text: str, kind: type[int] | type[float]) -> tuple[Any, ...]:
    """Return the three numbers, one per split, in `text`."""
    try:
        numbers = tuple(kind(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise UsageError(f"{option} is {text!r}", allowed="three numbers with commas between")
    return numbers
