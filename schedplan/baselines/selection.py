"""Which of many strategies is the best, and what it is worth on seeds that did not choose it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from schedplan.baselines.compare import Compared
from schedplan.knees import Mode


def scores(compared: Compared, metric: str) -> tuple[float, ...]:
    """Return the metric of the last epoch's model, seed by seed; nothing if any of them failed."""
    if any(result.failure for result in compared.results):
        return ()
    return tuple(result.metrics[metric] for result in compared.results)


def spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample; None of fewer than two values."""
    return stdev(values) if len(values) > 1 else None


def best(
    tried: Sequence[Compared], metric: str, mode: Mode, seeds: Sequence[int] | None = None
) -> Compared | None:
    """Return the strategy of the best mean score; None if all have failed.

    Args:
        tried: the strategies to choose from; of equals, the first is taken.
        metric: what to choose by.
        mode: whether high (`max`) or low (`min`) scores are better.
        seeds: positions of the seeds to choose by; by default all.
    """
    sign = 1.0 if mode == "max" else -1.0
    whole = [(compared, found) for compared in tried if (found := scores(compared, metric))]
    if not whole:
        return None
    return max(
        whole,
        key=lambda each: (
            sign * fmean(each[1] if seeds is None else [each[1][seed] for seed in seeds])
        ),
    )[0]


def held_out(tried: Sequence[Compared], metric: str, mode: Mode, report: str) -> tuple[float, ...]:
    """Return what the best strategy scores with each seed if the other seeds choose it.

    The best of many is partly the luckiest, so its own score is optimistic; these are not. With a
    single strategy, they are its scores.

    Args:
        tried, metric, mode: see `best`.
        report: the metric to return.

    Returns:
        A score for each seed; nothing with fewer than two seeds, or if all strategies have failed.

    Example:
        >>> from schedplan import Plan, Stage
        >>> from schedplan.baselines import Result, Strategy
        >>> def tried(name, *scores):
        ...     stage = Stage(name, {}, 1, score=None, observed=None, seed=0)
        ...     plan = Plan("demo", "top1", "max", score=None, stages=(stage,))
        ...     results = [Result({"top1": score}, seconds=1.0) for score in scores]
        ...     return Compared(Strategy("constant", name, plan), tuple(results))
        >>> lucky, sound = tried("lucky", 0.9, 0.1, 0.8), tried("sound", 0.6, 0.5, 0.6)
        >>> best([lucky, sound], "top1", "max").strategy.name
        'lucky'
        >>> held_out([lucky, sound], "top1", "max", "top1")
        (0.6, 0.1, 0.6)
    """
    numbers = range(min((len(each.results) for each in tried), default=0))
    if len(numbers) < 2:
        return ()
    found = []
    for left_out in numbers:
        others = [number for number in numbers if number != left_out]
        chosen = best(tried, metric, mode, others)
        if chosen is None:
            return ()
        found.append(chosen.results[left_out].metrics[report])
    return tuple(found)
