"""The search itself, without any input or output: what to train next, given what was found.

The dynamic program of the paper (section 3.2), as a state machine. `Search.next_request` says what
to train next, `Search.report` takes in what came out. Who trains, where, in which order and in how
many places at once is the caller's business and changes nothing: every decision is taken from
curves cut off at the epoch that the decision is about, however far they are known.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias

import numpy as np

from schedplan.frontier import BEST, Frontier, Label, best_label
from schedplan.graph import StateGraph, Transition
from schedplan.journal import Outcome
from schedplan.knees import Mode
from schedplan.pruning import Cut, Drop, Pruning, measurement_noise
from schedplan.solver.dive import dive
from schedplan.solver.parts import Measured, Parts
from schedplan.solver.race import race
from schedplan.solver.trial import END, Needs, Steps, Trial, Worth
from schedplan.space import INITIAL, State

Order: TypeAlias = Literal["topological", "dive"]

SUPERSEDED = "superseded"
"""The rule by which speculation is given up."""

_SPECULATIVE_EPOCHS = 5  # a slice that short makes nobody wait long


@dataclass(eq=False, slots=True)
class _Process:
    """A part of the search that waits until `missing` trials are trained as far as it needs."""

    steps: Steps
    state: State
    missing: int = 0
    urgent: bool = False


class Search:
    """What to train next, given what was found.

    Args:
        graph: what is searched.
        mode: whether scores are maximised (`max`) or minimised (`min`).
        frontier: which labels a state keeps.
        pruning: what is given up before its end; nothing: the exhaustive search.
        cost: what an epoch under a state costs, above 0.
        order: `topological`, or `dive` for a complete plan early (see `dive`); in the end both
            find the same.
        worth: of the scores of a training; by default nobody knows.

    Attributes:
        root: the label of S0.
        kept: the labels of every settled state, the best first.
        trials: of every state, what is trained into it, by the label it is trained from.
        released: labels whose models nothing can need any more, for the caller to take out.
        dropped: transitions given up, with the trial if it had begun, for the caller to take out.
    """

    def __init__(
        self,
        graph: StateGraph,
        mode: Mode = "max",
        frontier: Frontier | None = None,
        pruning: Pruning | None = None,
        cost: Callable[[State], float] = lambda state: 1.0,
        order: Order = "topological",
        worth: Worth = lambda scores: -math.inf,
    ) -> None:
        self.graph = graph
        self.kept: dict[State, list[Label]] = {}
        self.trials: dict[State, dict[Label, Trial]] = {state: {} for state in graph.order}
        self.released: deque[Label] = deque()
        self.dropped: deque[tuple[Transition, Trial | None, Drop]] = deque()
        self.cost = cost
        self._sign = 1.0 if mode == "max" else -1.0
        self._frontier = frontier or BEST
        self._pruning = pruning or Pruning()
        self._worth = worth
        self.parts = Parts(graph)
        self._rank: Mapping[State, float] = self.parts.position
        self._finals = frozenset(graph.finals)
        self._missing = dict(graph.dag.in_degree())
        self._alone = frozenset(state for state, count in self._missing.items() if count == 1)
        self._waiting: dict[Trial, list[tuple[float, _Process]]] = {}
        self._runnable: deque[_Process] = deque()
        self._queue: list[tuple[float, int, Trial]] = []
        self._count = count()
        self._busy = 0
        self._holds: dict[Label, int] = {}
        self._loose: list[Label] = []
        self._speculative: dict[State, None] = {}
        self.root = Label(INITIAL)
        self._holds[self.root] = 1
        if order == "dive":
            self._runnable.append(_Process(dive(self), INITIAL, urgent=True))
        self._settle(INITIAL, [self.root], [self.root])
        self._run()

    def next_request(self) -> tuple[Trial, float] | None:
        """Return what to train next and to which epoch; None until something is reported."""
        while self._queue:
            trial = heapq.heappop(self._queue)[-1]
            trial.queued = False
            if self._is_open(trial):
                return self._hand_out(trial, trial.wanted)
        if not self._busy and self._revive():
            return self.next_request()
        return None

    def report(self, trial: Trial, outcome: Outcome) -> None:
        """Take in all that is known about a trial now that it was trained on."""
        trial.outcome = outcome
        if outcome.status == "done" and trial.label is None:
            trial.label = self._label(trial, outcome)
            self._holds[trial.label] = 1
            if trial.target in self.kept:  # known too late: it was given up before
                self._release(trial.label)
            else:
                self._speculative[trial.target] = None
        self._free(trial)
        if trial in self._waiting:
            self._tell(trial)
        self._push(trial)
        self._run()

    def _tell(self, trial: Trial) -> None:
        """Let the processes know that wait for `trial` to be trained as far as it is now."""
        for epoch, process in self._waiting.pop(trial):
            if trial.reached(epoch):
                process.missing -= 1
                if not process.missing:
                    self._runnable.append(process)
            else:
                self._waiting.setdefault(trial, []).append((epoch, process))

    def give_back(self, trial: Trial) -> None:
        """Take back a request that was not carried out; `next_request` may return it again."""
        self._free(trial)
        self._push(trial)
        self._run()

    def speculate(self) -> tuple[Trial, float] | None:
        """Return what may turn out to be needed, for a worker that has nothing else to do.

        It leads on from the best label so far of a state that is not settled yet, and goes in
        short slices, so that what is needed for certain does not wait long.
        """
        for state in sorted(self._speculative, key=self._rank.__getitem__):
            found = [t.label for t in self.trials[state].values() if t.label and not t.drop]
            if not found or self.parts.is_cut(state):
                continue
            label = best_label(found)
            for target in self.graph.dag.successors(state):
                trial = self.trial(label, target)
                if not (trial.busy or trial.drop or trial.ended):
                    return self._hand_out(trial, max(trial.trained, 0) + _SPECULATIVE_EPOCHS)
        return None

    def reprioritise(self, remaining: Mapping[State, float]) -> None:
        """Train first what leads into states with the most remaining, in any unit."""
        self._rank = {state: -value for state, value in remaining.items()}
        trials = [trial for _, _, trial in self._queue]
        self._queue = []
        for trial in trials:
            trial.queued = False
            self._push(trial)

    @property
    def finished(self) -> bool:
        """Whether every state that can matter is settled."""
        settled = all(self.parts.is_cut(s) or s in self.kept for s in self._finals)
        return settled and (not self.parts.cuts or any(self.kept.get(s) for s in self._finals))

    def answer(self) -> Label | None:
        """Return the best label of a final state so far; None if there is none."""
        arrived = self.arrived()
        return best_label(arrived) if arrived else None

    def arrived(self) -> list[Label]:
        """Return the labels kept of all final states; those found so far while not finished."""
        # A part may have come to its end before it was cut, if there are several workers; what
        # comes out must not depend on that.
        finals = [final for final in self.graph.finals if not self.parts.is_cut(final)]
        settled = [label for final in finals for label in self.kept.get(final, ())]
        if settled and self.finished:
            return settled
        return [
            trial.label
            for final in self.graph.finals
            for trial in self.trials[final].values()
            if trial.label
        ]

    def _hand_out(self, trial: Trial, until: float) -> tuple[Trial, float]:
        trial.busy = True
        self._busy += 1
        return trial, until

    def _free(self, trial: Trial) -> None:
        """Note that a trial is no longer in anybody's hands."""
        trial.busy = False
        self._busy -= 1
        if trial.ended or (trial.drop and trial.drop.rule == SUPERSEDED):
            self._release(trial.source)

    def _label(self, trial: Trial, outcome: Outcome) -> Label:
        source = trial.source
        assert outcome.score is not None
        return Label(
            trial.target,
            outcome,
            source,
            source.epochs + outcome.epoch,
            source.cost + outcome.epoch * self.cost(trial.target),
            self._sign * outcome.score,
        )

    def _is_open(self, trial: Trial) -> bool:
        return not (trial.busy or trial.drop or trial.reached(trial.wanted))

    def _push(self, trial: Trial) -> None:
        if not trial.queued and self._is_open(trial):
            trial.queued = True
            rank = -END if trial.urgent else self._rank[trial.target]
            heapq.heappush(self._queue, (rank, next(self._count), trial))

    def _want(self, trial: Trial, epoch: float) -> None:
        if epoch > trial.wanted:
            trial.wanted = epoch
        self._push(trial)

    def _run(self) -> None:
        """Let every process go on that has what it needs."""
        while self._runnable:
            process = self._runnable.popleft()
            if self.parts.is_cut(process.state):
                process.steps.close()
                continue
            for needs in process.steps:
                if self._wait(process, needs):
                    break
        for label in self._loose:
            if self._holds.get(label) == 0:  # a label is released once, for good
                del self._holds[label]
                self.released.append(label)
        self._loose = []

    def _wait(self, process: _Process, needs: Needs) -> bool:
        """Ask for what a process needs; return whether it has to wait."""
        for trial, epoch in needs:
            if not trial.reached(epoch):
                process.missing += 1
                self._waiting.setdefault(trial, []).append((epoch, process))
                if process.urgent and not trial.urgent:
                    trial.urgent, trial.queued = True, False  # queued once more, further ahead
                self._want(trial, epoch)
        return process.missing > 0

    def trial(self, label: Label, target: State) -> Trial:
        """Return the training of `target` from the model of `label`."""
        trials = self.trials[target]
        trial = trials.get(label)
        if trial is None:
            trials[label] = trial = Trial(label, target, self._sign)
            self.hold([label])
        return trial

    def contest(self, label: Label, rival: Trial) -> Steps:
        """Train `rival` as far as it may beat `label`, a label of the same state; return whether
        it does."""
        rule = self._pruning.race
        drops: Mapping[Trial, Drop] = {}
        if rule is None:
            yield [(rival, END)]
        else:
            leader = self.trial(label.previous or self.root, label.state)
            drops = yield from race([leader, rival], rule, self._frontier, self._worth)
        return bool(rival.label and rival not in drops and rival.label.merit > label.merit)

    def hold(self, labels: Iterable[Label]) -> None:
        """Keep the models of `labels` until `let_go`, but for those released before."""
        for label in labels:
            if label in self._holds:
                self._holds[label] += 1

    def let_go(self, labels: Iterable[Label]) -> None:
        """Let the models of `labels` go, as far as `hold` kept them."""
        for label in labels:
            self._release(label)

    def _start(self, state: State) -> None:
        self._runnable.append(_Process(self._steps(state), state))

    def _steps(self, state: State) -> Steps:
        """Train the transitions into a state and settle it."""
        sources = sorted(self.graph.dag.predecessors(state), key=self.parts.position.__getitem__)
        trials = [self.trial(label, state) for s in sources for label in self.kept[s]]
        rule = self._pruning.race
        if rule is None or len(trials) < 2:
            yield [(trial, END) for trial in trials]
        else:
            drops = yield from race(trials, rule, self._frontier, self._worth)
            for trial, drop in drops.items():
                trial.drop = drop
                self.dropped.append(((trial.source.state, state), trial, drop))
        labels = [trial.label for trial in trials if trial.label and not trial.drop]
        found = [trial.label for trial in self.trials[state].values() if trial.label]
        self._settle(state, self._frontier.keep(labels), found)

    def _settle(self, state: State, kept: list[Label], found: Sequence[Label]) -> None:
        self.kept[state] = kept
        dag = self.graph.dag
        for target in dag.successors(state):
            self._missing[target] -= 1
            alone = len(kept) == 1 and target in self._alone
            race_rule = None if alone else self._pruning.race
            for label in kept:
                trial = self.trial(label, target)
                if not self.parts.is_cut(target):
                    first = race_rule.warm_up(trial.from_scratch) if race_rule else END
                    self._want(trial, first)
            if not self._missing[target]:
                self._start(target)
        self._speculative.pop(state, None)
        for label in found:
            if label not in kept and self._holds.get(label, 0) > 1:  # something was trained from it
                self._supersede(label)
            if not (label in kept and state in self._finals):
                self._release(label)
        if self._pruning.cut and state and self.parts.several:
            self._compare_parts(state, self._pruning.cut)

    def _supersede(self, label: Label) -> None:
        """Give up what was trained in the hope that `label` would be kept."""
        for target in self.graph.dag.successors(label.state):
            trial = self.trials[target].get(label)
            if trial and trial.wanted < 0 and not (trial.ended or trial.drop):
                trial.drop = Drop(SUPERSEDED, "a better model of the source was found")
                self.dropped.append(((label.state, target), trial, trial.drop))
                if not trial.busy:
                    self._release(label)

    def _compare_parts(self, state: State, rule: Cut) -> None:
        """Let the parts of the graph be compared, now that `state` is settled."""
        for part, drop in self.parts.settle(state, self._measured(state), rule):
            for target in self.parts.states_cut(part):
                for source in self.graph.dag.predecessors(target):
                    begun = [t for t in self.trials[target].values() if t.source.state == source]
                    for trial in (*begun, *([] if begun else [None])):
                        if trial is None or not (trial.ended or trial.drop):
                            self.dropped.append(((source, target), trial, drop))
                        if trial is not None:
                            trial.drop = trial.drop or drop

    def _measured(self, state: State) -> Measured | None:
        """Return what a settled state is worth; None if no model was found for it."""
        best = next(iter(self.kept[state]), None)
        if best is None or best.outcome is None:
            return None
        return Measured(best.value, measurement_noise([np.asarray(best.outcome.scores)]))

    def _revive(self) -> bool:
        """Take up again what was cut if the parts kept have failed; return whether there is any."""
        if not self.parts.cuts or self.finished:
            return False
        revived = self.parts.revive()
        for trial, waiting in list(self._waiting.items()):
            # What waits for a state that was cut starts again; a dive only goes on.
            self._waiting[trial] = [each for each in waiting if each[1].state == INITIAL]
            for epoch, _ in self._waiting[trial]:
                trial.drop = None
                self._want(trial, epoch)
        for state in revived:
            for trial in self.trials[state].values():
                trial.drop = None
            if not self._missing[state]:
                self._start(state)
        self._run()
        return True

    def _release(self, label: Label) -> None:
        if label in self._holds:
            self._holds[label] -= 1
            if not self._holds[label]:  # whoever goes on with it in this very turn may hold it yet
                self._loose.append(label)
