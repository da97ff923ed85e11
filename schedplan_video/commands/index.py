"""The commands `schedplan video index DATASET`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from schedplan.errors import UsageError

from .common import Seed, Workers, count_workers, load, log, report, track

app = typer.Typer(no_args_is_help=True, help="Make a manifest of a dataset.")

Root = Annotated[Path, typer.Option(metavar="DIR", help="The folder of the videos.")]
Output = Annotated[
    Path,
    typer.Option("-o", "--output", metavar="FILE", dir_okay=False, help="The manifest to write."),
]
Paths = Annotated[
    list[Path],
    typer.Option(
        "--annotations", metavar="PATH", help="The annotation files' folder, or one; repeatable."
    ),
]
Fold = Annotated[int, typer.Option(min=1, max=3, help="Which of the official train/test splits.")]
Test = Annotated[
    str | None,
    typer.Option(
        metavar="N|N%",
        show_default="20%",
        help="Videos of the test set, where the annotations have no splits.",
    ),
]
Validation = Annotated[
    str | None,
    typer.Option(
        metavar="N|N%",
        show_default="as many as the test set",
        help="Training videos set aside to validate on while planning.",
    ),
]
MinFrames = Annotated[int, typer.Option(min=1, help="Videos with fewer frames are not used.")]

_OFFICIAL = {
    "kinetics400": ("read_kinetics", 400, "Kinetics-400: CSV, videos ID_START_END.mp4."),
    "kinetics600": ("read_kinetics", 600, "Kinetics-600: CSV, videos ID_START_END.mp4."),
    "activitynet": ("read_activitynet", 200, "ActivityNet v1.3: JSON, videos v_ID.mp4."),
    "ssv1": ("read_ssv1", 174, "Something-Something V1: CSV, folders of frames."),
    "ssv2": ("read_ssv2", 174, "Something-Something V2: JSON, videos ID.webm."),
}
_FOLDED = {
    "ucf101": ("read_ucf101", 101, "UCF101: classInd.txt and three pairs of lists."),
    "hmdb51": ("read_hmdb51", 51, "HMDB51: three lists for each class."),
}
"""Of every dataset, what reads its annotations, how many classes it has, and one line of help."""


def _add_official(name: str, reader: str, classes: int, about: str) -> None:
    @app.command(name, help=about)
    def command(
        root: Root,
        annotations: Paths,
        output: Output,
        validation: Validation = None,
        seed: Seed = 0,
        min_frames: MinFrames = 4,
        workers: Workers = None,
    ) -> None:
        listed = load(f"data.index:{reader}")(annotations)
        _warn_of_classes(name, classes, listed)
        sizes = {"validation": validation, "seed": seed}
        _index(listed, root, output, min_frames, workers, sizes)


def _add_folded(name: str, reader: str, classes: int, about: str) -> None:
    @app.command(name, help=about)
    def command(
        root: Root,
        annotations: Paths,
        output: Output,
        fold: Fold = 1,
        validation: Validation = None,
        seed: Seed = 0,
        min_frames: MinFrames = 4,
        workers: Workers = None,
    ) -> None:
        listed = load(f"data.index:{reader}")(annotations, fold)
        _warn_of_classes(name, classes, listed)
        sizes = {"validation": validation, "seed": seed}
        _index(listed, root, output, min_frames, workers, sizes)


for _name, _rest in _OFFICIAL.items():
    _add_official(_name, *_rest)
for _name, _rest in _FOLDED.items():
    _add_folded(_name, *_rest)


@app.command()
def folders(
    root: Root,
    output: Output,
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or TSV with columns path, relative to the file's own folder, and group.",
        ),
    ] = None,
    test: Test = None,
    validation: Validation = None,
    seed: Seed = 0,
    min_frames: MinFrames = 4,
    workers: Workers = None,
) -> None:
    """Folders of any videos, one for each class."""
    listed = load("data.index:read_folders")(root, groups)
    sizes = {"test": test, "validation": validation, "seed": seed}
    _index(listed, root, output, min_frames, workers, sizes)


@app.command("csv")
def csv_(
    root: Root,
    annotations: Paths,
    output: Output,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=HEADER", help="What a column is called, as class=action; repeatable."
        ),
    ] = None,
    test: Test = None,
    validation: Validation = None,
    seed: Seed = 0,
    min_frames: MinFrames = 4,
    workers: Workers = None,
) -> None:
    """CSV files with path, class or label, split and group."""
    listed = load("data.index:read_csv")(annotations, _pairs("--column", column or ()))
    sizes = {"test": test, "validation": validation, "seed": seed}
    _index(listed, root, output, min_frames, workers, sizes)


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = dict(text.split("=", 1) for text in texts if "=" in text[1:])
    if len(pairs) < len(texts):
        raise UsageError(f"{option} is {', '.join(texts)}", allowed="NAME=HEADER, each name once")
    return pairs


def _index(
    annotations: Any,
    root: Path,
    output: Path,
    min_frames: int,
    workers: int | None,
    sizes: Mapping[str, Any],
) -> None:
    """Write the manifest; print its path, and on stderr what cannot be used."""
    load("data.manifest:check_output")(output)
    for reason, count in annotations.left_out.items():
        log.info("left out: %d %s", count, reason)
    kept = load("data.index:ProbeLog")(output)
    try:
        manifest = load("data.index:index_videos")(
            annotations,
            root,
            kept,
            min_frames=min_frames,
            workers=count_workers(workers),
            track=partial(track, what="index: %s videos"),
            **sizes,
        )
    except KeyboardInterrupt:
        log.warning("what was found is kept: the same command goes on from there")
        raise
    load("data.manifest:write_manifest")(manifest, output)
    report(manifest)
    if not load("data.manifest:lies_above")(output, root):
        log.info("the manifest lies elsewhere: tell with trainer.videos, or --videos %s", root)
    print(output)


def _warn_of_classes(name: str, classes: int, annotations: Any) -> None:
    found = len(annotations.classes)
    if found != classes:
        log.warning("the annotations have %d classes, the whole of %s %d", found, name, classes)
