"""What one process does of the training of a network; alone it does all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from schedplan.errors import UsageError
from schedplan.trainer import derive_seed
from schedplan_video import engine, snapshots
from schedplan_video.config import StageSettings
from schedplan_video.data.dataset import ClipDataset
from schedplan_video.data.loader import Batch, ClipLoader
from schedplan_video.data.manifest import Manifest
from schedplan_video.data.transforms import EvaluationTransform, TrainingTransform
from schedplan_video.evaluate import evaluate, evaluation_clips
from schedplan_video.models.checkpointing import checkpoint_blocks
from schedplan_video.models.freezing import freeze_batchnorm
from schedplan_video.models.network import VideoNetwork
from schedplan_video.parallel import assembled, distribute, merge_statistics, share, whole
from schedplan_video.pretrained import load_pretrained
from schedplan_video.ranks import ALONE, Ranks
from schedplan_video.snapshots import Architecture, SnapshotMeta


@dataclass(frozen=True, kw_only=True)
class Task:
    """What all processes know of a training, whatever the stage; picklable.

    The attributes are those of `VideoTrainer`, checked and looked up.
    """

    manifest: Manifest
    train_split: tuple[str, ...]
    validation_split: str
    architecture: Architecture
    pretrained: Path | None
    training_view: TrainingTransform
    evaluation_view: EvaluationTransform
    workers: int
    time_limit: float
    device: str
    precision: str
    compile: bool
    shard: bool
    sync_batchnorm: bool


class Replica:
    """One process's part of a `VideoTrainer`, whose verbs all ranks are to call together.

    Only rank 0 reads and writes snapshots, and measures. Each rank reads the videos itself.

    Args:
        task: what is trained.
        ranks: who trains. On GPUs, each rank of a machine has the one of its own number.

    Attributes:
        device, dtype: where this process computes, and in which precision.
        training: this rank's batches, once a stage has begun.
    """

    def __init__(self, task: Task, ranks: Ranks = ALONE) -> None:
        self._task, self._ranks = task, ranks
        numbered = task.device == "cuda" and ranks.size > 1
        self.device = engine.find_device(f"cuda:{ranks.local}" if numbered else task.device)
        self.dtype = engine.find_precision(task.precision, self.device)
        if self.device.type == "cpu":
            engine.share_cores(task.workers, ranks.neighbours)
        else:
            torch.backends.cudnn.benchmark = True  # all batches of a stage but the last are alike

    def begin(self, settings: StageSettings, start: Path | None, seed: int) -> None:
        """Build the network, from the snapshot `start` if given, and a fresh optimiser.

        Raises:
            UsageError: clips too short for the network, or a snapshot of another network.
        """
        self._settings, self._seed, self._epoch = settings, seed, 0
        self._build(start)
        self._objective = engine.Objective(
            self.device,
            self.dtype,
            settings.label_smoothing,
            engine.mixing(settings.mixup, settings.cutmix, len(self._task.manifest.classes)),
        )
        self.training = self._loader(self._training_clips())
        validation = evaluation_clips(
            self._task.manifest,
            self._task.validation_split,
            settings,
            self._task.evaluation_view,
        )
        self._validation, self._measured = self._loader(validation), len(validation)

    def train_epoch(self) -> dict[str, float]:
        """Train on every video of the training split once; return `loss` and seconds by use."""
        with self.training.epoch(self._epoch) as batches:
            metrics = self.train_on(batches)
        merge_statistics(self._network, self._ranks)
        self._epoch += 1
        return metrics

    def train_on(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Train on some batches, as in an epoch; see `engine.train_epoch`."""
        return engine.train_epoch(
            self._model,
            batches,
            self._objective,
            self._updates,
            accumulation=self._settings.accumulation,
            ranks=self._ranks,
            seed=derive_seed(self._seed, "epoch", self._epoch),
        )

    def evaluate(self) -> dict[str, float]:
        """Return `METRICS` on the centre clips of the validation split; nothing but on rank 0."""
        with assembled(self._network), self._validation.epoch() as batches:
            return evaluate(
                self._network, batches, self._measured, self.device, self.dtype, self._ranks
            )

    def save(self, folder: Path) -> None:
        """Write a snapshot; see `schedplan_video.snapshots`."""
        model, updates = whole(self._network.state_dict()), self._updates.state_dict()
        if self._ranks.leads:
            task = self._task
            meta = SnapshotMeta(
                architecture=task.architecture,
                classes=task.manifest.classes,
                crop=task.evaluation_view.crop,
                evaluation_side=task.evaluation_view.short_side,
                settings=self._settings,
                epoch=self._epoch,
            )
            snapshots.save(folder, meta, model, updates)

    def restore(self, folder: Path) -> None:
        """Continue the transition begun last from a snapshot of it.

        Raises:
            UsageError: it is damaged, or of another network or optimiser.
        """
        self._build(folder)
        saved = None
        if self._ranks.leads:
            saved = snapshots.load_updates(folder), snapshots.read_meta(folder).epoch
        updates, self._epoch = self._ranks.broadcast(saved)
        try:
            self._updates.load_state_dict(updates)
        except UsageError as error:
            raise error.at(str(folder / snapshots.OPTIMIZER)) from None

    def _build(self, start: Path | None) -> None:
        """Make the network, what trains it and its optimiser, as a stage begins with them."""
        with _seeded(derive_seed(self._seed, "weights")):
            network = self._task.architecture.build(self._settings.dropout)
        side = self._task.training_view.crop
        network.clip_size.check(self._settings.clip_length, side, side)
        if self._ranks.leads:
            self._load(network, start)
        share(network, self._ranks)
        if self._settings.freeze_batchnorm:
            freeze_batchnorm(network)
        if self._settings.checkpointing:
            checkpoint_blocks(network)
        # What is sharded must be contiguous.
        layout = None if self._task.shard else engine.memory_format(self.device)
        self._network = network.to(self.device, memory_format=layout)
        self._model = distribute(
            self._network,
            self._ranks,
            shard=self._task.shard,
            sync_batchnorm=self._task.sync_batchnorm,
        )
        if self._task.compile:
            torch.compiler.reset()  # or the networks of earlier stages would count
            self._network.compile()
        self._updates = engine.Updates(self._network, self._settings, self.dtype)

    def _load(self, network: VideoNetwork, start: Path | None) -> None:
        architecture, source = self._task.architecture, self._task.pretrained
        if start is not None:
            snapshots.load_model(start, network, architecture)
        elif source is not None:
            load_pretrained(source, network, architecture, self._task.manifest.classes)

    def _training_clips(self) -> ClipDataset:
        """Return random clips of the training videos."""
        return ClipDataset(
            self._task.manifest,
            self._task.train_split,
            sampling=self._settings.sampling,
            length=self._settings.clip_length,
            stride=self._settings.stride,
            transform=self._task.training_view,
            seed=self._seed,
            train=True,
        )

    def _loader(self, clips: ClipDataset) -> ClipLoader:
        return ClipLoader(
            clips,
            self._settings.batch_size,
            workers=self._task.workers,
            rank=self._ranks.rank,
            world_size=self._ranks.size,
            time_limit=self._task.time_limit,
            pin_memory=self.device.type == "cuda",
        )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator of the CPU inside, and leave it outside as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
