"""What the search spends and loses on a real problem: handwritten digits, a small network on a CPU.

Run: python tests/benchmarks/digits.py [--splits N] [--first SEED] [--retrain N] [--parts A B]; one
to two minutes a split. Needs scikit-learn and torch.

Two ways of augmentation (a fixed axis, so the graph has two parts): with noise and with shifts, or
others of `AUGMENTATIONS`. Three resolutions, which may move back, and three learning rates: 36
transitions, like the paper's graph for Kinetics. An epoch costs 1, 2 or 4 by the resolution, about
in proportion to the pixels. Every seed splits the 1,797 images at random into 40% for training, 30%
for validation and 30% for testing.

Trainings are remembered, and searches run in virtual time: all variants of a split meet the same
trainings, just as each would if it were run alone. Cost is in percent of the exhaustive search's.
A plan is judged by the test accuracy of the model that its search has found, beside that of the
exhaustive search's model, in points. `--retrain` trains both schedules again with so many other
seeds where they differ: the mean tells a worse path from an unlucky model.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

from worlds import Found, TrainedOnce

from schedplan import Axis, Space, State, StateGraph, build_graph
from schedplan.graph import default_final, default_start, extended
from schedplan.journal import Outcome, transition_key
from schedplan.knees import AtMost, CurveFit, Scale
from schedplan.pruning import FAST, NONE, SAFE, Pruning
from schedplan.solver import Trial
from schedplan.trainer import derive_seed

AUGMENTATIONS = ("none", "noise", "shift")
FIXED, REVERSIBLE = ("augmentation",), ("resolution",)
COSTS = {4: 1.0, 6: 2.0, 8: 4.0}
BATCH, MOMENTUM, NOISE = 32, 0.9, 0.3
ESTIMATOR, SCALE = AtMost(200, CurveFit()), Scale(chance=0.1, perfect=1.0)
VARIANTS = {
    "safe": {"pruning": SAFE},
    "fast": {"pruning": FAST},
    "race alone": {"pruning": Pruning(race=SAFE.race)},
    "cut alone": {"pruning": Pruning(cut=SAFE.cut)},
    "safe, dive": {"pruning": SAFE, "order": "dive"},
}


def graph(parts: tuple[str, ...]) -> StateGraph:
    """Return the graph over two of `AUGMENTATIONS`."""
    space = Space(
        (
            Axis("augmentation", parts),
            Axis("resolution", (4, 6, 8)),
            Axis("learning_rate", (0.1, 0.02, 0.004)),
        )
    )
    starts = space.select(default_start(space, FIXED, REVERSIBLE))
    finals = space.select(default_final(space, FIXED))
    return build_graph(space, extended(FIXED, REVERSIBLE), starts, finals)


def network() -> nn.Module:
    """Return a new network for images of any resolution from 4 on."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


@cache
def digits() -> tuple[Tensor, Tensor]:
    """Return the images, (N, 1, 8, 8) within 0 to 1, and their labels."""
    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels / 16).float().reshape(-1, 1, 8, 8), torch.tensor(labels)


@cache
def at(resolution: int, *, shifted: bool = False) -> Tensor:
    """Return all images at a resolution, (V, N, 1, R, R).

    V is 9 if `shifted`: moved by -1, 0 or 1 pixels of the original each way. Otherwise it is 1.
    """
    images, _ = digits()
    moved = [images]
    if shifted:
        padded = functional.pad(images, (1, 1, 1, 1))
        moved = [padded[..., y : y + 8, x : x + 8] for y in range(3) for x in range(3)]
    return torch.stack([functional.adaptive_avg_pool2d(each, resolution) for each in moved])


