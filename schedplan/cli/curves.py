"""`schedplan curves`: how well the families of curves describe recorded trainings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from schedplan.cli.recorded import Curves, read_curves
from schedplan.cli.tables import Format, make_table, print_data
from schedplan.curves import goodness_of_fit
from schedplan.errors import UsageError
from schedplan.journal import RunFolder
from schedplan.knees import Mode


def curves(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A run folder, or a .npz, .csv, .json, .jsonl file."),
    ],
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="NAME", help="Which scores of a .npz or .json file that names several."
        ),
    ] = None,
    lower: Annotated[
        bool, typer.Option("--lower-is-better", help="The scores of a file are losses.")
    ] = False,
    form: Annotated[
        Format, typer.Option("-f", "--format", help="How to print data on stdout.")
    ] = Format.TABLE,
) -> None:
    """Show how well each family of curves describes trainings: RMSE, adjusted RMSE, R2.

    Of a run folder, every training is read. What else is read:

    .csv: a column of scores for each training; a line of names may stand first, missing scores are
    left blank.

    .json: a list of scores for each training, [[0.1, 0.2], ...] or {NAME: [0.1, 0.2], ...}; or
    several such lists by name, of which --key names one.

    .jsonl: a list of scores in each line; or one training, as in a run's epochs.jsonl, with a
    `score` in each line.

    .npz: an array of scores of shape (trainings, epochs); or of one dimension, one training after
    the other, split at the array `offsets`; of several arrays, --key names one.
    """
    if source.is_dir():
        if key is not None or lower:
            raise UsageError("--key and --lower-is-better are for files; a run says it itself")
        found, mode = _of_run(RunFolder(source))
    else:
        found, mode = read_curves(source, key), "min" if lower else "max"
    facts = curve_facts(source, found, mode)
    print_data(facts, curve_table(facts), form)


def curve_facts(source: Path, found: Curves, mode: Mode) -> dict[str, Any]:
    """Return the averages of each family, and how many of the curves they are taken over.

    Raises:
        UsageError: none of the curves can be fitted.
    """
    sign = 1.0 if mode == "max" else -1.0
    fits = goodness_of_fit([sign * np.array(each, dtype=np.float64) for each in found])
    used = fits[0].curves
    if not used:
        raise UsageError(
            f"none of the {len(found)} curves can be fitted",
            where=str(source),
            allowed="curves of more than 7 finite scores that are not all equal",
        )
    families = [{name: v for name, v in asdict(each).items() if name != "curves"} for each in fits]
    return {"source": str(source), "curves": len(found), "used": used, "families": families}


def curve_table(facts: Mapping[str, Any]) -> Table:
    """Show `curve_facts`, a row per family."""
    title = f"{facts['source']}: means over {facts['used']} of {facts['curves']} curves"
    rows = [tuple(each.values()) for each in facts["families"]]
    return make_table(title, ["family", "RMSE#", "adjusted RMSE#", "R2#"], rows)


def _of_run(folder: RunFolder) -> tuple[Curves, Mode]:
    """Return the scores of every training of a run, and which of them are better."""
    config = folder.config()
    mode: Mode = "min" if config.get("replay", config).get("mode") == "min" else "max"
    found = []
    for training in folder.trainings():
        outcome = training.outcome()
        scores = outcome.scores if outcome else [record.score for record in training.records()]
        found.append(list(scores))
    return found, mode
