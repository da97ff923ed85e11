"""How a model's quality moves under a setting: the hidden state, and its closed form in time.

A model lacks so many points of the `ceiling` for each of five reasons, its deficits: `coarse`,
`short` and `long` (features not learned yet: of single frames, of short and of long range),
`jitter` (the rate is too high to settle) and `stale` (overfitting left over from stages before).
Training relaxes each towards a target at a speed. On top comes `fresh` overfitting, which grows
like the square of the stage's age, so every curve has a knee:

    quality(t) = ceiling - sum_i (target_i + (deficit_i - target_i) e^(-speed_i t)) - bend t^2

A high rate learns coarse features fast, but its jitter and its targets are high; a low rate refines
slowly. A long range (clip length) is needed for `long`, but learns coarse features slowly per
epoch. So training from scratch at a low rate or on long clips stops early and far below.

What a stage leaves behind makes paths differ for good. A share of its overfitting never heals;
every change of setting costs a `toll`, and training from scratch leaves an `imprint` of its first
setting, neither of them at once. Training at low rates makes features rigid, so that later stages
learn them more slowly. All numbers are in percentage points and epochs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from schedplan.errors import TrainerError, did_you_mean
from schedplan.simulator.chance import normal
from schedplan.simulator.roles import Roles
from schedplan.space import Params

Array: TypeAlias = NDArray[np.float64]

Shape: TypeAlias = Literal["smooth", "late", "heavy"]
"""`smooth`: exponential curves. `late`: training from scratch stays flat for its first 10 to 30
epochs. `heavy`: features are learned with power-law instead of exponential tails."""

TAIL = 2.0
"""The power of the heavy tails: what is left to learn falls like t^-2."""

KEPT = 0.25
"""The share of a stage's overfitting that the stages after it do not heal."""

SCRATCH = 2.0
"""The quality of a model from scratch, in points."""

_FORGETTING = np.array([0.0, 0.08, 0.08, 1.0, 1.0])
"""How much slower a deficit grows towards its target than it shrinks; coarse never grows."""


class Hidden(NamedTuple):
    """All there is to know about a model in training.

    Attributes:
        deficits: what is missing for each of the five reasons, in points.
        fresh: overfitting of the present stage, in points.
        age: effective epochs in the present stage.
        asleep: epochs of training until it takes effect; above 0 only in late starters.
        rigid: how far features had settled when the stage began; they are learned e^-rigid as fast.
        wear: what the present stage adds to `rigid` when the next one begins.
        burden: what is lost for good, in points; `stale` tends to it.
        setting: the key of the setting it was trained under last.
    """

    deficits: tuple[float, ...]
    fresh: float = 0.0
    age: float = 0.0
    asleep: float = 0.0
    rigid: float = 0.0
    wear: float = 0.0
    burden: float = 0.0
    setting: str = ""


@dataclass(frozen=True, eq=False)
class Setting:
    """What training under one setting does.

    Attributes:
        key: names the setting.
        targets: shape (5,), where each deficit tends to, in points.
        speeds: shape (5,), at which rate it gets there, per epoch.
        bend: overfitting, in points per squared epoch.
        wear: how much more rigid an epoch leaves the features for later stages.
        imprint: what training from scratch under it costs for good, in points, though not at once.
        noise: the standard deviation of one measurement, in points.
    """

    key: str
    targets: Array
    speeds: Array
    bend: float
    wear: float
    imprint: float
    noise: float