class Split:
    """The images, split at random.

    Args:
        seed: of the split.
    """

    def __init__(self, seed: int) -> None:
        _, self.labels = digits()
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(seed))
        sizes = [round(len(order) * share) for share in (0.4, 0.3)]
        self.train, self.validation, self.test = order.split([*sizes, len(order) - sum(sizes)])

    @torch.no_grad()
    def hits(self, model: nn.Module, images: Tensor, resolution: int) -> Tensor:
        """Return which of `images`, by number, `model` recognises."""
        return model(at(resolution)[0, images]).argmax(1) == self.labels[images]

    def accuracy(self, model: nn.Module, state: State) -> float:
        """Return the share of the validation images recognised at a state's resolution."""
        return float(self.hits(model, self.validation, state.value("resolution")).float().mean())

    def epochs(self, model: nn.Module, state: State, seed: int) -> Iterator[None]:
        """Train `model` in place, an epoch at a time, for ever."""
        params = state.space.params(state)
        optimizer = torch.optim.SGD(model.parameters(), params["learning_rate"], MOMENTUM)
        chance = torch.Generator().manual_seed(seed)
        images = at(params["resolution"], shifted=params["augmentation"] == "shift")
        while True:
            for batch in self.train[torch.randperm(len(self.train), generator=chance)].split(BATCH):
                view = images[torch.randint(len(images), (len(batch),), generator=chance), batch]
                if params["augmentation"] == "noise":
                    view = view + NOISE * torch.randn(view.shape, generator=chance)
                optimizer.zero_grad()
                functional.cross_entropy(model(view), self.labels[batch]).backward()
                optimizer.step()
            yield


def begin(start: nn.Module | None, seed: int) -> nn.Module:
    """Return a copy of `start`, or a new network."""
    if start is not None:
        return copy.deepcopy(start)
    torch.manual_seed(seed)
    return network()


class Digits(TrainedOnce):
    """The problem under one split.

    Args:
        seed: of the split and of all training.
        parts: two of `AUGMENTATIONS`.
    """

    def __init__(self, seed: int, parts: tuple[str, ...] = ("noise", "shift")) -> None:
        super().__init__(graph(parts), lambda state: COSTS[state.value("resolution")])
        self.seed, self.split = seed, Split(seed)
        self.models: dict[str, nn.Module] = {}
        self._retrained: dict[object, float] = {}

    def train(self, trial: Trial) -> Outcome:
        seed = derive_seed(self.seed, transition_key((trial.source.state, trial.target)))
        snapshot = trial.source.snapshot
        model = begin(self.models[snapshot] if snapshot else None, seed)
        epochs = self.split.epochs(model, trial.target, seed)
        states: list[dict[str, Tensor]] = []
        scores: list[float] = []
        while True:
            states.append(copy.deepcopy(model.state_dict()))
            scores.append(self.split.accuracy(model, trial.target))
            verdict = ESTIMATOR(scores, scale=SCALE)
            if verdict.stop:
                break
            next(epochs)
        model.load_state_dict(states[verdict.epoch])
        name = str(len(self.models))
        self.models[name] = model
        curve = tuple(scores)
        return Outcome("done", "", verdict.epoch, verdict.score, curve, name, None, seed, 0.0)

    def worth(self, scores: Sequence[float]) -> float:
        return ESTIMATOR(scores, scale=SCALE).score

    def recognised(self, found: Found) -> Tensor:
        """Return which test images the model of a plan recognises."""
        label = found.label
        model = self.models[label.snapshot or ""]
        return self.split.hits(model, self.split.test, label.state.value("resolution"))

    def retrained(self, found: Found, times: int) -> float:
        """Return the mean test accuracy of a plan's schedule trained with other seeds."""
        key = (tuple(found.schedule), times)
        if key not in self._retrained:
            accuracies = [self._train_along(found.schedule, seed) for seed in range(times)]
            self._retrained[key] = statistics.fmean(accuracies)
        return self._retrained[key]

    def _train_along(self, schedule: list[tuple[State, int]], number: int) -> float:
        """Return the test accuracy of a new model trained along a schedule."""
        model: nn.Module | None = None
        for place, (state, length) in enumerate(schedule):
            seed = derive_seed("again", self.seed, number, place)
            model = begin(model, seed)
            for _ in islice(self.split.epochs(model, state, seed), length):
                pass
        hits = self.split.hits(model, self.split.test, state.value("resolution"))
        return float(hits.float().mean())


