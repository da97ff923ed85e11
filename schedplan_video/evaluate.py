"""Accuracy on one centre clip per video, the evaluation while planning.

The clip is as long as in training and lies in the middle of the video.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from schedplan.errors import UsageError
from schedplan_video import snapshots
from schedplan_video.config import StageSettings
from schedplan_video.data.dataset import ClipDataset
from schedplan_video.data.loader import Batch, ClipLoader
from schedplan_video.data.manifest import Manifest
from schedplan_video.data.transforms import EvaluationTransform
from schedplan_video.engine import check_finite, find_device, forward
from schedplan_video.ranks import ALONE, Ranks

METRICS = ("top1", "top5", "mean_top135", "loss")
"""Keys of what `evaluate` returns."""

_RANKS = (1, 3, 5)


def scales(classes: int, heads: int) -> dict[str, tuple[float, float]]:
    """Return the score of guessing and the best one of each of `METRICS`.

    Args:
        classes: how many there are.
        heads: those that predict, over which the loss is summed.

    Returns:
        Nothing about metrics that guessing gets right, such as top5 among 5 classes.

    Example:
        >>> scales(classes=10, heads=1)["top5"]
        (0.5, 1.0)
        >>> "top5" in scales(classes=5, heads=1)
        False
    """
    top1, top3, top5 = (min(rank / classes, 1.0) for rank in _RANKS)
    mean = (top1 + top3 + top5) / len(_RANKS)
    chance = {"top1": top1, "top5": top5, "mean_top135": mean, "loss": heads * math.log(classes)}
    perfect = {**dict.fromkeys(METRICS, 1.0), "loss": 0.0}
    return {
        name: (chance[name], perfect[name]) for name in METRICS if chance[name] != perfect[name]
    }


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
def evaluate(
    model: nn.Module,
    loader: Iterable[Batch],
    device: torch.device,
    dtype: torch.dtype | None = None,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Measure `model` on every sample of `loader`, each counted once.

    Args:
        model: on `device`.
        loader: this rank's samples; a rank may have none.
        device, dtype: see `engine.forward`.
        ranks: who measures; all of their samples count.

    Returns:
        top1, top5: share of samples whose label is among the 1 or 5 highest scores, in [0, 1];
        with fewer than 5 classes, top5 is 1.
        mean_top135: mean of top-1, top-3 and top-5.
        loss: cross-entropy summed over the heads that predict, mean over samples.
        Nothing but on rank 0.

    Raises:
        NotFiniteError: the network's output is not finite.
    """
    model.eval()
    found = [_measured(model, batch, device, dtype) for batch in loader]
    none = torch.empty(0, 2 + len(_RANKS), dtype=torch.float64)
    parts = ranks.gather(torch.cat([none, *found]))
    if not parts:
        return {}
    table = torch.cat(parts)
    if len(table[:, 0].unique()) < len(table):
        raise RuntimeError("a sample was measured twice")
    # By row, so that sums do not depend on who has measured what.
    loss, top1, top3, top5 = table[table[:, 0].argsort(), 1:].mean(dim=0).tolist()
    check_finite(loss)
    return {
        "top1": top1,
        "top5": top5,
        "mean_top135": (top1 + top3 + top5) / len(_RANKS),
        "loss": loss,
    }


def _measured(
    model: nn.Module, batch: Batch, device: torch.device, dtype: torch.dtype | None
) -> Tensor:
    """Return for each sample its row, its loss, and whether it is a hit for each of `_RANKS`."""
    logits, labels = forward(model, batch, device, dtype)
    losses = sum(functional.cross_entropy(head, labels, reduction="none") for head in logits)
    hits = _hits(scores(logits), labels)
    return torch.column_stack([part.double().cpu() for part in (batch[2], losses, hits)])


def _hits(prediction: Tensor, labels: Tensor) -> Tensor:
    """Say, for each of `_RANKS`, whether each label is among that many best scores, (B, 3)."""
    best = prediction.topk(min(max(_RANKS), prediction.shape[1])).indices
    found = best == labels[:, None]
    return torch.stack([found[:, :rank].any(dim=1) for rank in _RANKS], dim=1)


def centre_clips(
    manifest: Manifest, split: str, settings: StageSettings, transform: EvaluationTransform
) -> ClipDataset:
    """Return the centre clip of every video of a split, in the manifest's order."""
    return ClipDataset(
        manifest,
        split,
        sampling=settings.sampling,
        length=settings.clip_length,
        stride=settings.stride,
        transform=transform,
        seed=0,
        train=False,
    )


def evaluate_snapshot(
    folder: Path, manifest: Manifest, split: str, *, workers: int = 0, device: str = "auto"
) -> dict[str, float]:
    """Measure a saved model on a split, with clips and views as when it was saved.

    Raises:
        UsageError: no snapshot in `folder`, or a manifest with other classes or another modality.
    """
    meta, target = snapshots.read_meta(folder), find_device(device)
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
    model = meta.architecture.build()
    snapshots.load_model(folder, model, meta.architecture)
    transform = EvaluationTransform(meta.crop, meta.evaluation_side)
    clips = centre_clips(manifest, split, meta.settings, transform)
    pin_memory = target.type == "cuda"
    loader = ClipLoader(clips, meta.settings.batch_size, workers=workers, pin_memory=pin_memory)
    with loader.epoch() as batches:
        return evaluate(model.to(target), batches, target)
