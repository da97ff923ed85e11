"""Reading from a run folder what a report tells, however far the run is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from schedplan.course import stages_by_key
from schedplan.graph import StateGraph, Transition
from schedplan.journal import Outcome, RunFolder, TransitionFolder, transition_key
from schedplan.knees import KneeEstimator
from schedplan.plan import Plan, Stage
from schedplan.report.content import Content, Step, Training
from schedplan.report.failure import replay_failure, search_failure
from schedplan.report.path import Trace, begun_trainings, ended_trainings, trace
from schedplan.report.view import GraphView
from schedplan.solver import SearchOptions


def of_search(
    folder: RunFolder,
    graph: StateGraph,
    estimator: KneeEstimator,
    options: SearchOptions,
    plan: Plan | None = None,
) -> Content:
    """Return what is known of a search.

    Args:
        folder: the run folder.
        graph: what is searched.
        estimator: finds the knee of a transition's curve. The trainer is not asked what guessing
            scores, so that a report needs no data; curves and knees are the same without.
        options: how it is searched.
        plan: what it has found, `complete` if it has ended.

    Raises:
        RunFolderError: a file is damaged; the message names it.
    """
    config = folder.config()
    metric, mode = config["metric"], config["mode"]
    ended = ended_trainings(folder, graph)
    found = trace(graph, ended, mode, plan)
    trainings = tuple(
        _judged(training, estimator, config) for training in _all(folder, graph, options, found)
    )
    chosen = {training.target: training for training in trainings if training.chosen}
    path = [chosen[target.label] for _, target in found.path]
    again = _confirmed(folder, plan) if plan else {}
    return Content(
        name=config["name"],
        metric=metric,
        mode=mode,
        config=config,
        trainings=trainings,
        steps=tuple(_step(each, again.get(each.target)) for each in _kept(path)),
        plan=plan,
        view=GraphView.of(
            graph,
            found.outcomes,
            found.path,
            metric=metric,
            mode=mode,
            begun=begun_trainings(folder),
        ),
        cost=options.cost,
        front={file.stem: Plan.load(file) for file in folder.front_plans()},
        failure=search_failure(graph, ended),
    )


def of_replay(folder: RunFolder, plan: Plan) -> Content:
    """Return what is known of a replay of `plan`.

    Raises:
        RunFolderError: a file is damaged; the message names it.
    """
    stages = stages_by_key(plan)
    pairs = [(stage, _stage_training(folder, key, stage)) for key, stage in stages.items()]
    return Content(
        name=plan.name,
        metric=plan.metric,
        mode=plan.mode,
        config=folder.config(),
        trainings=tuple(training for _, training in pairs),
        steps=tuple(
            Step(s.params, s.epochs, s.score, s.observed, each.observed, each.scores)
            for s, each in pairs
        ),
        plan=plan,
        failure=replay_failure(training for _, training in pairs),
    )


def _all(
    folder: RunFolder, graph: StateGraph, options: SearchOptions, found: Trace
) -> Iterator[Training]:
    """Yield every training there is, and one for every transition that waits, by their targets
    in the order in which these can be settled."""
    path = {transition_key(edge): found.outcomes[transition_key(edge)] for edge in found.path}
    kin = defaultdict[str, list[TransitionFolder]](list)
    for each in folder.trainings():
        kin[each.transition].append(each)
    for target in graph.order[1:]:
        for source in graph.dag.predecessors(target):
            edge = (source, target)
            key = transition_key(edge)
            for each in kin[key]:
                training, outcome = _read(_waiting(each.key, edge, options), each)
                chosen = outcome is not None and outcome == path.get(key)
                yield replace(training, chosen=chosen)
            if not kin[key]:
                yield _waiting(key, edge, options)


def _waiting(key: str, edge: Transition, options: SearchOptions) -> Training:
    source, target = edge
    return Training(
        key,
        source.label,
        target.label,
        target.space.params(target),
        epoch_cost=options.epoch_cost(target),
    )


def _read(training: Training, folder: TransitionFolder) -> tuple[Training, Outcome | None]:
    """Return `training` with what its folder says, and how it ended if it has."""
    progress = folder.progress()
    outcome, done = progress.outcome, progress.status == "done"
    facts = replace(
        training,
        status=progress.status,
        reason=outcome.reason if outcome else "",
        rule=outcome.rule if outcome else None,
        scores=progress.scores,
        kept=outcome.epoch if outcome and done else None,
        score=outcome.score if outcome and done else None,
        seconds=progress.seconds,
    )
    return facts, outcome


def _judged(training: Training, estimator: KneeEstimator, config: Mapping[str, Any]) -> Training:
    if not training.scores:
        return training
    return replace(training, verdict=estimator(training.scores, config["mode"]))


def _kept(path: list[Training]) -> list[Training]:
    """Return the stages of a path: where nothing was trained, only its ends count."""
    return [each for each in path if each.kept or each in (path[0], path[-1])]


def _step(training: Training, again: float | None) -> Step:
    assert training.kept is not None
    return Step(
        training.params,
        training.kept,
        training.score,
        training.observed,
        again,
        training.scores[: training.kept + 1],
    )


def _stage_training(folder: RunFolder, key: str, stage: Stage) -> Training:
    return _read(Training(key, "", stage.state, stage.params), folder.transition(key))[0]


def _confirmed(folder: RunFolder, plan: Plan) -> dict[str, float]:
    """Return what training along the plan once more has measured, by the states reached."""
    if plan.confirmed is None:
        return {}
    place = RunFolder(folder.confirmation)
    stages = stages_by_key(plan)
    found = {stage.state: place.transition(key).outcome() for key, stage in stages.items()}
    return {state: outcome.scores[-1] for state, outcome in found.items() if outcome}
