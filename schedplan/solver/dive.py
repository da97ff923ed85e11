"""A first complete plan early, then better ones: the anytime order of the search."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from schedplan.frontier import Label, best_label
from schedplan.solver.trial import END, Steps
from schedplan.space import State

if TYPE_CHECKING:
    from schedplan.solver.search import Search


def dive(search: Search) -> Steps:
    """Train along one path to a final state in every part of the graph, then improve the best.

    A plan is improved by detours of one state: a state is put between two of the path, in the
    place of one, or one is left out. What comes out at the state where the detour joins the path
    decides; only after a detour that is better is the rest of the path trained again. It ends when
    no detour is better. No label found here is taken for settled: the dynamic program that follows
    uses what it can of the training done.
    """
    best: list[Label] = []
    for path in _paths(search):
        labels = yield from _along(search, [search.root], path)
        if labels and (not best or best_label([best[-1], labels[-1]]) is labels[-1]):
            search.hold(labels)
            search.let_go(best)
            best = labels
    while best:
        better = yield from _improved(search, best)
        if better is None:
            break
        search.hold(better)
        search.let_go(best)
        best = better
    search.let_go(best)


def _paths(search: Search) -> Iterator[list[State]]:
    """Yield a path to a final state in every part of the graph.

    It goes in the smallest steps there are, along the axes in the order in which they are stated:
    an axis that stands last, as learning rates do, moves last.
    """
    dag = search.graph.dag
    seen: set[int] = set()
    for start in search.graph.starts:
        if search.parts.part[start] in seen:
            continue
        seen.add(search.parts.part[start])
        path = [start]
        while successors := list(dag.successors(path[-1])):
            path.append(min(successors, key=partial(_preference, path[-1])))
        yield path


def _preference(source: State, target: State) -> tuple[int, tuple[int, ...]]:
    step = sum(abs(a - b) for a, b in zip(source, target, strict=True))
    return step, tuple(-level for level in target)


def _along(search: Search, labels: list[Label], states: list[State]) -> Steps:
    """Train on from the last of `labels` through `states`; None if a transition fails.

    Where a state was settled meanwhile, its best label is gone on from: the others' models may be
    removed already.
    """
    labels = list(labels)
    for state in states:
        trial = search.trial(labels[-1], state)
        yield [(trial, END)]
        if trial.label is None:
            return None
        settled = search.kept.get(state)
        labels = settled[0].path if settled else [*labels, trial.label]
    return labels


def _improved(search: Search, path: list[Label]) -> Steps:
    """Return a path to the same end that is better, None if no detour leads to one."""
    for position in range(1, len(path)):
        for start, through in _detours(search, path, position):
            way = yield from _along(search, path[: start + 1], through)
            if way is None:
                continue
            trial = search.trial(way[-1], path[position].state)
            wins = yield from search.contest(path[position], trial)
            if wins and trial.label:
                rest = [label.state for label in path[position + 1 :]]
                found = yield from _along(search, [*way, trial.label], rest)
                if found and found[-1].merit > path[-1].merit:
                    return found
    return None


def _detours(search: Search, path: list[Label], position: int) -> Iterator[tuple[int, list[State]]]:
    """Yield (where to leave the path, what to pass through before joining it at `position`)."""
    dag, on_path = search.graph.dag, {label.state for label in path}
    target = path[position].state
    for start in range(position - 1, max(position - 3, -1), -1):
        source = path[start].state
        if start < position - 1 and dag.has_edge(source, target):
            yield start, []
        for between in dag.successors(source):
            if between not in on_path and dag.has_edge(between, target):
                yield start, [between]