@dataclass(frozen=True)
class Result:
    """What a variant did on one split; cost in percent, all else in points.

    Attributes:
        cost: of the exhaustive search's.
        first: the cost when there was a first whole plan.
        same: whether the path is the exhaustive search's.
        gain: test accuracy of the model found less that of the exhaustive search's.
        error: the standard error of `gain`, from the test images on which the models differ.
        again: `gain` of the schedules trained again; NaN if they were not, 0 if they are the same.
    """

    cost: float
    first: float
    same: bool
    gain: float
    error: float
    again: float


def compare(world: Digits, found: Found, exhaustive: Found, retrain: int) -> Result:
    """Return how a search did beside the exhaustive one."""
    hits, reference = world.recognised(found), world.recognised(exhaustive)
    gain = float(hits.float().mean() - reference.float().mean())
    differ = float((hits != reference).float().mean())
    again = math.nan
    if found.schedule == exhaustive.schedule:
        again = 0.0
    elif retrain:
        again = world.retrained(found, retrain) - world.retrained(exhaustive, retrain)
    return Result(
        cost=100 * found.cost / exhaustive.cost,
        first=100 * found.answers[0][0] / exhaustive.cost,
        same=found.path == exhaustive.path,
        gain=100 * gain,
        error=100 * math.sqrt(max(differ - gain**2, 0.0) / len(hits)),
        again=100 * again,
    )


def report_split(world: Digits, retrain: int) -> tuple[float, dict[str, Result]]:
    """Search one split in every way, print it, and return the test accuracy and the results."""
    begun = time.perf_counter()
    exhaustive = world.search(pruning=NONE)
    accuracy = float(world.recognised(exhaustive).float().mean())
    results = {
        name: compare(world, world.search(**options), exhaustive, retrain)
        for name, options in VARIANTS.items()
    }
    path = " > ".join(f"{state.label}:{length}" for state, length in exhaustive.schedule)
    print(
        f"split {world.seed}: exhaustive cost {exhaustive.cost:.0f}, {exhaustive.epochs} epochs, "
        f"test {100 * accuracy:.2f}, {time.perf_counter() - begun:.0f} s\n  {path}"
    )
    for name, each in results.items():
        print(
            f"  {name:12} cost {each.cost:5.1f}%  first plan {each.first:5.1f}%  "
            f"{'same ' if each.same else 'other'} {each.gain:+6.2f} +- {each.error:.2f}  "
            f"retrained {each.again:+6.2f}",
            flush=True,
        )
    return accuracy, results


def report_all(accuracies: list[float], splits: list[dict[str, Result]]) -> None:
    """Print the table over all splits."""
    images = len(Split(0).test)
    mean = statistics.fmean(accuracies)
    error = 100 * math.sqrt(mean * (1 - mean) / images)
    print(
        f"\n{len(splits)} splits; exhaustive test accuracy {100 * mean:.2f}, of which the binomial "
        f"standard error on {images} images is {error:.2f}; one image is {100 / images:.2f}"
    )
    print(
        f"{'':12} {'cost %':>7} {'range':>9} {'first %':>8} {'same':>6} {'mean':>7} {'worst':>7} "
        f"{'> 0.5 worse':>12} {'retrained mean':>15} {'worst':>7}"
    )
    for name in VARIANTS:
        rows = [split[name] for split in splits]
        costs, gains = [row.cost for row in rows], [row.gain for row in rows]
        again = [row.again for row in rows]
        print(
            f"{name:12} {statistics.fmean(costs):7.1f} {min(costs):4.0f}-{max(costs):4.0f} "
            f"{statistics.fmean(row.first for row in rows):8.1f} "
            f"{sum(row.same for row in rows):3}/{len(rows):2} {statistics.fmean(gains):+7.2f} "
            f"{min(gains):+7.2f} {sum(gain < -0.5 for gain in gains):12} "
            f"{statistics.fmean(again):+15.2f} {min(again):+7.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first split's seed")
    parser.add_argument("--retrain", type=int, default=0, help="with so many other seeds")
    parser.add_argument("--parts", nargs=2, choices=AUGMENTATIONS, default=["noise", "shift"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(options.first, options.first + options.splits)
    worlds = (Digits(seed, tuple(options.parts)) for seed in seeds)
    reports = [report_split(world, options.retrain) for world in worlds]
    report_all([accuracy for accuracy, _ in reports], [results for _, results in reports])


if __name__ == "__main__":
    main()
