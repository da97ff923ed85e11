"""The paper's settings and published schedules as presets (Qiu et al. 2021, Table 2 and section 5).

Both state a learning rate as the level of its axis. At the longest clips, whose batches are small,
`rate_scale` makes a tenth of it, so what the paper prints there as .0004 is .004 x 0.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from schedplan.plan import Plan, Stage
from schedplan.space import Axis, Link, Space
from schedplan.trainer import derive_seed
from schedplan_video.data.sampling import FRAMES_PER_SEGMENT, SAMPLINGS

PAPER = "Qiu, Yao, Ngo, Mei: Optimization Planning for 3D ConvNets. ICML 2021"


@dataclass(frozen=True)
class Dataset:
    """What the settings of a dataset are made of.

    Attributes:
        title: its name for people.
        clip_lengths: frames that the network sees, from the shortest on.
        learning_rates: from the highest on.
        dropout: before the classifiers.
        longest_stride: between the frames of the longest consecutive clips.
        flip: whether a clip's mirror image shows the same class.
    """

    title: str
    clip_lengths: tuple[int, ...]
    learning_rates: tuple[float, ...]
    dropout: float
    longest_stride: int = 1
    flip: bool = True


_LOW = (0.01, 0.001, 0.0001)
_HIGH = (0.04, 0.004, 0.0004)

DATASETS = {
    "hmdb51": Dataset("HMDB51", (16, 32, 64), _LOW, 0.9),
    "ucf101": Dataset("UCF101", (16, 32, 64), _LOW, 0.9),
    "activitynet": Dataset("ActivityNet v1.3", (16, 32, 64), _LOW, 0.9, longest_stride=2),
    "ssv1": Dataset("Something-Something V1", (16, 32), _HIGH, 0.5, flip=False),
    "ssv2": Dataset("Something-Something V2", (16, 32), _HIGH, 0.5, flip=False),
    "kinetics400": Dataset("Kinetics-400", (16, 32, 64), _HIGH, 0.5, longest_stride=2),
    "kinetics600": Dataset("Kinetics-600", (16, 32, 64), _HIGH, 0.5, longest_stride=2),
}
"""By the name that `schedplan video index` and the preset have."""

_BY_LENGTH = {
    "batch_size": (16, 8, 4),
    "accumulation": (4, 8, 16),
    "freeze_batchnorm": (False, False, True),
    "rate_scale": (1.0, 1.0, 0.1),
}
"""What follows the clip length, for clips of 16, 32 and 64 frames."""


@dataclass(frozen=True)
class Schedule:
    """A published schedule of DG-P3D-50.

    Attributes:
        dataset: one of `DATASETS`.
        sampling: throughout.
        stages: the clip length, the level of the learning rate and the epochs of each; those of 0
            epochs are left out.
        pretrained: the schedule whose model is trained on; None starts from scratch.
    """

    dataset: str
    sampling: str
    stages: tuple[tuple[int, float, int], ...]
    pretrained: str | None = None

    @property
    def space(self) -> Space:
        """The space that the stages are states of."""
        return space(DATASETS[self.dataset])


_KINETICS = Schedule(
    "kinetics400",
    "consecutive",
    ((16, 0.04, 58), (32, 0.04, 108), (32, 0.004, 26), (64, 0.004, 10), (64, 0.0004, 18)),
)

SCHEDULES = {
    "hmdb51-dg-p3d-50": Schedule(
        "hmdb51",
        "uniform",
        ((16, 0.01, 17), (32, 0.01, 9), (64, 0.01, 19), (64, 0.001, 6), (64, 0.0001, 7)),
    ),
    "hmdb51-dg-p3d-50-from-kinetics400": Schedule(
        "hmdb51",
        "uniform",
        ((32, 0.01, 42), (32, 0.001, 42), (16, 0.0001, 33), (32, 0.0001, 27), (64, 0.0001, 25)),
        pretrained="kinetics400-dg-p3d-50",
    ),
    "ucf101-dg-p3d-50": Schedule(
        "ucf101",
        "uniform",
        ((32, 0.01, 38), (64, 0.01, 24), (64, 0.001, 11), (64, 0.0001, 5)),
    ),
    "ucf101-dg-p3d-50-from-kinetics400": Schedule(
        "ucf101",
        "consecutive",
        ((32, 0.01, 63), (32, 0.001, 3), (64, 0.001, 27), (64, 0.0001, 2)),
        pretrained="kinetics400-dg-p3d-50",
    ),
    "activitynet-dg-p3d-50": Schedule(
        "activitynet",
        "consecutive",
        ((32, 0.01, 151), (16, 0.001, 58), (32, 0.001, 1), (64, 0.001, 24), (64, 0.0001, 25)),
    ),
    "activitynet-dg-p3d-50-from-kinetics400": Schedule(
        "activitynet",
        "consecutive",
        ((32, 0.01, 73), (16, 0.001, 30), (64, 0.001, 7), (64, 0.0001, 19)),
        pretrained="kinetics400-dg-p3d-50",
    ),
    "ssv1-dg-p3d-50": Schedule(
        "ssv1", "uniform", ((32, 0.04, 25), (32, 0.004, 6), (16, 0.0004, 57), (32, 0.0004, 35))
    ),
    "ssv2-dg-p3d-50": Schedule(
        "ssv2", "uniform", ((32, 0.04, 41), (32, 0.004, 8), (16, 0.0004, 44), (32, 0.0004, 9))
    ),
    "kinetics400-dg-p3d-50": _KINETICS,
    "kinetics600-dg-p3d-50": replace(_KINETICS, dataset="kinetics600"),  # the same, reused
}
"""By the name of the preset."""


def space(dataset: Dataset) -> Space:
    """Return the axes and links of a dataset's settings.

    Example:
        >>> kinetics = space(DATASETS["kinetics400"])
        >>> longest = kinetics.state(sampling="uniform", clip_length=64, learning_rate=0.04)
        >>> kinetics.params(longest)["segments"]
        16
    """
    lengths = dataset.clip_lengths
    strides = (*[1] * (len(lengths) - 1), dataset.longest_stride)
    segments = tuple(length // FRAMES_PER_SEGMENT for length in lengths)
    by_sampling = {  # consecutive, uniform
        "stride": (strides, (1,) * len(lengths)),
        "segments": ((1,) * len(lengths), segments),
    }
    return Space(
        axes=(
            Axis("sampling", SAMPLINGS),
            Axis("clip_length", lengths),
            Axis("learning_rate", dataset.learning_rates),
        ),
        links=(
            *(Link(n, ("clip_length",), v[: len(lengths)]) for n, v in _BY_LENGTH.items()),
            *(Link(n, ("sampling", "clip_length"), v) for n, v in by_sampling.items()),
        ),
    )


_CONFIG = """\
# {title}: the settings of {paper}.
#
# To be set: trainer.manifest, the file that `schedplan video index {name}` writes.
# batch_size is for each GPU; with accumulation, 4 of them make steps of 256 clips.
name: {name}
metric: top1
plugins: [video]
axes:
{axes}
links:  # training takes learning_rate x rate_scale
{links}
transitions: {{preset: extended, fixed: [sampling], reversible: [clip_length]}}
start: {{clip_length: {starts}, learning_rate: first}}
final: {{clip_length: last, learning_rate: last}}
trainer:
  use: video
  network: dg_p3d_resnet50
  defaults: {{dropout: {dropout}}}
  flip: {flip}
  replay: {{train_split: [train, val], validation_split: test}}
