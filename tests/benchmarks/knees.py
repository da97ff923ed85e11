"""What each knee estimator loses and spends on real curves.

Run: SCHEDPLAN_TEST_DATA=FOLDER python tests/benchmarks/knees.py [--front]

Every training in FOLDER/curves.npz comes in epoch by epoch; the estimator sees validation scores
only. Regret, in points: the best 5-epoch mean of the independent test scores minus the test score
at the epoch chosen. Epochs: how far the training went, to its recorded end if never stopped. The
number of classes behind a data set, for the score of guessing, is the exponential of the loss
before training, rounded. Intervals hold 95% of a bootstrap over roots: trainings that go on from
one another are drawn together. `--front` varies the default's options one by one, and says what
choosing them on half of the roots leads to on the other half.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schedplan.curves import FAMILIES
from schedplan.knees import (
    All,
    Any,
    CurveFit,
    FixedEpochs,
    Kneedle,
    KneeEstimator,
    Patience,
    Scale,
    Stationarity,
)
from schedplan.plugins import Plugins

Array = NDArray[np.float64]

DRAWS = 2000
BUDGET = 34.0  # epochs, for the choice on half of the roots


@dataclass(frozen=True)
class Training:
    """One recorded training."""

    val: Array
    test: Array
    root: int
    scale: Scale


@dataclass(frozen=True)
class Replay:
    """What an estimator made of every training, shape (trainings,) each."""

    name: str
    regret: Array
    epochs: Array
    leaps: Array
    """Whether the epoch chosen was older than the estimator's lookback had promised."""


def load(file: Path) -> list[Training]:
    with np.load(file) as data:
        meta = json.loads(str(data["meta"]))
        val, test, loss = (data[key].astype(np.float64) for key in ("val", "test", "val_loss"))
        spans = [slice(*span) for span in pairwise(data["offsets"].tolist())]
    begun: dict[str, list[float]] = {}
    for each, span in zip(meta, spans, strict=True):
        if each["stage"] == 0:
            begun.setdefault(each["ds"], []).append(float(loss[span][0]))
    classes = {name: round(float(np.exp(np.median(losses)))) for name, losses in begun.items()}
    return [
        Training(val[span], test[span], each["root"], Scale(1 / classes[each["ds"]], 1.0))
        for each, span in zip(meta, spans, strict=True)
    ]


def replay(name: str, estimator: KneeEstimator, trainings: Sequence[Training]) -> Replay:
    """Let every training come in epoch by epoch."""
    rows = []
    for training in trainings:
        oldest = 0
        for last in range(len(training.val)):
            verdict = estimator(training.val[: last + 1], "max", training.scale)
            oldest = max(oldest, verdict.epoch - estimator.lookback)
            if verdict.stop:
                break
        best = np.convolve(training.test, np.full(5, 0.2), mode="valid").max()
        rows.append((100 * (best - training.test[verdict.epoch]), last, verdict.epoch < oldest))
    return Replay(name, *np.array(rows, dtype=np.float64).T)


