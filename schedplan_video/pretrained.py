"""Weights to start from in place of random ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from schedplan.errors import UsageError
from schedplan_video import snapshots
from schedplan_video.models.inflate import check_inflatable, inflate, transfer
from schedplan_video.models.network import VideoNetwork
from schedplan_video.models.torchvision_video import TorchvisionNetwork, rename_weights
from schedplan_video.snapshots import Architecture


def load_pretrained(
    source: Path, network: VideoNetwork, architecture: Architecture, classes: tuple[str, ...]
) -> None:
    """Load weights into a new network, in place.

    Args:
        source: a snapshot's folder, of the same network but perhaps for other input channels and
            classes; only for the same classes its classifiers are taken over. Or a file of
            torchvision's weights: of a 2D ResNet as deep as `network`, or, for a network of
            torchvision's, of that network.
        network: of `architecture`.
        classes: names, in the order of the logits.

    Raises:
        UsageError: a source that cannot be read or does not fit, or a network that cannot start
            from such weights.
    """
    try:
        if source.is_dir():
            _load_snapshot(source, network, architecture, classes)
        elif isinstance(architecture.design, TorchvisionNetwork):
            weights = snapshots.load_weights(source)
            transfer(network, rename_weights(network, weights), classifiers=False)
        else:
            check_inflatable(network)
            inflate(network, snapshots.load_weights(source))
    except UsageError as error:
        raise error.at(str(source)) from None


def check_pretrained(source: Path, architecture: Architecture, classes: tuple[str, ...]) -> None:
    """Raise what `load_pretrained` would, without a network in memory."""
    with torch.device("meta"):
        network = architecture.build()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*meta parameter.*", category=UserWarning)
        load_pretrained(source, network, architecture, classes)


def _load_snapshot(
    folder: Path, network: VideoNetwork, architecture: Architecture, classes: tuple[str, ...]
) -> None:
    meta = snapshots.read_meta(folder)
    snapshots.check_same(
        meta.architecture.model_copy(
            update={
                "num_classes": architecture.num_classes,
                "in_channels": architecture.in_channels,
            }
        ),
        architecture,
        folder,
    )
    weights = snapshots.load_weights(folder / snapshots.MODEL)
    transfer(network, weights, classifiers=meta.classes == classes)
