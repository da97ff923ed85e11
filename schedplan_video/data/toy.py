"""A small real video dataset in which clip length and sampling strategy matter.

Every video shows a moving striped disc that passes through four colours, always in the same cyclic
order. The class is the direction of the stripes (appearance) and the colour at which the cycle
starts (order of events). A short consecutive clip sees one change of colour at most, which nearly
all starts have in common; only a clip that covers the video tells them apart. Position, speed,
size, background, noise, the moments of change and short flashes of other colours are random.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import av
import numpy as np

from schedplan.errors import UsageError

from .manifest import Manifest, Video, write_manifest
from .splits import SPLITS

TEXTURES = ("vertical", "horizontal")
STRIPES = 8
"""Pairs of a bright and a dark stripe across the picture."""
DARK = 0.4
"""Brightness of the dark stripes."""
FLASHES = 5
"""Moments at which a video shows a colour out of turn."""
COLOURS = {
    "red": (230, 40, 40),
    "green": (40, 200, 60),
    "blue": (50, 80, 240),
    "yellow": (235, 220, 50),
}
CLASSES = tuple(f"{texture}_{colour}_first" for texture in TEXTURES for colour in COLOURS)

FPS = 25
KEYFRAME_INTERVAL = 8

_FORMAT = 1  # counts changes of what the same settings give


@dataclass(frozen=True)
class _Settings:
    seed: int
    per_class: tuple[int, int, int]
    frames: int
    size: int

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"seed cannot be {self.seed}", allowed="0 or more")
        if len(self.per_class) != len(SPLITS) or min(self.per_class) < 0 or not sum(self.per_class):
            raise UsageError(
                f"per_class cannot be {self.per_class}",
                allowed=f"a number of videos for each of {', '.join(SPLITS)}",
            )
        if not 16 <= self.frames <= 10_000:  # all of a video are in memory at a time
            raise UsageError(f"frames cannot be {self.frames}", allowed="16 to 10000")
        if not 16 <= self.size <= 1024 or self.size % 2:
            raise UsageError(f"size cannot be {self.size}", allowed="even numbers from 16 to 1024")

    def text(self) -> str:
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"


def make_toy(
    out: str | Path,
    *,
    seed: int = 0,
    per_class: tuple[int, int, int] = (16, 8, 16),
    frames: int = 64,
    size: int = 64,
) -> Path:
    """Write the dataset as H.264 MP4 files with a manifest, or leave it if it is there already.

    It is built beside `out` and then renamed, so that `out` is never half-written.

    Args:
        out: folder to write; must not exist, be empty, or hold this dataset.
        seed: decides everything random.
        per_class: number of train, val and test videos of each of the 8 classes.
        frames: length of a video.
        size: width and height, in pixels.

    Returns:
        the manifest's path, `out/manifest.csv`.

    Raises:
        UsageError: an argument out of bounds, or a folder that holds anything else.

    Example:
        >>> make_toy("toy", seed=0)  # doctest: +SKIP
    """
    out = Path(out).absolute()
    settings = _Settings(seed, tuple(per_class), frames, size)
    if not _is_made(out, settings):
        partial = out.with_name(f".{out.name}.partial-{uuid4().hex}")
        try:
            _write(partial, settings)
            _publish(partial, out, settings)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return out / "manifest.csv"


def _publish(partial: Path, out: Path, settings: _Settings) -> None:
    try:
        if out.exists():
            out.rmdir()  # it is empty; not every system renames onto a folder
        partial.rename(out)
    except OSError:
        if not _is_made(out, settings):  # then another process was not just faster
            raise


def _is_made(out: Path, settings: _Settings) -> bool:
    """Return whether `out` holds the dataset; refuse a folder that holds anything else."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise UsageError("this is no folder", where=str(out))
    if not any(out.iterdir()):
        return False
    record = out / "toy.json"
    if not record.is_file() or not (out / "manifest.csv").is_file():
        raise UsageError(
            "the folder holds something else", where=str(out), hint="name a new folder"
        )
    if record.read_text(encoding="utf-8") != settings.text():
        raise UsageError(
            "the folder holds toy videos with other settings",
            where=str(record),
            hint="name a new folder, or remove this one",
        )
    return True


