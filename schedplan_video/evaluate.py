"""Scoring videos, while planning and at the end (paper, section 5; PAPER.md, section 7).

While planning, a video is seen in one clip in its middle, as long as in training, and one crop. At
the end, in 10 clips spread over it and 3 crops of each; the softmax scores of all views and all
heads are averaged. Views are scored in micro-batches: memory grows with those, not with the views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from schedplan.errors import UsageError
from schedplan_video import snapshots
from schedplan_video.config import StageSettings
from schedplan_video.data.dataset import ClipDataset
from schedplan_video.data.flow import rgb_path
from schedplan_video.data.loader import Batch, ClipLoader
from schedplan_video.data.manifest import Manifest
from schedplan_video.data.transforms import EvaluationTransform
from schedplan_video.engine import find_device, forward, share_cores
from schedplan_video.metrics import measure
from schedplan_video.ranks import ALONE, Ranks
from schedplan_video.scores import Scores, merge
from schedplan_video.snapshots import SnapshotMeta
from schedplan_video.streams import Stream


def scores(logits: tuple[Tensor, ...]) -> Tensor:
    """Return the prediction of a network with several heads: the mean of their softmax scores.

    Args:
        logits: (B, num_classes) per head.

    Returns:
        (B, num_classes), rows that sum to 1.

    Example:
        >>> scores((torch.zeros(1, 2), torch.tensor([[100.0, 0.0]])))
        tensor([[0.7500, 0.2500]])
    """
    return torch.stack([head.softmax(dim=1) for head in logits]).mean(dim=0)


@torch.inference_mode()
def score(
    model: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> Scores:
    """Return what `model` says about the videos in `batches`, averaged over their views.

    The views of a video may lie in several batches; there may be no batch at all.

    Args:
        model: on `device`.
        batches: from a `ClipLoader`.
        device, dtype: see `engine.forward`.
    """
    model.eval()
    # Merged at once, batch by batch: what is kept is the size of one view for each video.
    return merge(merge([_score_views(model, batch, device, dtype)]) for batch in batches)


def _score_views(
    model: nn.Module, batch: Batch, device: torch.device, dtype: torch.dtype | None
) -> Scores:
    """Return the scores of each view, so that a row may be there several times."""
    logits, labels = forward(model, batch, device, dtype)
    losses = torch.stack(
        [functional.cross_entropy(head, labels, reduction="none") for head in logits]
    )
    return Scores(
        rows=batch[2].numpy(),
        labels=batch[1].numpy(),
        views=np.ones(len(labels), dtype=np.int64),
        scores=scores(logits).cpu().double().numpy(),
        losses=losses.sum(dim=0).cpu().double().numpy(),
    )


def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    videos: int,
    device: torch.device,
    dtype: torch.dtype | None = None,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Measure `model` on one view of every video, each counted once.

    Args:
        model: on `device`.
        batches: this rank's share; a rank may have none.
        videos: how many there are on all ranks.
        device, dtype: see `engine.forward`.
        ranks: who measures.

    Returns:
        see `metrics.measure`; nothing but on rank 0.

    Raises:
        NotFiniteError: the network's output is not finite; on rank 0, when all have ended.
    """
    parts = ranks.gather(score(model, batches, device, dtype))
    if not ranks.leads:
        return {}
    found = merge(parts)
    found.check_complete(videos, views=1)
    return measure(found)


def evaluation_clips(
    manifest: Manifest,
    split: str,
    settings: StageSettings,
    transform: EvaluationTransform,
    *,
    clips: int = 1,
    clips_at_once: int | None = None,
) -> ClipDataset:
    """Return the clips of every video of a split, in the manifest's order; one is the centre."""
    return ClipDataset(
        manifest,
        split,
        sampling=settings.sampling,
        length=settings.clip_length,
        stride=settings.stride,
        clips=clips,
        clips_at_once=clips_at_once,
        transform=transform,
        seed=0,
        train=False,
    )


