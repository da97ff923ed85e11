"""The trainer of video networks, where the planner meets torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import torch

from schedplan.checks import require_whole
from schedplan.errors import UsageError
from schedplan_video import engine
from schedplan_video.config import StageSettings, check_defaults, stage_settings
from schedplan_video.data.epoch_sampler import EpochSampler
from schedplan_video.data.loader import TIME_LIMIT, check_time_limit
from schedplan_video.data.manifest import Manifest, log_skipped, read_manifest
from schedplan_video.data.processes import usual_workers
from schedplan_video.data.splits import split_names
from schedplan_video.data.toy import make_toy
from schedplan_video.data.transforms import EvaluationTransform, TrainingTransform
from schedplan_video.launch import Alone, Machines, Team
from schedplan_video.metrics import METRICS, scales
from schedplan_video.models.freezing import freeze_batchnorm
from schedplan_video.models.registry import design
from schedplan_video.pretrained import check_pretrained
from schedplan_video.replica import Replica, Task
from schedplan_video.snapshots import Architecture

log = logging.getLogger("schedplan")

_PATIENCE = 600.0
"""Seconds that processes may wait for each other, on top of waiting for videos."""


@dataclass(kw_only=True, eq=False)
class VideoTrainer:
    """Trains a network of `schedplan_video.models` on the videos of a manifest.

    Implements `schedplan.trainer.Trainer`; what the states of a plan may set is listed at
    `schedplan_video.config.StageSettings`. Weights, shuffling, clips, views, mixing and dropout are
    functions of the transition's seed and the epoch, so that an epoch continued from a snapshot is
    the one that would have been trained without a stop (to the bit on a CPU with as many threads).

    Several processes train one network together, each on its own device. As long as all batches of
    an epoch are equally large, N processes with an `accumulation` of a compute what one with N a
    would, up to rounding; see `data.epoch_sampler.EpochSampler` for the others.

    Args:
        manifest: CSV file that lists the videos; RGB, or optical flow made by `data.flow`.
        videos: the folder that the manifest's paths are relative to; by default the manifest's.
        allow_missing: how many videos of a split may be missing, corrupt or too short, as a number
            or a share such as "1%"; they are skipped, not replaced.
        network: one of `models.registry.names()`.
        width: scales the network's channels.
        shortcut: `A` or `B`, for networks that have the choice; see `models.registry.build`.
        pretrained: what a training from scratch starts from in place of random weights: a
            snapshot's folder or a file of torchvision's weights, see `pretrained.load_pretrained`.
        crop: side of the square view that the network sees, in pixels.
        short_side: in training the shorter side is scaled to a length drawn from this range.
        evaluation_side: in evaluation it is scaled to this length.
        flip: mirror every second training clip; not where direction has a meaning.
        augment: how training clips are changed: `paper` draws scale, crop and mirror image;
            `strong` and `randaugment` are the released code's and change colours too, see
            `data.transforms.TrainingTransform`.
        train_split: which of the manifest's splits to train on; or several, such as
            `["train", "val"]` once the plan is known.
        validation_split: which one to measure on.
        workers: processes that decode videos, for each one that trains; by default one per core,
            but 4 at most; 0 decodes in that itself. See `data.loader.ClipLoader` for what a script
            with workers must do.
        time_limit: seconds that they may keep a batch waiting, from 1 to a week.
        device: `auto`, `cpu`, `cuda` or `cuda:N`. `cuda` is one GPU for each process.
        precision: what the bulk of the network computes in: `float32`, `bfloat16`, `float16` (with
            scaled gradients), or `auto`, see `engine.find_precision`.
        compile: whether torch compiles the network, anew for each stage.
        processes: how many train together, on this machine; a stage may say otherwise.
        nodes: machines; on all but this one, `schedplan video join ENDPOINT` takes part.
        endpoint: HOST:PORT of this machine, at which the others find it; see `launch.Machines`.
        shard: whether each process keeps only its part of weights, gradients and optimiser, for
            networks that do not fit into one GPU otherwise (FSDP).
        sync_batchnorm: whether batch normalisations see the batches of all processes together.
        defaults: stage settings for all states, e.g. `{"batch_size": 8}`; a state's own win.
        toy: arguments of `data.toy.make_toy`, e.g. `{"seed": 0}`; if given, the manifest's folder
            is filled with toy videos unless it holds them already.

    Attributes:
        task: all of this, checked and looked up.

    Raises:
        UsageError: an option that cannot be used; no video is decoded and no network built before
            `begin`.

    Example:
        >>> trainer = VideoTrainer(  # doctest: +SKIP
        ...     manifest=Path("toy/manifest.csv"), toy={"seed": 0}, network="dg_p3d_resnet18",
        ...     width=0.125, crop=40, short_side=(40, 46), evaluation_side=44,
        ... )
        >>> stage = {"sampling": "uniform", "clip_length": 16, "learning_rate": 0.05}
        >>> trainer.begin(stage | {"batch_size": 8}, None, seed=0)  # doctest: +SKIP
        >>> loss, top1 = trainer.train_epoch()["loss"], trainer.evaluate()["top1"]  # doctest: +SKIP
    """

    manifest: Path
    videos: Path | None = None
    allow_missing: int | str = 0
    network: str = "dg_p3d_resnet50"
    width: float = 1.0
    shortcut: str | None = None
    pretrained: Path | None = None
    crop: int = 224
    short_side: tuple[int, int] = (256, 340)
    evaluation_side: int = 256
    flip: bool = True
    augment: str = "paper"
    train_split: str | list[str] = "train"
    validation_split: str = "val"
    workers: int | None = None
    time_limit: float = TIME_LIMIT
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    processes: int = 1
    nodes: int = 1
    endpoint: str | None = None
    shard: bool = False
    sync_batchnorm: bool = False
    defaults: Mapping[str, Any] | None = None
    toy: Mapping[str, Any] | None = None

    metrics = METRICS
    incidental = (
        *("videos", "allow_missing", "workers", "time_limit", "device", "compile", "endpoint"),
    )

    def __post_init__(self) -> None:
        design(self.network, width=self.width, shortcut=self.shortcut)
        check_defaults(self.defaults or {})
        self._machines = Machines(self.processes, self.nodes, self.endpoint)
        self._team: Alone | Team | None = None
        self._check_machine()
        training_view = TrainingTransform(
            self.crop, tuple(self.short_side), self.flip, self.augment
        )
        evaluation_view = EvaluationTransform(self.crop, self.evaluation_side)
        manifest = self._read_manifest()
        self.task = Task(
            manifest=manifest,
            train_split=self._training_splits(),
            validation_split=self.validation_split,
            architecture=Architecture(
                network=self.network,
                width=self.width,
                num_classes=len(manifest.classes),
                shortcut=self.shortcut,
                in_channels=manifest.channels,
            ),
            pretrained=self.pretrained and Path(self.pretrained),
            training_view=training_view,
            evaluation_view=evaluation_view,
            workers=usual_workers() if self.workers is None else self.workers,
            time_limit=self.time_limit,
            device=self._device(self._machines),
            precision=self.precision,
            compile=self.compile,
            shard=self.shard,
            sync_batchnorm=self.sync_batchnorm,
        )
        if self.task.pretrained:
            check_pretrained(self.task.pretrained, self.task.architecture, manifest.classes)

    @cached_property
    def scales(self) -> dict[str, tuple[float, float]]:
        """Per metric, the score of guessing among the manifest's classes, and the best one."""
        with torch.device("meta"):
            heads = len(self.task.architecture.build().heads)
        return scales(len(self.task.manifest.classes), heads)

    @cached_property
    def data(self) -> dict[str, str]:
        """The manifest, see `Manifest.digest`: a run is not resumed with another one."""
        manifest = self.task.manifest
        size = f"{len(manifest.videos)} videos of {len(manifest.classes)} classes"
        return {f"manifest {Path(self.manifest).name}": f"{size}, sha256 {manifest.digest[:12]}"}

    def check(self, params: Mapping[str, Any]) -> None:
        """Raise `UsageError` if no stage can be trained under `params`.

        That includes a stage that would fail in the last batch of its first epoch, by a single clip
        of which the network leaves no more than one value per channel to be normalised.
        """
        settings = stage_settings(params, self.defaults)
        self._device(self._machines_for(settings))
        with torch.device("meta"):
            network = self.task.architecture.build()
        network.clip_size.check(settings.clip_length, self.crop, self.crop)
        self._check_batches(settings)

    def begin(self, params: Mapping[str, Any], start: Path | None, seed: int) -> None:
        """Build the network, from the snapshot `start` if given, and a fresh optimiser.

        Raises:
            UsageError: parameters that do not fit (`config.stage_settings`), clips too short for
                the network, or a snapshot of another network.
        """
        settings = stage_settings(params, self.defaults)
        machines = self._machines_for(settings)
        if self._team is None or self._team.ended or machines != self._machines:
            self._start(machines)
        self._team.call("begin", settings, start, seed)

    def train_epoch(self) -> dict[str, float]:
        """Train on every video of the training split once; return `loss` and seconds by use."""
        return self._team.call("train_epoch")

    def evaluate(self) -> dict[str, float]:
        """Return `metrics` on the centre clips of the validation split."""
        return self._team.call("evaluate")

    def save(self, folder: Path) -> None:
        """Write a snapshot; see `schedplan_video.snapshots`."""
        self._team.call("save", folder)

    def restore(self, folder: Path) -> None:
        """Continue the transition begun last from a snapshot of it."""
        self._team.call("restore", folder)

    def _training_splits(self) -> tuple[str, ...]:
        names = split_names(self.train_split)
        if self.validation_split in names:
            raise UsageError(
                f"the split {self.validation_split!r} is trained on",
                allowed="another split to measure on",
                path=("validation_split",),
            )
        return names

    def _machines_for(self, settings: StageSettings) -> Machines:
        return replace(self._machines, processes=settings.processes or self.processes)

    def _check_batches(self, settings: StageSettings) -> None:
        """Raise `UsageError` if batch normalisation cannot cope with an epoch's smallest batch."""
        machines = self._machines_for(settings)
        ranks, size = machines.processes * machines.nodes, settings.batch_size
        videos = len(self.task.manifest.split(*self.task.train_split))
        share = len(
            EpochSampler(
                videos, shuffle=True, seed=0, batch_size=size, rank=ranks - 1, world_size=ranks
            )
        )
        smallest = share % size or size
        if smallest > 1 or (self.sync_batchnorm and ranks > 1):
            return
        clip = (self.task.manifest.channels, settings.clip_length, self.crop, self.crop)
        if not _normalises_one(self.task.architecture, clip, settings.freeze_batchnorm):
            raise UsageError(
                f"a batch of 1 of the {videos} training videos is too small for batch normalisation"
                f" in this network, at {settings.clip_length} frames of {self.crop} x {self.crop}"
                " pixels",
                hint="choose another batch_size, a larger crop, or freeze_batchnorm",
            )

    def _start(self, machines: Machines) -> None:
        """Let this process train, or others, in place of those that did before."""
        if isinstance(self._team, Team):
            self._team.stop()
        self._machines = machines
        make = partial(Replica, replace(self.task, device=self._device(machines)))
        if machines.alone:
            self._team = Alone(make)
        else:
            patience = _PATIENCE + self.time_limit
            self._team = Team(make, machines, self._device(machines), patience)

    def _device(self, machines: Machines) -> str:
        """Return the device of the one process, or the kind of those of several."""
        if machines.alone:
            return str(engine.find_device(self.device))
        return engine.find_devices(self.device, machines.processes)

    def _check_machine(self) -> None:
        """Check the options that are about machines."""
        if self.workers is not None:
            require_whole("workers", self.workers, at_least=0, error=UsageError)
        check_time_limit(self.time_limit)
        engine.find_precision(self.precision, torch.device("cpu"))
        for name, used in {
            "float16": self.precision == "float16",
            "compile": self.compile,
        }.items():
            if self.shard and used:
                raise UsageError(f"{name} does not go with shard", path=("shard",))
        if self.sync_batchnorm and not self._device(self._machines).startswith("cuda"):
            raise UsageError("sync_batchnorm works on GPUs only", path=("sync_batchnorm",))

    def _read_manifest(self) -> Manifest:
        file = Path(self.manifest)
        if self.toy is not None:
            if not file.exists():
                log.info("making toy videos in %s", file.parent.absolute())
            make_toy(file.parent, **self.toy)
        manifest = read_manifest(file, self.videos, self.allow_missing)
        for split in (*self._training_splits(), self.validation_split):
            manifest.check_there(manifest.split(split))
            log_skipped(manifest, split)
        return manifest


@lru_cache
def _normalises_one(architecture: Architecture, clip: tuple[int, ...], frozen: bool) -> bool:
    """Return whether a network can train on a single clip (C, T, H, W).

    It cannot if one value per channel is all that is left of it at a batch normalisation.
    """
    with torch.device("meta"):
        network = architecture.build()
        if frozen:
            freeze_batchnorm(network)
        try:
            network(torch.empty(1, *clip))
        except ValueError:
            return False
    return True
