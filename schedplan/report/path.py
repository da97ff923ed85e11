"""What of a run is shown: the path of its plan, and one training of every transition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from schedplan.frontier import Label, best_label
from schedplan.graph import StateGraph, Transition
from schedplan.journal import Outcome, RunFolder, transition_key
from schedplan.knees import Mode
from schedplan.plan import Plan
from schedplan.space import INITIAL


@dataclass(frozen=True)
class Trace:
    """What a search has left behind, a training per transition.

    Attributes:
        outcomes: how transitions ended, by `transition_key`; those that have not are left out. Of
            a transition trained from several models, the chosen path's training is taken, elsewhere
            the one that began from the best model of its source.
        path: the transitions from `INITIAL` to a final state, those that kept 0 epochs included;
            empty if no final state was reached.
    """

    outcomes: Mapping[str, Outcome]
    path: tuple[Transition, ...]


def trace(
    graph: StateGraph,
    trainings: Mapping[Transition, Iterable[Outcome]],
    mode: Mode = "max",
    plan: Plan | None = None,
) -> Trace:
    """Return what is shown of a search: that of `plan`, or else of the best path so far.

    Every outcome names the one whose model its training began from, so that paths are followed as
    they were trained, whatever was pruned and however many models of a state were kept.

    Args:
        graph: what was searched.
        trainings: how the trainings of every transition ended; those that have not are left out.
        mode: whether scores are maximised (`max`) or minimised (`min`).
        plan: what the search found, if it has ended.

    Example:
        >>> from schedplan import INITIAL, Axis, Space, build_graph
        >>> from schedplan.graph import basic
        >>> space = Space((Axis("rate", (0.1, 0.01)),))
        >>> first, last = space.states()
        >>> graph = build_graph(space, basic(), [first], [last])
        >>> facts = {"snapshot": "model", "seed": 0, "seconds": 1.0}
        >>> one = Outcome("done", "", 1, 0.5, (0.4, 0.5), origin=None, **facts)
        >>> two = Outcome("done", "", 1, 0.6, (0.5, 0.6), origin=one.identity, **facts)
        >>> trace(graph, {(INITIAL, first): [one], (first, last): [two]}).path
        ((<State S0>, <State 0.1>), (<State 0.1>, <State 0.01>))
    """
    labels = _labels(graph, trainings, 1.0 if mode == "max" else -1.0)
    chosen = _chosen(graph, labels.values(), plan)
    steps = {label.outcome for label in chosen.path} if chosen else set()

    def rank(outcome: Outcome) -> tuple[bool, tuple[float, int]]:
        source = labels.get(outcome.origin)
        return outcome in steps, source.merit if source else Label(INITIAL).merit

    shown = {
        transition_key(edge): max(outcomes, key=rank)
        for edge, ended in trainings.items()
        if (outcomes := list(ended))
    }
    states = [label.state for label in chosen.path] if chosen else []
    return Trace(shown, tuple(pairwise(states)))


def ended_trainings(folder: RunFolder, graph: StateGraph) -> dict[Transition, list[Outcome]]:
    """Return how the trainings of every transition have ended; those that have not are left out."""
    edges = {transition_key(edge): edge for edge in graph.dag.edges}
    ended: dict[Transition, list[Outcome]] = defaultdict(list)
    for training in folder.trainings():
        edge, outcome = edges.get(training.transition), training.outcome()
        if edge and outcome:
            ended[edge].append(outcome)
    return ended


def begun_trainings(folder: RunFolder) -> dict[str, int]:
    """Return the epochs so far, by `transition_key`, of what has begun and not ended."""
    begun: dict[str, int] = {}
    for training in folder.trainings():
        progress = training.progress()
        if progress.status == "begun":
            begun[training.transition] = max(progress.epochs, begun.get(training.transition, 0))
    return begun


def _labels(
    graph: StateGraph, trainings: Mapping[Transition, Iterable[Outcome]], sign: float
) -> dict[str | None, Label]:
    """Return every model that can be followed back to `INITIAL`, by its identity."""
    labels: dict[str | None, Label] = {None: Label(INITIAL)}
    for state in graph.order[1:]:
        for source in graph.dag.predecessors(state):
            for outcome in trainings.get((source, state), ()):
                previous = labels.get(outcome.origin)
                if previous and previous.state == source and outcome.status == "done":
                    assert outcome.score is not None
                    epochs = previous.epochs + outcome.epoch
                    value = sign * outcome.score
                    label = Label(state, outcome, previous, epochs, value=value)
                    labels[label.identity] = label
    return labels


def _chosen(graph: StateGraph, labels: Iterable[Label], plan: Plan | None) -> Label | None:
    """Return the model at the end of `plan`; the best one of a final state if there is no plan."""
    finals = set(graph.finals)
    arrived = [label for label in labels if label.state in finals]
    planned = [label for label in arrived if plan and _stages(label) == _planned(plan)]
    found = planned or arrived
    return best_label(found) if found else None


def _stages(label: Label) -> list[tuple[str, int, float | None]]:
    taken = [(step.state.label, step.outcome) for step in label.path if step.outcome]
    return [(state, outcome.epoch, outcome.score) for state, outcome in taken if outcome.epoch]


def _planned(plan: Plan) -> list[tuple[str, int, float | None]]:
    return [(stage.state, stage.epochs, stage.score) for stage in plan.stages]
