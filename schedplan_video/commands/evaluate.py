"""The commands `schedplan video evaluate` and `fuse`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Group
from rich.table import Table

from schedplan.cli.tables import Format, make_table, pairs_table, print_data
from schedplan.errors import UsageError
from schedplan.journal import RunFolder, write_text
from schedplan_video.metrics import ACCURACIES, accuracies, class_accuracies, confusion, measure
from schedplan_video.streams import Stream, fuse

from .common import Form, LoaderWorkers, Videos, count_loader_workers, load, log, track

ScoresOut = Annotated[
    Path | None,
    typer.Option(metavar="FILE", dir_okay=False, help="Where to write each video's scores (.npz)."),
]
ConfusionOut = Annotated[
    Path | None,
    typer.Option(
        "--confusion",
        metavar="FILE",
        dir_okay=False,
        help="Where to write which classes were taken for which (.csv).",
    ),
]


def evaluate(
    snapshot: Annotated[
        Path, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a model's.")
    ],
    manifest: Annotated[Path, typer.Option("--manifest", metavar="FILE", help="The videos.")],
    videos: Videos = None,
    split: Annotated[str, typer.Option(help="Which of the manifest's splits.")] = "test",
    clips: Annotated[int, typer.Option(min=1, help="Clips of a video, from end to end.")] = 10,
    crops: Annotated[int, typer.Option(min=1, help="Crops along a clip's longer side.")] = 3,
    scores: ScoresOut = None,
    confusion_: ConfusionOut = None,
    allow_missing: Annotated[
        str, typer.Option(metavar="N|N%", help="Videos of the split that may be unusable.")
    ] = "0",
    batch_size: Annotated[int, typer.Option(min=1, help="Views held in memory at once.")] = 32,
    workers: LoaderWorkers = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    form: Form = Format.TABLE,
) -> None:
    """Measure a saved model: top-1, top-5, and the accuracy for each class.

    The scores of 10 clips x 3 crops of a video are averaged, as for published results. With
    --clips 1 --crops 1 it is the centre alone, as while planning.
    """
    snapshot = _model(snapshot)
    listed = load("data.manifest:read_manifest")(manifest, videos, allow_missing)
    load("data.manifest:log_skipped")(listed, split)
    views = {"clips": clips, "crops": crops}
    running = {"batch_size": batch_size, "workers": count_loader_workers(workers), "device": device}
    shown = partial(track, what="evaluate: %s batches")
    found = load("evaluate:score_snapshot")(
        snapshot, listed, split, **views, **running, track=shown
    )
    if scores:
        load("evaluate:name_videos")(found, listed, split).save(scores)
    confused = confusion(found.scores, found.labels)
    if confusion_:
        write_text(confusion_, _as_csv(confused, listed.classes))
    counts = {"videos": len(found.rows), "skipped": len(listed.unusable(split))}
    metrics, by_class = {**counts, **measure(found)}, _by_class(confused, listed.classes)
    title = f"{split}: {clips} x {crops} views"
    shown = Group(pairs_table(title, metrics), _class_table(by_class))
    facts = {"snapshot": str(snapshot), "split": split, **views, **metrics}
    print_data({**facts, "by_class": by_class}, shown, form)


def _model(folder: Path) -> Path:
    """Return the folder of a model, which may be a run's."""
    run = RunFolder(folder)
    if not run.config_file.exists():
        return folder
    if not run.model.exists():
        raise UsageError(
            "the run has no model yet",
            where=str(folder),
            hint="`schedplan status` shows how far it is",
        )
    log.info("the run's model is %s", run.model)
    return run.model


def fuse_(
    first: Annotated[Path, typer.Argument(metavar="A", help="From `evaluate --scores A`.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="The same videos' by another model.")],
    weights: Annotated[
        str, typer.Option(metavar="N,N", help="How much each stream counts.")
    ] = "1,1",
    form: Form = Format.TABLE,
) -> None:
    """Average two streams' scores, such as RGB and optical flow; show what each and both reach."""
    streams = [Stream.load(file) for file in (first, second)]
    shares = _weights(weights)
    try:
        fused = fuse(*streams, shares)
    except UsageError as error:
        raise error.at(f"{first}, {second}") from None
    rows = [
        {"stream": name, "weight": weight, **accuracies(stream.scores, stream.labels)}
        for name, weight, stream in zip(
            (str(first), str(second), "fused"), (*shares, None), (*streams, fused), strict=True
        )
    ]
    columns = ["stream", "weight#", *(f"{name}#" for name in ACCURACIES)]
    table = make_table(
        f"{len(fused.videos)} videos", columns, [tuple(row.values()) for row in rows]
    )
    print_data({"videos": len(fused.videos), "streams": rows}, table, form)


def _weights(text: str) -> tuple[float, float]:
    """Return the two numbers in `text`."""
    try:
        one, other = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--weights is {text!r}", allowed="two numbers, such as 1,1.5") from None
    return one, other


def _by_class(confused: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return of every class its videos and accuracy; None where it has no video."""
    counts, shares = confused.sum(axis=1).tolist(), class_accuracies(confused).tolist()
    return [
        {"class": name, "videos": count, "top1": share if count else None}
        for name, count, share in zip(classes, counts, shares, strict=True)
    ]


def _class_table(by_class: Sequence[dict[str, Any]]) -> Table:
    rows = [tuple(row.values()) for row in by_class]
    return make_table("By class", ["class", "videos#", "top1#"], rows)


def _as_csv(confused: np.ndarray, classes: Sequence[str]) -> str:
    """Return a row for each true class and a column for each predicted one, both with names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true class", *classes])
    writer.writerows([name, *row] for name, row in zip(classes, confused.tolist(), strict=True))
    return text.getvalue()
