"""A way to train that is compared with others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from schedplan.journal import fingerprint
from schedplan.plan import Plan, Stage

Kind: TypeAlias = Literal["plan", "variant", "side-by-side", "one-by-one", "constant"]

HAND_TUNED: Final[tuple[Kind, ...]] = ("side-by-side", "one-by-one", "constant")
"""The kinds of strategies that a grid search tries, see `hand_tuned`."""


@dataclass(frozen=True)
class Strategy:
    """A way to train that is compared with others.

    Attributes:
        kind: where it comes from.
        name: what it does, in short; the same for any number of epochs.
        plan: its stages; of their scores, nothing has to be known.
    """

    kind: Kind
    name: str
    plan: Plan

    @property
    def key(self) -> str:
        """A short name that only strategies share that train alike.

        Example:
            >>> from schedplan import Stage
            >>> stage = Stage("16", {"clip": 16}, 8, score=None, observed=None, seed=0)
            >>> plan = Plan("demo", "top1", "max", score=None, stages=(stage,))
            >>> Strategy("constant", "clip 16", plan).key
            '8-7f3a6254cb85'
        """
        stages = [[stage.params, stage.epochs] for stage in self.plan.path]
        return f"{self.plan.epochs}-{fingerprint({'stages': stages})[:12]}"

    @property
    def bare_plan(self) -> Plan:
        """The plan without what is known of its scores, and without the seeds that had them."""
        plan = self.plan.bare
        return replace(
            plan,
            score=None,
            initial=plan.initial and _bare(plan.initial),
            stages=tuple(map(_bare, plan.stages)),
            final=plan.final and _bare(plan.final),
        )

    def devices(self, stated: int | str) -> int:
        """Return how many devices it takes: so many, or at most what a hyperparameter says."""
        if isinstance(stated, int):
            return stated
        return max(int(stage.params[stated]) for stage in self.plan.path)


def _bare(stage: Stage) -> Stage:
    return replace(stage, score=None, observed=None, seed=0)
