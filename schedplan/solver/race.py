"""A race among the trials of one state: the most promising first, others while they may win."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from schedplan.frontier import Frontier, Label
from schedplan.pruning import Drop, Race, measurement_noise
from schedplan.solver.trial import END, Steps, Trial, Worth


def race(trials: Sequence[Trial], rule: Race, frontier: Frontier, worth: Worth) -> Steps:
    """Train `trials` to their ends but for those that `rule` drops; return these, with the reasons.

    None is dropped that would win if it ended now, whatever is expected of it: an estimator may
    take the best that was measured.

    Every decision is taken from curves seen up to an epoch that the race itself has come to, not
    up to the last one known, so that it is the same wherever and in whichever order trials run.
    """
    first = [(trial, rule.warm_up(trial.from_scratch)) for trial in trials]
    yield first
    if all(trial.ended_by(epoch) for trial, epoch in first):
        return {}
    seen: dict[Trial, float] = dict(first)
    rivals = [trial for trial in trials if not _failed(trial, seen[trial])]
    rivals.sort(key=lambda trial: -rule.promise(trial.scores(seen[trial])))
    kept: list[Label] = []
    leaders: dict[Label, Trial] = {}
    drops: dict[Trial, Drop] = {}
    for rival in rivals:
        bar = frontier.bar(kept, rival.source.cost)
        if bar == -math.inf:
            seen[rival] = END
            yield [(rival, END)]
        else:
            leader = next(leaders[label] for label in reversed(kept) if label.value >= bar)
            expected = rule.expected(leader.scores(END))
            noise = measurement_noise([trial.scores(seen[trial]) for trial in rivals])
            while not rival.ended_by(seen[rival]):
                scores = rival.scores(seen[rival])
                drop = rule.drop(scores, expected, bar, noise, rival.from_scratch)
                if drop and not worth(scores) >= bar:
                    evidence = f"{drop.evidence} from {leader.source.state.label}"
                    drops[rival] = replace(drop, evidence=evidence)
                    break
                seen[rival] += 1
                yield [(rival, seen[rival])]
        if rival.label and rival not in drops:
            leaders[rival.label] = rival
            kept = frontier.keep([*kept, rival.label])
    return drops


def _failed(trial: Trial, epoch: float) -> bool:
    return trial.label is None and trial.ended_by(epoch)
