"""Videos made for tests: small, lossy or not, in many formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

FRAMES = 50

FORMATS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264, short GOP": ("a.mp4", "libx264", {"g": "12", "bf": "0"}),
    "h264, B-frames": ("b.mp4", "libx264", {"g": "12", "bf": "3"}),
    "h264, open GOP": ("c.mkv", "libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}),
    "h264, one GOP": ("d.mp4", "libx264", {"g": "600"}),
    "h264, fragmented": ("e.mp4", "libx264", {"g": "12", "movflags": "frag_keyframe+empty_moov"}),
    "vp9": ("f.webm", "libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    "mpeg4, AVI": ("g.avi", "mpeg4", {"g": "12", "bf": "2"}),
    "mpeg4, MP4": ("h.mp4", "mpeg4", {"g": "12", "bf": "2"}),
    "mjpeg, AVI": ("i.avi", "mjpeg", {}),
    "h264, transport stream": ("j.ts", "libx264", {"g": "12"}),
    "h264, pyramids": ("k.mp4", "libx264", {"x264-params": "keyint=10:bframes=8:b-adapt=0:ref=8"}),
    "h264, no keyframes": ("l.mkv", "libx264", {"x264-params": "intra-refresh=1:keyint=20"}),
    "h264, repaired slowly": (
        "p.mkv",
        "libx264",
        {"x264-params": "intra-refresh=1:keyint=30:bframes=0"},
    ),
    "h264, only keyframes": ("m.mp4", "libx264", {"g": "1"}),
    "h264, interlaced": ("n.mp4", "libx264", {"x264-params": "tff=1:keyint=15"}),
    "hevc, open GOP": ("o.mp4", "libx265", {"x265-params": "keyint=12:log-level=none"}),
}
"""File name, encoder and its options; moving noise of 64 x 48."""


def noise(count: int = FRAMES, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Return pictures (height, width, 3) of moving noise."""
    still = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return [np.roll(still, number, axis=1) for number in range(count)]


def photo(height: int, width: int) -> np.ndarray:
    """Return a picture (height, width, 3) like nature: soft in its colours, sharp in brightness."""
    rng = np.random.default_rng(1)
    coarse = torch.from_numpy(rng.uniform(40, 215, (1, 3, 3, 4)))
    soft = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    picture = soft.permute(1, 2, 0).numpy().copy()
    for _ in range(30):
        top, left = rng.integers(0, height - 20), rng.integers(0, width - 20)
        picture[top : top + 20, left : left + 20] += rng.uniform(-40, 40)
    return picture.clip(0, 255).astype(np.uint8)


def encode(
    path: Path,
    codec: str,
    options: Mapping[str, str],
    times: np.ndarray | None = None,
    pictures: Iterable[np.ndarray] | None = None,
    pix_fmt: str | None = None,
) -> Path:
    """Write RGB pictures, or moving noise; `times` are presentation times in units of 1/100 s."""
    pictures = noise(FRAMES if times is None else len(times)) if pictures is None else pictures
    frames = (av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in pictures)
    return encode_frames(path, codec, options, frames, times, pix_fmt)


def encode_frames(
    path: Path,
    codec: str,
    options: Mapping[str, str],
    frames: Iterable[av.VideoFrame],
    times: np.ndarray | None = None,
    pix_fmt: str | None = None,
) -> Path:
    """Write frames, which say their colours themselves."""
    muxing = {name: value for name, value in options.items() if name == "movflags"}
    with av.open(str(path), "w", options=muxing) as container:
        stream = container.add_stream(codec, rate=25, options=dict(options))
        for number, frame in enumerate(frames):
            if number == 0:
                default = "yuvj420p" if codec == "mjpeg" else "yuv420p"
                stream.width, stream.height = frame.width, frame.height
                stream.pix_fmt = pix_fmt or default
                stream.codec_context.gop_size = int(options.get("g", 12))
                stream.codec_context.colorspace = frame.colorspace
                stream.codec_context.color_range = frame.color_range
            frame.pts = 4 * number if times is None else int(times[number])
            frame.time_base = Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decode_all(path: Path, limit: int | None = None) -> torch.Tensor:
    """Return the frames as stored, uint8 (T, 3, H, W), read in order without this project."""
    with av.open(str(path)) as container:
        frames = []
        for frame in container.decode(container.streams.best("video")):
            frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == limit:
                break
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
