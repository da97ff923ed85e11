"""The trainer of video networks, where the planner meets torch."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from schedplan.errors import UsageError
from schedplan.trainer import derive_seed
from schedplan_video import engine, snapshots
from schedplan_video.config import StageSettings, check_defaults, stage_settings
from schedplan_video.data.dataset import ClipDataset
from schedplan_video.data.loader import TIME_LIMIT, ClipLoader
from schedplan_video.data.manifest import Manifest, log_skipped, read_manifest
from schedplan_video.data.splits import split_names
from schedplan_video.data.toy import make_toy
from schedplan_video.data.transforms import EvaluationTransform, TrainingTransform
from schedplan_video.evaluate import evaluation_clips, score
from schedplan_video.metrics import METRICS, measure, scales
from schedplan_video.models.checkpointing import checkpoint_blocks
from schedplan_video.models.freezing import freeze_batchnorm
from schedplan_video.models.network import VideoNetwork
from schedplan_video.models.registry import design
from schedplan_video.pretrained import check_pretrained, load_pretrained
from schedplan_video.snapshots import Architecture, SnapshotMeta

log = logging.getLogger("schedplan")


@dataclass(kw_only=True, eq=False)
class VideoTrainer:
    """Trains a network of `schedplan_video.models` on the videos of a manifest.

    Implements `schedplan.trainer.Trainer`; what the states of a plan may set is listed at
    `schedplan_video.config.StageSettings`. Weights, shuffling, clips, views and dropout are
    functions of the transition's seed and the epoch, so that an epoch continued from a snapshot is
    the one that would have been trained without a stop (to the bit on a CPU with as many threads).

    Args:
        manifest: CSV file that lists the videos; RGB, or optical flow made by `data.flow`.
        videos: the folder that the manifest's paths are relative to; by default the manifest's.
        allow_missing: how many videos of a split may be missing, corrupt or too short, as a number
            or a share such as "1%"; they are skipped, not replaced.
        network: one of `models.registry.names()`.
        width: scales the network's channels.
        shortcut: `A` or `B`, for networks that have the choice; see `models.registry.build`.
        dropout: before the classifiers, in [0, 1).
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
        workers: processes that decode videos; 0 decodes in the training process.
        time_limit: seconds that they may keep a batch waiting.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        defaults: stage settings for all states, e.g. `{"batch_size": 8}`; a state's own win.
        toy: arguments of `data.toy.make_toy`, e.g. `{"seed": 0}`; if given, the manifest's folder
            is filled with toy videos unless it holds them already.

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
    dropout: float = 0.5
    pretrained: Path | None = None
    crop: int = 224
    short_side: tuple[int, int] = (256, 340)
    evaluation_side: int = 256
    flip: bool = True
    augment: str = "paper"
    train_split: str | list[str] = "train"
    validation_split: str = "val"
    workers: int = 4
    time_limit: float = TIME_LIMIT
    device: str = "auto"
    defaults: Mapping[str, Any] | None = None
    toy: Mapping[str, Any] | None = None

    metrics = METRICS

    def __post_init__(self) -> None:
        design(self.network, width=self.width, shortcut=self.shortcut)
        check_defaults(self.defaults or {})
        if self.workers < 0:
            raise UsageError(f"workers is {self.workers}", allowed="0 or more", path=("workers",))
        if not self.time_limit > 0:
            raise UsageError(
                f"time_limit is {self.time_limit}", allowed="above 0", path=("time_limit",)
            )
        self._device = engine.find_device(self.device)
        self._training_transform = TrainingTransform(
            self.crop, tuple(self.short_side), self.flip, self.augment
        )
        self._evaluation_transform = EvaluationTransform(self.crop, self.evaluation_side)
        self._manifest = self._read_manifest()
        for split in (*self._training_splits(), self.validation_split):
            self._manifest.split(split)
            log_skipped(self._manifest, split)
        self._architecture = Architecture(
            self.network,
            self.width,
            len(self._manifest.classes),
            shortcut=self.shortcut,
            in_channels=self._manifest.channels,
        )
        if self.pretrained is not None:
            check_pretrained(Path(self.pretrained), self._architecture, self._manifest.classes)

    @cached_property
    def scales(self) -> dict[str, tuple[float, float]]:
        """Per metric, the score of guessing among the manifest's classes, and the best one."""
        with torch.device("meta"):
            heads = len(self._architecture.build().heads)
        return scales(len(self._manifest.classes), heads)

    def check(self, params: Mapping[str, Any]) -> None:
        """Raise `UsageError` if no stage can be trained under `params`."""
        settings = stage_settings(params, self.defaults)
        with torch.device("meta"):
            network = self._architecture.build(self.dropout)
        network.clip_size.check(settings.clip_length, self.crop, self.crop)

    def begin(self, params: Mapping[str, Any], start: Path | None, seed: int) -> None:
        """Build the network, from the snapshot `start` if given, and a fresh optimiser.

        Raises:
            UsageError: parameters that do not fit (`config.stage_settings`), clips too short for
                the network, or a snapshot of another network.
        """
        settings = stage_settings(params, self.defaults)
        if self._device.type == "cpu":
            engine.share_cores(self.workers)
        self._model = self._make_model(settings, start, seed)
        self._optimizer = engine.sgd(self._model, settings.scaled_rate)
        self._settings, self._seed, self._epoch = settings, seed, 0
        self._training = self._loader(self._training_clips())
        self._validation = self._loader(
            evaluation_clips(
                self._manifest, self.validation_split, settings, self._evaluation_transform
            )
        )

    def train_epoch(self) -> dict[str, float]:
        """Train on every training video once; return `loss` and seconds by use."""
        seed = derive_seed(self._seed, "dropout", self._epoch)
        with _seeded(seed), self._training.epoch(self._epoch) as batches:
            metrics = engine.train_epoch(
                self._model,
                batches,
                self._optimizer,
                self._device,
                accumulation=self._settings.accumulation,
            )
        self._epoch += 1
        return metrics

    def evaluate(self) -> dict[str, float]:
        """Return `metrics` on the centre clips of the validation split."""
        with self._validation.epoch() as batches:
            return measure(score(self._model, batches, self._device))

    def save(self, folder: Path) -> None:
        """Write a snapshot; see `schedplan_video.snapshots`."""
        meta = SnapshotMeta(
            architecture=self._architecture,
            classes=self._manifest.classes,
            crop=self.crop,
            evaluation_side=self.evaluation_side,
            settings=self._settings,
            epoch=self._epoch,
        )
        snapshots.save(folder, meta, self._model, self._optimizer)

    def restore(self, folder: Path) -> None:
        """Continue the transition begun last from a snapshot of it."""
        snapshots.load_model(folder, self._model, self._architecture)
        snapshots.load_optimizer(folder, self._optimizer)
        self._epoch = snapshots.read_meta(folder).epoch

    def _training_splits(self) -> tuple[str, ...]:
        names = split_names(self.train_split)
        if self.validation_split in names:
            raise UsageError(
                f"the split {self.validation_split!r} is trained on",
                allowed="another split to measure on",
                path=("validation_split",),
            )
        return names

    def _make_model(self, settings: StageSettings, start: Path | None, seed: int) -> VideoNetwork:
        """Return a network as a stage begins with it."""
        with _seeded(derive_seed(seed, "weights")):
            model = self._architecture.build(self.dropout)
        model.clip_size.check(settings.clip_length, self.crop, self.crop)
        if start is not None:
            snapshots.load_model(start, model, self._architecture)
        elif self.pretrained is not None:
            classes = self._manifest.classes
            load_pretrained(Path(self.pretrained), model, self._architecture, classes)
        if settings.freeze_batchnorm:
            freeze_batchnorm(model)
        if settings.checkpointing:
            checkpoint_blocks(model)
        return model.to(self._device)

    def _read_manifest(self) -> Manifest:
        file = Path(self.manifest)
        if self.toy is not None:
            if not file.exists():
                log.info("making toy videos in %s", file.parent.absolute())
            make_toy(file.parent, **self.toy)
        return read_manifest(file, self.videos, self.allow_missing)

    def _training_clips(self) -> ClipDataset:
        """Return random clips of the training videos."""
        return ClipDataset(
            self._manifest,
            self.train_split,
            sampling=self._settings.sampling,
            length=self._settings.clip_length,
            stride=self._settings.stride,
            transform=self._training_transform,
            seed=self._seed,
            train=True,
        )

    def _loader(self, clips: ClipDataset) -> ClipLoader:
        return ClipLoader(
            clips,
            self._settings.batch_size,
            workers=self.workers,
            time_limit=self.time_limit,
            pin_memory=self._device.type == "cuda",
        )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's generators inside, and leave them outside as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
