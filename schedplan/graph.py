"""The graph of states: which transitions there are, where training starts and where it ends.

The graph is a networkx `DiGraph` whose nodes are `State`s, with `INITIAL` (the paper's S0) before
all starts. It holds exactly what can matter: every state on some path from a start to a final
state, and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import add
from typing import TypeAlias

import networkx as nx

from schedplan.errors import GraphError
from schedplan.rules import AllOf, Fixed, OneStep, Onward, Rule, Step, Trade
from schedplan.space import INITIAL, Selection, Space, State

Transition: TypeAlias = tuple[State, State]
"""(source, target): fine-tune the best model of the source under the target's settings."""

Levels: TypeAlias = tuple[int, ...]
"""One level per axis: a state by its bare numbers, which it is equal to."""

Preset: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...]], Rule]
"""(fixed axes, reversible axes) -> the rule of a family of graphs."""

_FEW_STATES = 300
"""In a space of this size, every pair of states can be asked about within a second."""

MAX_PAIRS = 20_000_000
"""How many pairs of states a rule without bounded steps may be asked about (half a minute)."""

MAX_TRANSITIONS = 3_000_000
"""How many transitions a graph may have (half a minute, 2 GB)."""


def basic(fixed: tuple[str, ...] = (), reversible: tuple[str, ...] = ()) -> Rule:
    """Exactly one axis moves one level forward (paper, section 3.2)."""
    return OneStep() & Fixed(fixed)


def extended(fixed: tuple[str, ...] = (), reversible: tuple[str, ...] = ()) -> Rule:
    """Basic, or one axis forward and one reversible axis back, a level each (section 3.2)."""
    return (OneStep() | Trade(reversible)) & Fixed(fixed)


def any_onward(fixed: tuple[str, ...] = (), reversible: tuple[str, ...] = ()) -> Rule:
    """Any axis moves forward by any number of levels; only reversible axes may move back."""
    return Onward(reversible) & Fixed(fixed)


def default_start(space: Space, fixed: Sequence[str], reversible: Sequence[str]) -> Selection:
    """Return where training may start unless stated: first levels, and any of a fixed axis.

    A reversible axis may start at its first two levels, as the paper's published schedules do.
    """
    return {
        axis.name: list(axis.values[:2]) if axis.name in reversible else "first"
        for axis in space.axes
        if axis.name not in fixed
    }


def default_final(space: Space, fixed: Sequence[str]) -> Selection:
    """Return where training ends unless stated: last levels, and any of a fixed axis."""
    return {axis.name: "last" for axis in space.axes if axis.name not in fixed}


@dataclass(frozen=True)
class StateGraph:
    """A checked graph of states; build it with `build_graph`.

    Attributes:
        space: the space that the states belong to.
        dag: the states as nodes and the transitions as edges, those out of `INITIAL` included.
        order: all states, each after every state that leads to it; `INITIAL` first.
        starts: the states that follow `INITIAL`.
        finals: the states that a plan may end in.
        unreached: final states that were asked for but that no start leads to.
    """

    space: Space
    dag: nx.DiGraph[State]
    order: tuple[State, ...]
    starts: tuple[State, ...]
    finals: tuple[State, ...]
    unreached: tuple[State, ...] = ()

    @property
    def states(self) -> int:
        """The number of states, `INITIAL` not counted."""
        return self.dag.number_of_nodes() - 1

    @property
    def transitions(self) -> int:
        """The number of transitions, those out of `INITIAL` counted."""
        return self.dag.number_of_edges()


def build_graph(
    space: Space, rule: Rule, starts: Iterable[State], finals: Iterable[State]
) -> StateGraph:
    """Build the graph of all transitions that `rule` allows between `starts` and `finals`.

    A transition always changes the state, so `rule` is never asked about a state and itself.

    Raises:
        SpaceError: if the rule names an axis that `space` does not have.
        GraphError: if there is no start or no final state, no final state can be reached (the
            message names the rule that cuts it off), or there is a cycle (the message shows it).

    Example:
        >>> from schedplan.space import Axis
        >>> space = Space((Axis("clip", (16, 32, 128)), Axis("rate", (0.04, 0.004, 0.0004))))
        >>> starts = space.select({"rate": "first", "clip": [16, 32]})
        >>> finals = space.select({"rate": "last", "clip": "last"})
        >>> build_graph(space, basic(), starts, finals).transitions
        14
        >>> build_graph(space, extended(reversible=("clip",)), starts, finals).transitions
        18
    """
    rule.check(space)
    starts, finals = tuple(starts), tuple(finals)
    if not starts:
        raise GraphError("the graph has no start state", path=("start",))
    if not finals:
        raise GraphError("the graph has no final state", path=("final",))
    dag: nx.DiGraph[State] = nx.DiGraph()
    dag.add_edges_from((INITIAL, start) for start in starts)
    dag.add_edges_from(_explore(space, rule, starts))
    reached = tuple(final for final in finals if final in dag)
    if not reached:
        raise _unreachable(space, rule, starts, finals)
    useful = _ancestors(dag, reached)
    dag.remove_nodes_from([state for state in dag if state not in useful])
    return StateGraph(
        space=space,
        dag=dag,
        order=_in_order(dag),
        starts=tuple(state for state in starts if state in dag),
        finals=reached,
        unreached=tuple(final for final in finals if final not in dag),
    )


