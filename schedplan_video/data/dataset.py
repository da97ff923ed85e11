"""Clips of videos, with a randomness that can be repeated.

A clip is a function of (seed, epoch, row) alone: whoever asks for it says which epoch it is for, so
that worker processes need no state of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from schedplan.errors import UsageError

from .decode import DecodeError, probe, read_frames
from .manifest import Manifest, Video
from .paths import is_there
from .sampling import clip_sampler
from .splits import split_names
from .transforms import Transform

PROBE_TIME_LIMIT = 120.0
"""Seconds that it may take to find out what the manifest does not say of a video."""

Item = tuple[torch.Tensor, int, int]
"""Clips of one video as uint8 of shape (clips, T, C, H, W), its label and its row."""


class ClipDataset(Dataset[Item]):
    """The videos of a split, as clips.

    An item is a video with all of its clips. Where those would take too much memory at once, it is
    a part of them, and the items of a video follow each other.

    Args:
        manifest: the videos. Where it does not say how many frames a video has, or their size, the
            whole video is decoded once by every process to find out.
        split: `train`, `val` or `test`, or several of them.
        sampling: `consecutive` or `uniform`.
        length: frames of a clip.
        stride: temporal stride of consecutive clips.
        clips: clips of a video. If it is evaluated, one is the centre, and several are evenly
            spaced and reach both ends.
        clips_at_once: the most clips of an item; by default all of a video.
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
        split: str | Sequence[str],
        *,
        sampling: str,
        length: int,
        stride: int = 1,
        clips: int = 1,
        clips_at_once: int | None = None,
        transform: Transform,
        seed: int,
        train: bool,
    ) -> None:
        self.manifest = manifest
        self.videos = manifest.split(*split_names(split))
        self.sampler = clip_sampler(sampling, length, stride, clips)
        if clips_at_once is not None and clips_at_once < 1:
            raise UsageError(f"clips_at_once is {clips_at_once}", allowed="1 or more")
        self._at_once = clips_at_once or clips
        self._parts = -(-clips // self._at_once)
        self.transform = transform
        self.seed = seed
        self.train = train
        self._probed: dict[str, tuple[int, int, int]] = {}

    def __len__(self) -> int:
        """Return the number of items: of videos, times the parts of each."""
        return len(self.videos) * self._parts

    def __getitem__(self, key: int | tuple[int, int]) -> Item:
        """Return an item in epoch 0, or that of an (epoch, item).

        Raises:
            DecodeError: the video cannot be decoded.
        """
        epoch, item = key if isinstance(key, tuple) else (0, key)
        row, part = divmod(item, self._parts)
        rng = np.random.default_rng((self.seed, epoch, row))
        video = self.videos[row]
        self._check_there(video)
        frames, height, width = self._size(video)
        indices = self.sampler(frames, rng=rng if self.train else None)
        indices = indices[part * self._at_once : (part + 1) * self._at_once]
        pictures = read_frames(
            self.path(item),
            indices.ravel(),
            frames=frames,
            view=self.transform.view(height, width, rng),
            modality=self.manifest.modality,
        )
        clips = [self.transform(clip, rng) for clip in pictures.unflatten(0, indices.shape)]
        return torch.cat(clips) if len(clips) > 1 else clips[0], video.label, row

    def path(self, item: int) -> str:
        """Return where the video of an item lies."""
        return str(self.manifest.path(self.videos[item // self._parts]))

    def _check_there(self, video: Video) -> None:
        if not is_there(self.manifest.path(video)):
            reason = "listed as ok, but missing now: bring it back, or index again"
            raise DecodeError(self.manifest.path(video), None, reason)

    def _size(self, video: Video) -> tuple[int, int, int]:
        """Return the number of frames, their height and their width."""
        if video.frames and video.height and video.width:
            return video.frames, video.height, video.width
        if video.path not in self._probed:
            found = probe(self.manifest.path(video), time_limit=PROBE_TIME_LIMIT)
            self._probed[video.path] = found.frames, found.height, found.width
        return self._probed[video.path]