def score_snapshot(
    folder: Path,
    manifest: Manifest,
    split: str,
    *,
    clips: int,
    crops: int,
    batch_size: int,
    workers: int = 0,
    device: str = "auto",
    track: Callable[[Iterable[Batch], int], Iterable[Batch]] = lambda batches, total: batches,
) -> Scores:
    """Return what a saved model says about the videos of a split.

    Clips have the length, stride and sampling of the stage that the model was trained in last.

    Args:
        folder: of the snapshot.
        manifest: the videos.
        split: one of the manifest's.
        clips: clips of a video, evenly spaced from end to end; 1 is the centre.
        crops: of a clip. 1 is the centre as planning sees it; several are as high as the frame and
            evenly spaced along its longer side.
        batch_size: the most views to be held and scored at once, but at least the crops of one
            clip. A video is decoded once for each micro-batch that its views fill.
        workers: processes that decode; 0 decodes in this one.
        device: see `engine.find_device`.
        track: passes on so many batches, and may show progress.

    Raises:
        UsageError: no snapshot in `folder`, a manifest with other classes or another modality, none
            of the videos in its place, or a number below 1.
        DecodeError: a video cannot be decoded.

    Example:
        >>> found = score_snapshot(  # doctest: +SKIP
        ...     Path("runs/mine/model"), manifest, "test", clips=10, crops=3, batch_size=32
        ... )
        >>> measure(found)["top1"]  # doctest: +SKIP
    """
    meta, target = snapshots.read_meta(folder), find_device(device)
    _check_fit(folder, meta, manifest)
    dataset, items = _views(meta, manifest, split, clips, crops, batch_size)
    manifest.check_there(dataset.videos)
    loader = ClipLoader(dataset, items, workers=workers, pin_memory=target.type == "cuda")
    if target.type == "cpu":
        share_cores(workers)
    model = meta.architecture.build()
    snapshots.load_model(folder, model, meta.architecture)
    with loader.epoch() as batches:
        found = score(model.to(target), track(batches, len(loader)), target)
    found.check_complete(len(dataset.videos), clips * crops)
    return found


def name_videos(found: Scores, manifest: Manifest, split: str) -> Stream:
    """Return scores of a split's videos with the names that they have in every stream."""
    videos = manifest.split(split)
    return Stream(
        videos=np.array([rgb_path(videos[row]) for row in found.rows]),
        labels=found.labels,
        classes=np.array(manifest.classes),
        scores=found.scores,
    )


def _check_fit(folder: Path, meta: SnapshotMeta, manifest: Manifest) -> None:
    """Raise `UsageError` unless the videos are what the model was trained for."""
    if manifest.classes != meta.classes:
        raise UsageError(
            f"the manifest's classes are {', '.join(manifest.classes)}",
            where=str(folder),
            allowed=f"those of the model: {', '.join(meta.classes)}",
        )
    if manifest.channels != meta.architecture.in_channels:
        raise UsageError(
            f"the manifest's videos are {manifest.modality}, of {manifest.channels} channels",
            where=str(folder),
            allowed=f"{meta.architecture.in_channels} channels, the model's input",
        )


def _views(
    meta: SnapshotMeta, manifest: Manifest, split: str, clips: int, crops: int, batch_size: int
) -> tuple[ClipDataset, int]:
    """Return the views to be scored, and how many of the dataset's items make a micro-batch."""
    if batch_size < 1:
        raise UsageError(f"the batch size is {batch_size}", allowed="1 or more")
    side = meta.evaluation_side
    transform = EvaluationTransform(meta.crop if crops == 1 else side, side, crops)
    at_once = max(min(clips, batch_size // crops), 1)
    dataset = evaluation_clips(
        manifest, split, meta.settings, transform, clips=clips, clips_at_once=at_once
    )
    return dataset, max(batch_size // (at_once * crops), 1)