def _write(folder: Path, settings: _Settings) -> None:
    for split in SPLITS:
        (folder / split).mkdir(parents=True)
    videos = list(_rows(settings))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done in [pool.submit(_write_video, folder, video, settings) for video in videos]:
            done.result()
    write_manifest(Manifest(folder, tuple(videos)), folder / "manifest.csv")
    (folder / "toy.json").write_text(settings.text(), encoding="utf-8")


def _rows(settings: _Settings) -> Iterator[Video]:
    for split, count in zip(SPLITS, settings.per_class, strict=True):
        for label, name in enumerate(CLASSES):
            for number in range(count):
                yield Video(
                    path=f"{split}/{name}_{number:03d}.mp4",
                    label=label,
                    class_name=name,
                    split=split,
                    frames=settings.frames,
                    fps=FPS,
                    width=settings.size,
                    height=settings.size,
                )


def _write_video(folder: Path, video: Video, settings: _Settings) -> None:
    number = int(Path(video.path).stem.rpartition("_")[2])
    rng = np.random.default_rng((settings.seed, SPLITS.index(video.split), video.label, number))
    _encode(folder / video.path, _draw(rng, video.label, settings.frames, settings.size))


def _draw(rng: np.random.Generator, label: int, frames: int, size: int) -> np.ndarray:
    """Return the pictures of one video, uint8 of shape (frames, size, size, 3)."""
    texture, start = divmod(label, len(COLOURS))
    colours = np.roll(np.array(list(COLOURS.values()), dtype=np.float32), -start, axis=0)
    x, y = _offsets(_path(rng, frames), size)
    inside = np.hypot(x, y) < rng.uniform(0.22, 0.3)
    bright = np.sin(2 * np.pi * STRIPES * (x, y)[texture]) > 0
    disc = (
        np.where(bright, 1, DARK).astype(np.float32)[..., None]
        * colours[_phases(rng, frames), None, None]
    )
    pictures = np.where(inside[..., None], disc, _background(rng, size))
    pictures += 4 * rng.standard_normal((frames, size, size, 1), dtype=np.float32)
    return pictures.clip(0, 255).astype(np.uint8)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return one coloured, grainy picture, float32 of shape (size, size, 3)."""
    return (rng.uniform(20, 110, 3) + rng.normal(0, 12, (size, size, 1))).astype(np.float32)


def _phases(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Return which colour of the cycle each frame shows, 0 to 3.

    The changes lie near the quarters of the video; short flashes of any colour disturb them.
    """
    count = len(COLOURS)
    changes = frames * (np.arange(1, count) + rng.uniform(-0.25, 0.25, count - 1)) / count
    phases = np.searchsorted(changes, np.arange(frames), side="right")
    for first in rng.integers(frames, size=FLASHES):
        phases[first : first + frames // 16] = rng.integers(count)
    return phases


def _path(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Return the disc's centre (x, y) in each frame; it bounces between 0.3 and 0.7."""
    walked = rng.uniform(0, 2, 2) + rng.uniform(-1.5, 1.5, 2) * np.linspace(0, 1, frames)[:, None]
    return (0.3 + 0.4 * np.abs(walked % 2 - 1)).astype(np.float32)


def _offsets(centres: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each column (frames, 1, size) and row (frames, size, 1) is from the centre."""
    pixel = (np.arange(size, dtype=np.float32) + 0.5) / size
    x = pixel[None, None, :] - centres[:, 0, None, None]
    y = pixel[None, :, None] - centres[:, 1, None, None]
    return x, y


def _encode(path: Path, pictures: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = KEYFRAME_INTERVAL
        stream.codec_context.thread_count = 1
        # One quantiser throughout: x264's rate control does not give the same bits every time.
        stream.options = {"preset": "veryfast", "qp": "28"}
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
