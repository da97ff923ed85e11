"""Which of many strategies is the best, and what it is worth on seeds that did not choose it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from schedplan.baselines.compare import Compared
from schedplan.baselines.job import Result
from schedplan.baselines.population import Evolved
from schedplan.knees import Mode


def scores(results: Sequence[Result | Evolved], metric: str) -> tuple[float, ...]:
    """Return the metric of the last epoch's model, or of a population's best member, one by one.

    Nothing if any of them failed, or has a metric that is not finite; what is planned for always
    is.
    """
    if any(result.failure for result in results):
        return ()
    found = tuple(result.metrics[metric] for result in results)
    return found if all(map(math.isfinite, found)) else ()


def spread(values: Sequence[float], times: Sequence[int] | None = None) -> float | None:
    """Return the standard deviation of a sample; None of fewer than two values.

    Args:
        values: measured one by one.
        times: how much each weighs; by default all the same. What weighs twice is no more certain
            for that: it was still measured once.

    Example:
        >>> round(spread([1, 2, 3], times=[2, 2, 2]), 9)
        1.0
    """
    if len(values) < 2:
        return None
    times = times or [1] * len(values)
    total = sum(times)
    weights = [weight / total for weight in times]
    mean = fmean(values, weights)
    variance = sum(w * (value - mean) ** 2 for w, value in zip(weights, values, strict=True))
    return math.sqrt(variance / (1 - sum(weight**2 for weight in weights)))


def best(
    tried: Sequence[Compared], metric: str, mode: Mode, seeds: Sequence[int] | None = None
) -> Compared | None:
    """Return the strategy of the best mean score; None if each has failed with one of the seeds.

    Args:
        tried: the strategies to choose from; of equals, the first is taken.
        metric: what to choose by.
        mode: whether high (`max`) or low (`min`) scores are better.
        seeds: positions of the seeds to choose by, at least one; what came of the others plays no
            part, failures included. By default all.
    """
    sign = 1.0 if mode == "max" else -1.0

    def known(compared: Compared) -> tuple[float, ...]:
        results = compared.results
        return scores(results if seeds is None else [results[seed] for seed in seeds], metric)

    whole = [(compared, found) for compared in tried if (found := known(compared))]
    return max(whole, key=lambda each: sign * fmean(each[1]))[0] if whole else None


def held_out(tried: Sequence[Compared], metric: str, mode: Mode) -> tuple[Result, ...]:
    """Return what comes, with each seed, of the strategy that the other seeds choose.

    The best of many is partly the luckiest, so its own score is optimistic; these are not. Nor is
    it forgiven if it fails with the very seed that did not choose it. With a single strategy that
    never fails, these are its results.

    Args:
        tried, metric, mode: see `best`.

    Returns:
        A result for each seed; nothing with fewer than two seeds, or if some of them leave no
        strategy to choose.

    Example:
        >>> from schedplan import Plan, Stage
        >>> from schedplan.baselines import Result, Strategy
        >>> def tried(name, *scores):
        ...     stage = Stage(name, {}, 1, score=None, observed=None, seed=0)
        ...     plan = Plan("demo", "top1", "max", score=None, stages=(stage,))
        ...     results = [Result({"top1": score}, epochs=1, seconds=1.0) for score in scores]
        ...     return Compared(Strategy("constant", name, plan), tuple(results))
        >>> lucky, sound = tried("lucky", 0.9, 0.1, 0.8), tried("sound", 0.6, 0.5, 0.6)
        >>> best([lucky, sound], "top1", "max").strategy.name
        'lucky'
        >>> scores(held_out([lucky, sound], "top1", "max"), "top1")
        (0.6, 0.1, 0.6)
    """
    numbers = range(min((len(each.results) for each in tried), default=0))
    if len(numbers) < 2:
        return ()
    found = []
    for left_out in numbers:
        chosen = best(tried, metric, mode, [seed for seed in numbers if seed != left_out])
        if chosen is None:
            return ()
        found.append(chosen.results[left_out])
    return tuple(found)
