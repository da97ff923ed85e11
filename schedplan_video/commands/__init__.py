"""The commands `schedplan video ...`. Torch and PyAV are imported by those that need them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group

from schedplan.cli.tables import Format, make_table, pairs_table, print_data
from schedplan.errors import SchedplanError, UsageError

from . import index
from .common import Form, Seed, Videos, Workers, count_workers, load, log, report, track
from .evaluate import evaluate, fuse_
from .join import join
from .models import models
from .profile import profile

app = typer.Typer(no_args_is_help=True, help="Video data sets and models.")
app.add_typer(index.app, name="index")
app.command()(models)
app.command()(join)
app.command()(profile)
app.command()(evaluate)
app.command("fuse")(fuse_)


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
def check(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="The videos.")],
    videos: Videos = None,
    workers: Workers = None,
    form: Form = Format.TABLE,
) -> None:
    """Decode every video; show what is not as the manifest says, and exit with 1 if anything is."""
    listed = load("data.manifest:read_manifest")(manifest, videos)
    found = load("data.check:check_videos")(
        listed, workers=count_workers(workers), track=partial(track, what="check: %s videos")
    )
    lost = [video for video in listed.videos if video.problem]
    counts = {"manifest": str(manifest), "videos": len(listed.videos)}
    facts = {**counts, "not_usable": dict(Counter(video.problem for video in lost))}
    said = load("data.manifest:count_problems")(lost) or None
    rows = [asdict(difference) for difference in found]
    columns = ("path", "what", "listed", "found")
    table = make_table("Differences", columns, [tuple(row.values()) for row in rows])
    sums = pairs_table(str(manifest), {**counts, "not usable": said, "differences": len(rows)})
    shown = [sums, *([table] if rows else [])]
    print_data({**facts, "differences": rows}, Group(*shown), form)
    if rows:
        raise typer.Exit(SchedplanError.exit_code)


@app.command()
def flow(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="The videos.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where flow is stored.")],
    videos: Videos = None,
    bound: Annotated[
        float, typer.Option(help="Largest movement that is stored, in pixels per frame.")
    ] = 20.0,
    short_side: Annotated[
        int, typer.Option(help="Larger frames are scaled down to this, in pixels.")
    ] = 256,
    workers: Workers = None,
) -> None:
    """Compute TV-L1 optical flow of all videos; print the manifest of the flow videos.

    What is there already is kept, so that it can be cut off and gone on with.
    """
    listed = load("data.manifest:read_manifest")(manifest, videos)
    listed.check_there([video for video in listed.videos if video.problem is None])
    settings = load("data.flow:FlowSettings")(bound=bound, short_side=short_side)
    count = count_workers(workers)
    shown = partial(track, what="flow: %s videos")
    try:
        made = load("data.flow:compute_flow")(listed, out, settings, workers=count, track=shown)
    except KeyboardInterrupt:
        log.warning("what was computed is kept: the same command goes on from there")
        raise
    target = out / load("data.flow:MANIFEST")
    load("data.manifest:write_manifest")(made, target)
    report(made)
    print(target)


def _counts(text: str) -> tuple[Any, ...]:
    """Return the three numbers, one per split, in `text`."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise UsageError(f"--per-class is {text!r}", allowed="three numbers with commas between")
    return numbers
