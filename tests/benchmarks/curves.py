"""How near to the best fit the solvers come, and how fast. Run:

    SCHEDPLAN_TEST_DATA=FOLDER python tests/benchmarks/curves.py [PREFIXES]

The time of a fit beside that of plain `scipy.optimize.curve_fit` with the bounds of the
constraints, interleaved in this process. Then, for every curve in FOLDER/curves.npz, whole and cut
to PREFIXES (3) random lengths of at least 6, and every family: the error beside the least one found
by a dense search. That knows nothing of the solvers: it tries 1,000 rates, or all pairs of 80,
keeps the best and polishes them by the simplex method, each step solved by SciPy's NNLS. Curves
without any variation are left out.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit, minimize, nnls

from schedplan.curves import FAMILIES, MIN_POINTS, Exponential, Family, Solver, fit

Array = NDArray[np.float64]

SINGLES, PAIRED, POLISHED = 1000, 80, 4
NOTHING = 1e-12  # of the scores' sum of squares: an error this small is none


def real_curves() -> list[Array]:
    folder = os.environ.get("SCHEDPLAN_TEST_DATA")
    if folder is None:
        sys.exit("SCHEDPLAN_TEST_DATA is not set")
    with np.load(Path(folder) / "curves.npz") as data:
        val, offsets = data["val"].astype(np.float64), data["offsets"]
    return [val[start:end] for start, end in pairwise(offsets)]


class DenseSearch:
    """The least error of a family over a dense set of rates.

    Straight lines are taken out of the scores and of every column by a QR decomposition.
    """

    def __init__(self, family: Family, scores: Array) -> None:
        self.family, self.t = family, np.arange(len(scores), dtype=np.float64)
        self.free, _ = np.linalg.qr(np.stack([np.ones_like(self.t), self.t], axis=1))
        self.y = self.rest(scores)
        fastest, slowest = family.rate_bounds(float(self.t[-1]))
        self.bounds = np.log([-slowest, -fastest])

    def rest(self, columns: Array) -> Array:
        return columns - self.free @ (self.free.T @ columns)

    def columns(self, logs: Array) -> Array:
        """Return the columns of the rates -exp(logs), and the quadratic one, of norm 1 or 0."""
        terms = np.exp(-np.exp(np.clip(logs, *self.bounds)) * self.family.clock(self.t)[:, None])
        columns = self.rest(-np.column_stack([terms, (self.t / self.t[-1]) ** 2]))
        norms = np.linalg.norm(columns, axis=0)
        return np.where(norms > 1e-9, columns / np.maximum(norms, 1e-9), 0.0)

    def sse(self, logs: Array) -> float:
        return float(nnls(self.columns(np.atleast_1d(logs)), self.y)[1] ** 2)

    def candidates(self) -> Iterator[Array]:
        """Yield the best points of the grid, by a loop over pairs in closed form."""
        count = SINGLES if self.family.terms == 1 else PAIRED
        grid = np.linspace(*self.bounds, count)
        columns = self.columns(grid)
        chosen = [(i, count) for i in range(count)]
        if self.family.terms == 2:
            chosen = [(i, j, count) for i in range(count) for j in range(i)]
        index = np.array(chosen)
        explained = explained_by(columns.T @ columns, columns.T @ self.y, index)
        for best in np.argsort(-explained)[: 10 * POLISHED : 10]:
            yield grid[index[best, :-1]]

    def least(self) -> float:
        found = [float(self.y @ self.y)]
        for logs in self.candidates():
            options = {"xatol": 1e-7, "fatol": 1e-15, "maxiter": 400}
            found.append(float(minimize(self.sse, logs, method="Nelder-Mead", options=options).fun))
        return min(found)


def explained_by(gram: Array, moments: Array, index: NDArray[np.intp]) -> Array:
    """Return what the columns of each row explain under weights of at least 0."""
    best = np.zeros(len(index))
    width = index.shape[1]
    for mask in range(1, 2**width):
        part = index[:, [i for i in range(width) if mask >> i & 1]]
        system = gram[part[:, :, None], part[:, None, :]] + 1e-12 * np.eye(part.shape[1])
        weights = np.linalg.solve(system, moments[part][..., None])[..., 0]
        gain = np.where((weights >= 0).all(axis=1), (weights * moments[part]).sum(axis=1), 0.0)
        best = np.maximum(best, gain)
    return best


def accuracy(curves: Sequence[Array], prefixes: int, solver: Solver) -> None:
    rng = np.random.default_rng(0)
    cut = [
        curve[:n] for curve in curves for n in rng.integers(MIN_POINTS, len(curve) + 1, prefixes)
    ]
    for family in FAMILIES:
        ratios = []
        for scores in [*curves, *cut]:
            floor = NOTHING * float(((scores - scores.mean()) ** 2).sum())
            if floor == 0:
                continue
            found = fit(family, scores, solver)
            assert found is not None
            ratios.append((found.sse + floor) / (DenseSearch(family, scores).least() + floor))
        worse = sum(ratio > 1.001 for ratio in ratios)
        print(
            f"{solver:7} {family.name:18} {len(ratios)} curves and prefixes: error at most "
            f"{max(ratios):.6f}x the least known; over 1.001x on {worse}",
            flush=True,
        )


def plainly(scores: Array) -> None:
    """Fit the exponential family as one would first think of."""
    t = np.arange(len(scores), dtype=np.float64)
    bounds = ([-np.inf, -np.inf, -np.inf, -np.inf, -np.inf], [np.inf, 0, 0, np.inf, 0])
    start = (scores[-1], -0.5, -0.1, 0.0, -1e-5)

    def f(t: Array, a1: float, a2: float, a3: float, a4: float, a5: float) -> Array:
        return np.asarray(a1 + a2 * np.exp(a3 * t) + a4 * t + a5 * t * t)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            curve_fit(f, t, scores, p0=start, bounds=bounds)
        except RuntimeError:  # it gives up after a number of evaluations
            return


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def speed(curves: Sequence[Array]) -> None:
    rng = np.random.default_rng(1)
    cut = [curve[: rng.integers(MIN_POINTS, len(curve) + 1)] for curve in curves]
    calls = {
        "exponential": partial(fit, Exponential()),
        "exponential by TRF": partial(fit, Exponential(), solver="trf"),
        **{each.name: partial(fit, each) for each in FAMILIES if each.name != "exponential"},
        "plain curve_fit": plainly,
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for warm in (True, False):
        for scores in [*curves, *cut]:
            for name, call in calls.items():
                taken = seconds(partial(call, scores))
                if not warm:
                    times[name].append(taken)
    plain = np.median(times["plain curve_fit"])
    for name, each in times.items():
        middle, high = np.quantile(each, [0.5, 0.95])
        ratio = np.median(np.array(times["plain curve_fit"]) / np.array(each))
        print(
            f"{name:20} median {middle * 1e3:6.3f} ms, 95% within {high * 1e3:6.3f} ms; "
            f"{plain / middle:5.1f}x plain curve_fit by medians, {ratio:5.1f}x by median of ratios"
        )
    long = np.sqrt(np.arange(5000.0)) + rng.standard_normal(5000)
    for family in FAMILIES:
        print(f"5,000 points, {family.name:18} {seconds(partial(fit, family, long)) * 1e3:6.1f} ms")


if __name__ == "__main__":
    recorded = real_curves()
    speed(recorded)
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    accuracy(recorded, asked, "varpro")
    accuracy(recorded, 0, "trf")