@dataclass(frozen=True)
class Physics:
    """The constants of one simulated problem; `draw` makes plausible ones.

    Args:
        seed: what settles everything that differs from setting to setting at random.
        shape: of the curves, see `Shape`.
        noise: the standard deviation of one measurement at the highest rate, in points; it falls
            with the rate.
        roles: which hyperparameters mean what.
        ceiling: the quality of a perfect model, in points.
        start: the deficits of a model from scratch, in points.
        speeds: of relaxation at the highest rate and shortest range, per epoch.
        floors: the targets of `short` and `jitter` at the highest rate, in points.
        blindness: the target of `long` at the shortest range, in points.
        bend: overfitting at the highest rate, in points per squared epoch.
        wear: how much more rigid an epoch at a tenth of the highest rate leaves the features.
        toll: what a change of setting costs for good, in points, though not at once.
        imprint: how much first settings differ in what they cost for good, in points.
        asleep: epochs for which training from scratch stays flat.
    """

    seed: int = 0
    shape: Shape = "smooth"
    noise: float = 0.3
    roles: Roles = field(default_factory=Roles)
    ceiling: float = 82.0
    start: tuple[float, ...] = (48.0, 14.0, 12.0, 6.0, 0.0)
    speeds: tuple[float, ...] = (0.067, 0.27, 0.064, 0.5, 0.14)
    floors: tuple[float, float] = (5.0, 6.0)
    blindness: float = 8.0
    bend: float = 1.5e-4
    wear: float = 0.01
    toll: float = 0.18
    imprint: float = 2.2
    asleep: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise TrainerError(
                f"shape is {self.shape!r}",
                allowed=get_args(Shape),
                hint=did_you_mean(self.shape, get_args(Shape)),
                path=("shape",),
            )
        if not (isinstance(self.noise, (int, float)) and 0 <= self.noise < math.inf):
            raise TrainerError(
                f"noise is {self.noise!r}", allowed="finite numbers of at least 0", path=("noise",)
            )

    @classmethod
    def draw(
        cls, seed: int, *, noise: float = 0.3, shape: Shape = "smooth", roles: Roles | None = None
    ) -> Physics:
        """Return the constants of problem number `seed`; `noise` in points."""
        plain = cls(seed=seed, noise=noise, shape=shape, roles=roles or Roles())

        def vary(spread: float, *parts: object) -> float:
            return math.exp(spread * normal("staged", seed, *parts))

        start = [each * vary(0.1, "start", n) for n, each in enumerate(plain.start)]
        missing = (plain.ceiling - SCRATCH) / sum(start)
        return replace(
            plain,
            start=tuple(each * missing for each in start),
            speeds=tuple(each * vary(0.2, "speed", n) for n, each in enumerate(plain.speeds)),
            floors=(plain.floors[0] * vary(0.2, "short"), plain.floors[1] * vary(0.2, "jitter")),
            blindness=plain.blindness * vary(0.3, "long"),
            bend=plain.bend * vary(0.4, "bend"),
            wear=plain.wear * vary(0.2, "wear"),
            toll=plain.toll * vary(0.2, "toll"),
            asleep=20.0 * vary(0.35, "asleep") if shape == "late" else 0.0,
        )

    @property
    def initial(self) -> Hidden:
        """A model from scratch."""
        return Hidden(self.start, asleep=self.asleep)

    def setting(self, params: Params) -> Setting:
        """Return what training under `params` does.

        Raises:
            TrainerError: if the rate or the range is no number above 0.
        """
        decades, reach = self.roles.decades(params), self.roles.reach(params)
        key = _text(dict(params))
        own = [normal("setting", self.seed, n, key) for n in range(6)]
        pace, shift, bend = self._modifiers(params)
        floor = 10.0 ** (-0.4 * decades)
        targets = (
            0.0,
            self.floors[0] * floor + shift + 0.25 * own[0],
            self.blindness * (1.0 - reach) ** 1.5 + shift + 0.25 * own[1],
            self.floors[1] * 10.0 ** (-0.6 * decades),
            0.0,
        )
        slower = (
            10.0 ** (-0.35 * decades) * 2.0 ** (-1.0 * reach) * pace * math.exp(0.1 * own[2]),
            10.0 ** (-0.1 * decades) * 2.0 ** (-0.3 * reach) * pace,
            10.0 ** (-0.1 * decades),
            1.0,
            1.0,
        )
        return Setting(
            key=key,
            targets=np.maximum(targets, 0.0),
            speeds=np.array(self.speeds) * slower,
            bend=self.bend
            * 10.0 ** (0.27 * decades)
            * 2.0 ** (0.95 * reach)
            * bend
            * math.exp(0.4 * own[3]),
            wear=self.wear * (0.2 + min(max(decades, 0.0), 1.0)) * math.exp(0.2 * own[4]),
            imprint=self.imprint * abs(own[5]),
            noise=self.noise * 10.0 ** (-0.2 * decades),
        )

    def _modifiers(self, params: Params) -> tuple[float, float, float]:
        """Return what the strategy and hyperparameters without a role do: a factor of the speeds, a
        shift of the targets in points, a factor of the bend."""
        pace, shift, bend = 0.0, 0.0, 0.0
        for name, value in sorted(params.items()):
            if name in (self.roles.rate, self.roles.range):
                continue
            strength = 1.0 if name == self.roles.strategy else 0.4
            draws = [normal("axis", self.seed, n, name, _text(value)) for n in range(3)]
            pace += 0.16 * strength * draws[0]
            shift += 0.45 * strength * draws[1]
            bend += 0.25 * strength * draws[2]
        return math.exp(pace), shift + 1.0, math.exp(bend)

    def after(self, hidden: Hidden, setting: Setting, epochs: float) -> Hidden:
        """Return the model after so many more epochs under a setting.

        Under another setting than before, a new stage begins: its age is 0, and what overfitting
        there is becomes `stale`. After 0 epochs, the model is as it was, its stage included.
        """
        if not epochs:
            return hidden
        hidden = self._handed_over(hidden, setting)
        time = max(0.0, epochs - hidden.asleep)
        deficits = self._deficits(hidden, setting, np.array([time]))[:, 0]
        age = hidden.age + time
        return Hidden(
            deficits=tuple(deficits.tolist()),
            fresh=hidden.fresh + setting.bend * (age**2 - hidden.age**2),
            age=age,
            asleep=max(0.0, hidden.asleep - epochs),
            rigid=hidden.rigid,
            wear=hidden.wear + setting.wear * time,
            burden=hidden.burden,
            setting=setting.key,
        )

    def quality(self, hidden: Hidden) -> float:
        """Return what a model scores without noise, in points."""
        return self.ceiling - sum(hidden.deficits) - hidden.fresh

    def qualities(
        self, hidden: Hidden, setting: Setting, epochs: Array | NDArray[np.int64]
    ) -> Array:
        """Return the quality after each of `epochs`, shape (n,), in points; see `after`."""
        hidden = self._handed_over(hidden, setting)
        time = np.maximum(0.0, epochs - hidden.asleep) if hidden.asleep else epochs
        fresh = hidden.fresh + setting.bend * time * (time + 2.0 * hidden.age)
        lost: Array = self._deficits(hidden, setting, time).sum(axis=0)
        return self.ceiling - lost - fresh

    def _handed_over(self, hidden: Hidden, setting: Setting) -> Hidden:
        """Return the model at the start of a stage, or as it is if its stage goes on."""
        if hidden.setting == setting.key:
            return hidden
        *others, stale = hidden.deficits
        return Hidden(
            deficits=(*others, stale + hidden.fresh),
            asleep=hidden.asleep,
            rigid=hidden.rigid + hidden.wear,
            burden=hidden.burden + KEPT * hidden.fresh + self.toll
            if hidden.setting
            else setting.imprint,
            setting=setting.key,
        )

    def _deficits(self, hidden: Hidden, setting: Setting, time: Array | NDArray[np.int64]) -> Array:
        """Return the deficits after each `time`, shape (5, n)."""
        targets = setting.targets.copy()
        targets[4] = hidden.burden
        gaps = np.array(hidden.deficits) - targets
        speeds = np.where(gaps < 0.0, _FORGETTING, 1.0) * setting.speeds
        speeds[:3] *= math.exp(-hidden.rigid)
        left = np.exp(np.multiply.outer(-speeds, time))
        if self.shape == "heavy":
            share = np.maximum(gaps[:3], 0.0) / np.array(self.start[:3])
            slowed = 1.5 * speeds[:3] * share ** (1.0 / TAIL)
            heavy = (1.0 + np.multiply.outer(slowed, time)) ** -TAIL
            left[:3] = np.where(gaps[:3, None] < 0.0, left[:3], heavy)
        return targets[:, None] + gaps[:, None] * left


def _text(value: Any) -> str:
    """Return a text that names a value; equal numbers have one name, 32 and 32.0 for example."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def hidden_from(facts: Mapping[str, Any]) -> Hidden:
    """Return the model that `hidden._asdict()` has described."""
    return Hidden(**{**facts, "deficits": tuple(facts["deficits"])})
