"""Clips for training and evaluation, in an order and with a randomness that can be repeated.

A clip is a function of (seed, epoch, row) and an epoch's order one of (seed, epoch), whatever the
number of worker processes: the sampler hands the epoch to the dataset along with every row, so that
workers need no state of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate
from torchvision import tv_tensors

from .decode import DecodeError, probe, read_frames
from .manifest import Manifest
from .sampling import clip_sampler

Clip = tuple[torch.Tensor, int, int]
"""uint8 frames of shape (T, 3, H, W), label, row."""


class ClipDataset(Dataset[Clip]):
    """One clip of every video of a split.

    Args:
        manifest: the videos. Where it does not say how many frames a video has, the whole video is
            decoded to count them.
        split: `train`, `val` or `test`.
        sampling: `consecutive` or `uniform`.
        length: frames of a clip.
        stride: temporal stride of consecutive clips.
        transform: from uint8 `tv_tensors.Video` (T, 3, H, W) to the network's view; may draw from
            torch's global generator.
        seed: of all draws.
        train: random clips if true, else the centre clip.

    Raises:
        ManifestError: the split has no video.
        UsageError: an argument out of bounds.

    Example:
        >>> dataset = ClipDataset(  # doctest: +SKIP
        ...     read_manifest("toy/manifest.csv"), "val", sampling="uniform", length=16,
        ...     transform=evaluation(crop=48, short_side=56), seed=0, train=False,
        ... )
        >>> clip, label, row = dataset[0]  # doctest: +SKIP
    """

    def __init__(
        self,
        manifest: Manifest,
        split: str,
        *,
        sampling: str,
        length: int,
        stride: int = 1,
        transform: Callable[[torch.Tensor], torch.Tensor],
        seed: int,
        train: bool,
    ) -> None:
        self.manifest = manifest
        self.videos = manifest.split(split)
        self.sampler = clip_sampler(sampling, length, stride)
        self.transform = transform
        self.seed = seed
        self.train = train

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: int | tuple[int, int]) -> Clip:
        """Return the clip of a row in epoch 0, or of an (epoch, row).

        Raises:
            DecodeError: the video cannot be decoded.
        """
        epoch, row = key if isinstance(key, tuple) else (0, key)
        video = self.videos[row]
        path = self.manifest.path(video)
        rng = np.random.default_rng((self.seed, epoch, row))
        indices = self.sampler(video.frames or probe(path).frames, rng=rng if self.train else None)
        clip = tv_tensors.Video(read_frames(path, indices, frames=video.frames))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(rng.integers(2**63)))
            view = self.transform(clip).as_subclass(torch.Tensor)
        return view.contiguous(), video.label, row


class EpochSampler(Sampler[tuple[int, int]]):
    """All rows of a dataset once, each with the epoch: `(epoch, row)`.

    Args:
        rows: number of rows.
        shuffle: whether each epoch has an order of its own; else the rows come in order.
        seed: of the shuffling.

    Example:
        >>> list(EpochSampler(3, shuffle=False, seed=0))
        [(0, 0), (0, 1), (0, 2)]
    """

    def __init__(self, rows: int, *, shuffle: bool, seed: int) -> None:
        self.rows = rows
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        rows = rng.permutation(self.rows) if self.shuffle else np.arange(self.rows)
        return iter([(self.epoch, row) for row in rows.tolist()])


class ClipLoader:
    """Batches of clips; see `loader`."""

    def __init__(self, batches: DataLoader, sampler: EpochSampler) -> None:
        self._batches = batches
        self._sampler = sampler

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self._batches)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, of the next iteration."""
        self._sampler.epoch = epoch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Yield clips (B, T, 3, H, W) uint8, labels (B,) and rows (B,) of one epoch.

        Raises:
            DecodeError: a video cannot be decoded.
        """
        for batch in self._batches:
            if isinstance(batch, DecodeError):
                raise batch
            yield tuple(batch)


def loader(
    dataset: ClipDataset, batch_size: int, *, workers: int = 0, shuffle: bool, seed: int
) -> ClipLoader:
    """Return the batches of a dataset, every row once an epoch; the last batch may be smaller.

    Args:
        dataset: the clips.
        batch_size: clips of a batch.
        workers: processes that decode; they live as long as the loader. 0 decodes in this one.
        shuffle: for training; the order is then a function of (seed, epoch).
        seed: of the shuffling.

    Example:
        >>> train = loader(dataset, 8, workers=2, shuffle=True, seed=0)  # doctest: +SKIP
        >>> train.set_epoch(3)  # doctest: +SKIP
        >>> for clips, labels, rows in train: ...  # doctest: +SKIP
    """
    sampler = EpochSampler(len(dataset), shuffle=shuffle, seed=seed)
    batches = DataLoader(
        _Carrying(dataset),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        collate_fn=_collate,
    )
    return ClipLoader(batches, sampler)


class _Carrying(Dataset[Any]):
    """A dataset whose decode errors are items.

    What a worker process raises, torch turns into a RuntimeError with a traceback for a message;
    what it returns arrives as it is.
    """

    def __init__(self, dataset: ClipDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, key: tuple[int, int]) -> Clip | DecodeError:
        try:
            return self.dataset[key]
        except DecodeError as error:
            return error


def _collate(items: list[Clip | DecodeError]) -> Any:
    errors = (item for item in items if isinstance(item, DecodeError))
    return next(errors, None) or default_collate(items)