"""


def config_text(name: str) -> str:
    """Return the configuration that plans a training on one of `DATASETS`."""
    dataset = DATASETS[name]
    settings = space(dataset)
    links = (f"{{of: {_flow(e.of)}, values: {_flow(e.values)}}}" for e in settings.links)
    return _CONFIG.format(
        name=name,
        title=dataset.title,
        paper=PAPER,
        axes=_lines(
            (axis.name for axis in settings.axes), (_flow(a.values) for a in settings.axes)
        ),
        links=_lines((link.name for link in settings.links), links),
        starts=_flow(dataset.clip_lengths[:2]),
        dropout=dataset.dropout,
        flip=str(dataset.flip).lower(),
    )


def plan(name: str) -> Plan:
    """Return one of `SCHEDULES` as a plan; what its stages scored was not published."""
    schedule = SCHEDULES[name]
    stages = []
    for number, (length, rate, epochs) in enumerate(schedule.stages):
        state = schedule.space.state(
            sampling=schedule.sampling, clip_length=length, learning_rate=rate
        )
        stages.append(
            Stage(
                state=state.label,
                params=schedule.space.params(state),
                epochs=epochs,
                score=None,
                observed=None,
                seed=derive_seed(name, number),
            )
        )
    return Plan(
        name=name,
        metric="top1",
        mode="max",
        score=None,
        stages=tuple(stages),
        provenance={"published": PAPER, "config": _config(schedule)},
    )


def _config(schedule: Schedule) -> dict[str, Any]:
    """Return the configuration that a schedule is trained by."""
    config: dict[str, Any] = yaml.safe_load(config_text(schedule.dataset))
    if schedule.pretrained is not None:  # where `schedplan replay --preset` leaves its model
        config["trainer"]["pretrained"] = f"runs/{schedule.pretrained}-replay/model"
    return config


def _lines(names: Iterable[str], values: Iterable[str]) -> str:
    return "\n".join(f"  {name}: {value}" for name, value in zip(names, values, strict=True))


def _flow(values: Sequence[object]) -> str:
    """Return values as YAML in one line."""
    return yaml.safe_dump(values, default_flow_style=True).strip()