def drawn(roots: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the trainings of DRAWS bootstrap samples of the roots."""
    rng = np.random.default_rng(0)
    members = {root: np.flatnonzero(roots == root) for root in np.unique(roots)}
    names = list(members)
    return [
        np.concatenate([members[names[i]] for i in rng.integers(0, len(names), len(names))])
        for _ in range(DRAWS)
    ]


def show(replays: Sequence[Replay], roots: NDArray[np.int64]) -> None:
    """Print a row per estimator; differences are to the first."""
    samples, base = drawn(roots), replays[0]
    print(f"{'estimator':34} {'regret [95%]':20}  {'epochs [95%]':20}  regret beyond the first's")
    for each in replays:
        cells = []
        for values in (each.regret, each.epochs, each.regret - base.regret):
            low, high = np.quantile([values[sample].mean() for sample in samples], [0.025, 0.975])
            cells.append(f"{values.mean():5.2f} [{low:5.2f}, {high:5.2f}]")
        leaps = f"{int(each.leaps.sum())} of {len(roots)} beyond the lookback"
        print(f"{each.name:34} {cells[0]:20}  {cells[1]:20}  {cells[2]:20}  {leaps}", flush=True)


def estimators() -> dict[str, KneeEstimator]:
    """Return what is compared; the default comes first."""
    default = CurveFit()
    return {
        "exponential, the default": default,
        **{each.name: CurveFit(each.name) for each in FAMILIES if each.name != default.family},
        "paper": Plugins().get("estimators", "paper").load()(),
        "paper, with the chance rule": CurveFit(
            delay=10, growth=0.0, choice="fit", score="observed"
        ),
        "exponential, delay 10, growth 0": CurveFit(delay=10, growth=0.0),
        "exponential, chance rule off": CurveFit(margin=0.0),
        "exponential, choice: fit": CurveFit(choice="fit"),
        "exponential, choice: observed": CurveFit(choice="observed"),
        **{f"patience {n}": Patience(n) for n in (5, 10, 15, 20)},
        "All(exponential, patience 5)": All(default, Patience(5)),
        "Any(exponential, patience 20)": Any(default, Patience(20)),
        **{f"stationarity {n}": Stationarity(n) for n in (10, 15, 20, 30)},
        "kneedle": Kneedle(),
        **{f"fixed {n}": FixedEpochs(n) for n in (20, 30, 40)},
    }


def front(trainings: Sequence[Training], roots: NDArray[np.int64]) -> None:
    """Print the replays of many options, the best of them, and a cross-validation of choosing."""
    replays = []
    for delay, growth in product((3, 4, 5, 6, 7, 8, 10), (0.0, 0.1, 0.2, 0.3, 0.4)):
        estimator = CurveFit(delay=delay, growth=growth)
        replays.append(replay(f"delay {delay}, growth {growth}", estimator, trainings))
    for margin in (0.0, 0.05, 0.15, 0.2):
        estimator = replace(CurveFit(), margin=margin)
        replays.append(replay(f"margin {margin}", estimator, trainings))
    replays.sort(key=lambda each: each.epochs.mean())
    least = np.inf
    for each in replays:
        best = each.regret.mean() < least
        least = min(least, each.regret.mean())
        mark = "on the front" if best else ""
        print(f"{each.name:26} {each.regret.mean():5.2f} @ {each.epochs.mean():5.1f}  {mark}")
    growing = cross_validated([each for each in replays if "delay" in each.name], roots)
    fixed = cross_validated([each for each in replays if "growth 0.0" in each.name], roots)
    print("chosen on half of the roots at the same epochs, on the other half:")
    print(f"a delay that grows {growing}; a fixed delay {fixed}")


def cross_validated(replays: Sequence[Replay], roots: NDArray[np.int64]) -> str:
    """Return what the best choice within the budget on one half means on the other half."""
    rng, names = np.random.default_rng(0), np.unique(roots)
    regret, epochs = (np.stack([getattr(r, key) for r in replays]) for key in ("regret", "epochs"))
    found = []
    for _ in range(400):
        half = np.isin(roots, rng.permutation(names)[: len(names) // 2])
        # Halves differ in length; a budget of so many epochs over all is so many here.
        budget = BUDGET * epochs[:, half].mean() / epochs.mean()
        affordable = epochs[:, half].mean(axis=1) <= budget
        chosen = np.argmin(np.where(affordable, regret[:, half].mean(axis=1), np.inf))
        found.append((regret[chosen, ~half].mean(), epochs[chosen, ~half].mean()))
    lost, spent = np.mean(found, axis=0)
    return f"{lost:.2f} @ {spent:.1f}"


def main() -> None:
    folder = os.environ.get("SCHEDPLAN_TEST_DATA")
    if folder is None:
        sys.exit("SCHEDPLAN_TEST_DATA is not set")
    trainings = load(Path(folder) / "curves.npz")
    roots = np.array([training.root for training in trainings])
    print(f"{len(trainings)} trainings of {len(np.unique(roots))} roots")
    if "--front" in sys.argv:
        front(trainings, roots)
    else:
        show([replay(name, each, trainings) for name, each in estimators().items()], roots)


if __name__ == "__main__":
    main()
