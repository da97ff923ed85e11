"""Clips of videos, with a randomness that can be repeated.

A clip is a function of (seed, epoch, row) alone: whoever asks for it says which epoch it is for, so
that worker processes need no state of their own.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from .decode import probe, read_frames
from .manifest import Manifest, Video
from .sampling import clip_sampler
from .transforms import Transform

Item = tuple[torch.Tensor, int, int]
"""Clips of one video as uint8 of shape (clips, T, C, H, W), its label and its row."""


class ClipDataset(Dataset[Item]):
    """The videos of a split, as clips.

    Args:
        manifest: the videos. Where it does not say how many frames a video has, or their size, the
            whole video is decoded each time to find out.
        split: `train`, `val` or `test`.
        sampling: `consecutive` or `uniform`.
        length: frames of a clip.
        stride: temporal stride of consecutive clips.
        clips: clips of a video. If it is evaluated, one is the centre, and several are evenly
            spaced and reach both ends.
        transform: how they are seen; if it cuts several crops, each counts as a clip.
        seed: of all draws.
        train: whether clips are drawn at random.

    Raises:
        ManifestError: the split has no video.
        UsageError: an argument out of bounds.

    Example:
        >>> dataset = ClipDataset(  # doctest: +SKIP
        ...     read_manifest("toy/manifest.csv"), "val", sampling="uniform", length=16,
        ...     transform=EvaluationTransform(crop=48, short_side=56), seed=0, train=False,
        ... )
        >>> clips, label, row = dataset[0]  # doctest: +SKIP
    """

    def __init__(
        self,
        manifest: Manifest,
        split: str,
        *,
        sampling: str,
        length: int,
        stride: int = 1,
        clips: int = 1,
        transform: Transform,
        seed: int,
        train: bool,
    ) -> None:
        self.manifest = manifest
        self.videos = manifest.split(split)
        self.sampler = clip_sampler(sampling, length, stride, clips)
        self.transform = transform
        self.seed = seed
        self.train = train

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.videos)

    def __getitem__(self, key: int | tuple[int, int]) -> Item:
        """Return the clips of a row in epoch 0, or of an (epoch, row).

        Raises:
            DecodeError: the video cannot be decoded.
        """
        epoch, row = key if isinstance(key, tuple) else (0, key)
        rng = np.random.default_rng((self.seed, epoch, row))
        video = self.videos[row]
        frames, height, width = self._size(video)
        indices = self.sampler(frames, rng=rng if self.train else None)
        pictures = read_frames(
            self.path(row),
            indices.ravel(),
            frames=frames,
            view=self.transform.view(height, width, rng),
            modality=self.manifest.modality,
        )
        clips = [self.transform(clip, rng) for clip in pictures.unflatten(0, indices.shape)]
        return torch.cat(clips) if len(clips) > 1 else clips[0], video.label, row

    def path(self, row: int) -> str:
        """Return where the video of a row lies."""
        return str(self.manifest.path(self.videos[row]))

    def _size(self, video: Video) -> tuple[int, int, int]:
        """Return the number of frames, their height and their width."""
        if video.frames and video.height and video.width:
            return video.frames, video.height, video.width
        found = probe(self.manifest.path(video))
        return found.frames, found.height, found.width