def _explore(
    space: Space, rule: Rule, starts: Sequence[State], bound: Rule | None = None
) -> Iterator[Transition]:
    """Yield every allowed transition that can be met from `starts`, breadth first.

    Only pairs that `bound` knows to be possible are tried; those that `rule` does, by default.
    """
    candidates, rules = _candidates(space, _conjuncts(rule), bound or rule)
    transitions = 0
    seen: dict[Levels, State] = {start: start for start in starts}
    queue = list(seen.values())
    for source in queue:
        for levels in candidates(source):
            known = seen.get(levels)
            target = State(levels, space) if known is None else known
            if not rules or all(rule(source, target) for rule in rules):
                yield source, target
                transitions += 1
                if known is None:
                    seen[target] = target
                    queue.append(target)
        if transitions > MAX_TRANSITIONS:
            raise _too_large(space)


def _too_large(space: Space) -> GraphError:
    return GraphError(
        f"the graph has more than {MAX_TRANSITIONS:,} transitions; the space has {space.size:,} "
        "states",
        hint="leave out axes or levels, or add rules",
        path=("axes",),
    )


def _candidates(
    space: Space, rules: Sequence[Rule], bound: Rule
) -> tuple[Callable[[State], Iterable[Levels]], Sequence[Rule]]:
    """Return what to try, and those of `rules` that then remain to be asked.

    What to try is a function from a state to the levels of all states that it may lead to.
    """
    steps = bound.steps(space)
    if steps is not None:
        first = [rule for rule in rules if rule.stepwise]
        possible = [step for step in sorted(steps) if _possible(space, step, first)]
        return _neighbours(space, possible), [rule for rule in rules if not rule.stepwise]
    if space.size**2 > MAX_PAIRS:
        raise GraphError(
            f"the rule has to be asked about {space.size:,} x {space.size:,} pairs of states",
            allowed=f"at most {MAX_PAIRS:,} pairs",
            hint="combine it with a preset or rule of bounded steps, such as 'extended'",
            path=("transitions",),
        )
    states = list(space.states())
    return lambda source: [state for state in states if state != source], rules


def _possible(space: Space, step: Step, rules: Iterable[Rule]) -> bool:
    """Return whether some state can take `step`, and stepwise `rules` allow it."""
    if not any(step) or any(abs(n) >= len(a.values) for n, a in zip(step, space.axes, strict=True)):
        return False
    source = State([max(0, -levels) for levels in step], space)
    target = State(tuple(map(add, source, step)), space)
    return all(rule(source, target) for rule in rules)


def _neighbours(space: Space, steps: Iterable[Step]) -> Callable[[State], Iterable[Levels]]:
    """Return a function from a state to the levels that `steps` lead to from there."""
    sizes = [len(axis.values) for axis in space.axes]
    rooms = [
        (step, [(i, range(max(0, -n), sizes[i] - max(0, n))) for i, n in enumerate(step) if n])
        for step in steps
    ]

    def neighbours(source: State) -> Iterator[Levels]:
        for step, room in rooms:
            for axis, levels in room:
                if source[axis] not in levels:
                    break
            else:
                yield tuple(map(add, source, step))

    return neighbours


def _ancestors(dag: nx.DiGraph[State], finals: Iterable[State]) -> set[State]:
    """Return `finals` and every state from which one of them can be reached."""
    found = set(finals)
    queue = list(found)
    while queue:
        for state in dag.predecessors(queue.pop()):
            if state not in found:
                found.add(state)
                queue.append(state)
    return found


def _in_order(dag: nx.DiGraph[State]) -> tuple[State, ...]:
    """Return all states, each after every state that leads to it; `INITIAL` first."""
    missing = dict(dag.in_degree())
    order = [INITIAL]
    for source in order:
        for target in dag.successors(source):
            missing[target] -= 1
            if not missing[target]:
                order.append(target)
    if len(order) < len(missing):
        raise _cyclic(dag)
    return tuple(order)


def _cyclic(dag: nx.DiGraph[State]) -> GraphError:
    cycle = [source.label for source, _ in nx.find_cycle(dag)]
    return GraphError(
        f"the graph has a cycle: {' > '.join([*cycle, cycle[0]])}",
        hint="training could go round for ever; make one of the axes that move back there "
        "non-reversible, or add a rule that forbids one of these transitions",
        path=("transitions",),
    )


def _unreachable(
    space: Space, rule: Rule, starts: Sequence[State], finals: Sequence[State]
) -> GraphError:
    """Return the error that says which final states are cut off, and by which rule."""
    names = ", ".join(state.label for state in finals[:3]) + (", ..." if len(finals) > 3 else "")
    guilty = [part for part in _conjuncts(rule) if _opens(space, rule, part, starts, finals)]
    cut = (
        f"without the rule {' or '.join(map(repr, guilty))} it could be"
        if guilty
        else "no single rule is to blame; loosen several, or change start or final"
    )
    return GraphError(
        f"no final state ({names}) can be reached from any start",
        hint=cut,
        path=("final",),
    )


def _opens(
    space: Space, rule: Rule, part: Rule, starts: Sequence[State], finals: Sequence[State]
) -> bool:
    """Return whether a final state could be reached if `part` were left out of `rule`."""
    rest = AllOf(tuple(other for other in _conjuncts(rule) if other is not part))
    # In a large space, what only ever moves by one level is taken for given, to stay fast.
    bound = rest if space.size <= _FEW_STATES or rule.steps(space) is None else rule
    reached = {target for _, target in _explore(space, rest, starts, bound)} | set(starts)
    return any(final in reached for final in finals)


def _conjuncts(rule: Rule) -> tuple[Rule, ...]:
    return rule.rules if isinstance(rule, AllOf) else (rule,)
