"""Clips per second beside torchcodec and decord. Run: python tests/benchmarks/decode.py

The work: from a file, frame numbers and a random view (shorter side 256 to 340, crop of 224 x 224)
to a uint8 clip. Files are H.264 of 340 x 256 and 300 frames, with a keyframe every 250 or 12. Each
clip comes from a file not read before, as in an epoch over a large dataset. All readers take turns
on the same clips; what is told are medians over the rounds and their ratios: of clips per second,
and of processor time for a clip, which is what loaders with a process for each core run out of.
Libraries that are not installed are left out. About 15 minutes on 2 CPU cores.

With `--memory 10000` it reads so many clips instead, and says how memory and open files grow.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch
from torchvision.transforms.v2.functional import resize

from schedplan_video.data.decode import read_frames
from schedplan_video.data.view import View

HEIGHT, WIDTH, FRAMES, CROP = 256, 340, 300, 224
GOPS = (250, 12)
SAMPLINGS = ("consecutive", "uniform")
LENGTHS = (16, 64)
VIDEOS = 4


class Job(NamedTuple):
    """A clip to read."""

    path: Path
    indices: list[int]
    view: View


Reader = Callable[[Job], torch.Tensor]


def ours(job: Job) -> torch.Tensor:
    return read_frames(job.path, job.indices, frames=FRAMES, view=job.view)


def torchcodec_and_torchvision(job: Job) -> torch.Tensor:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(job.path, seek_mode="approximate", num_ffmpeg_threads=1)
    clip = decoder.get_frames_at(job.indices).data
    return cropped(resize(clip, [job.view.height, job.view.width], antialias=True), job.view)


def torchcodec_alone(job: Job) -> torch.Tensor:
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    decoder = VideoDecoder(
        job.path,
        seek_mode="approximate",
        num_ffmpeg_threads=1,
        transforms=[Resize((job.view.height, job.view.width))],
    )
    return cropped(decoder.get_frames_at(job.indices).data, job.view)


def decord_alone(job: Job, threads: int = 1) -> torch.Tensor:
    from decord import VideoReader

    size = {"width": job.view.width, "height": job.view.height}
    clip = VideoReader(str(job.path), num_threads=threads, **size).get_batch(job.indices).asnumpy()
    return cropped(torch.from_numpy(clip).permute(0, 3, 1, 2), job.view)


def decord_with_threads(job: Job) -> torch.Tensor:
    return decord_alone(job, threads=0)  # as many as it likes


READERS: dict[str, list[Reader]] = {
    "torchcodec": [torchcodec_and_torchvision, torchcodec_alone],
    "decord": [decord_alone, decord_with_threads],
}


def cropped(clip: torch.Tensor, view: View) -> torch.Tensor:
    crop = clip[:, :, view.top : view.top + CROP, view.left : view.left + CROP]
    return crop.contiguous(memory_format=torch.channels_last)


def make_video(path: Path, gop: int, seed: int) -> None:
    """Write a pan over a landscape of noise at all scales, with grain."""
    rng = np.random.default_rng(seed)
    land = torch.full((3, HEIGHT + 128, WIDTH + 512), 128.0)
    for octave in range(1, 8):
        coarse = torch.from_numpy(rng.normal(0, 100 / 2**octave, (1, 3, 2**octave, 2**octave)))
        land += torch.nn.functional.interpolate(coarse, land.shape[1:], mode="bicubic")[0]
    land = land.permute(1, 2, 0).numpy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = gop
        for number in range(FRAMES):
            top, left = int(64 + 60 * np.sin(number / 25)), number * 3 // 2
            picture = land[top : top + HEIGHT, left : left + WIDTH]
            picture = (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def make_videos(folder: Path) -> dict[int, list[Path]]:
    """Write the videos and return them by length of GOP."""
    videos = {gop: [folder / f"{gop}-{seed}.mp4" for seed in range(VIDEOS)] for gop in GOPS}
    for gop, paths in videos.items():
        for seed, path in enumerate(paths):
            make_video(path, gop, seed)
    return videos


def make_jobs(videos: list[Path], sampling: str, length: int) -> Iterator[Job]:
    """Draw clips without end, each of a new link to one of the videos."""
    rng = np.random.default_rng(0)
    folder = Path(tempfile.mkdtemp(dir=videos[0].parent))
    for number in itertools.count():
        link = folder / f"{number}.mp4"
        os.link(videos[rng.integers(len(videos))], link)
        short = int(rng.integers(HEIGHT, WIDTH + 1))
        height, width = short, short * WIDTH // HEIGHT
        top, left = int(rng.integers(height - CROP + 1)), int(rng.integers(width - CROP + 1))
        view = View(height, width, top, left, CROP, CROP)
        yield Job(link, draw_indices(sampling, length, rng), view)


def draw_indices(sampling: str, length: int, rng: np.random.Generator) -> list[int]:
    """Draw one run of frames, or runs of 4 from equal parts of the video."""
    runs = 1 if sampling == "consecutive" else length // 4
    part, run = FRAMES // runs, length // runs
    starts = part * np.arange(runs) + rng.integers(0, part - run + 1, runs)
    return (starts[:, None] + np.arange(run)).ravel().tolist()


def read_all(reader: Reader, jobs: list[Job]) -> float:
    """Read clips and return the seconds that processors were busy with them."""
    start = time.process_time()
    for job in jobs:
        clip = reader(job)
        assert (clip.shape, clip.dtype) == ((len(job.indices), 3, CROP, CROP), torch.uint8)
    return time.process_time() - start


def measure(
    pool: ProcessPoolExecutor, processes: int, reader: Reader, jobs: list[Job]
) -> tuple[float, float]:
    """Return clips per second, and clips per second of processor time."""
    start = time.perf_counter()
    parts = [pool.submit(read_all, reader, jobs[part::processes]) for part in range(processes)]
    busy = sum(part.result() for part in parts)
    return len(jobs) / (time.perf_counter() - start), len(jobs) / busy


def compare(videos: dict[int, list[Path]], processes: int, rounds: int, clips: int) -> None:
    """Print what every reader achieves with every kind of clip."""
    installed = (READERS[name] for name in READERS if importlib.util.find_spec(name))
    readers = [ours, *itertools.chain(*installed)]
    with ProcessPoolExecutor(processes, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        for gop, sampling, length in itertools.product(GOPS, SAMPLINGS, LENGTHS):
            jobs = make_jobs(videos[gop], sampling, length)
            found: dict[Reader, list[tuple[float, float]]] = {reader: [] for reader in readers}
            for turn in range(rounds + 1):
                batch = list(itertools.islice(jobs, clips))
                for reader in readers:
                    result = measure(pool, processes, reader, batch)
                    found[reader] += [result] if turn else []  # the first round warms up
            print(f"{processes} process(es), GOP {gop}, {length} frames {sampling}:")
            report({reader: np.median(results, axis=0) for reader, results in found.items()})


def report(medians: dict[Reader, np.ndarray]) -> None:
    for reader, (speed, economy) in medians.items():
        ratio, busy = medians[ours] / (speed, economy)
        print(
            f"    {reader.__name__:26} {speed:6.1f} clips/s (ratio {ratio:.2f}), "
            f"{1000 / economy:6.1f} ms of processor time (ratio {busy:.2f})",
            flush=True,
        )


def measure_growth(videos: dict[int, list[Path]], clips: int) -> None:
    """Print how memory and open files grow over so many clips of all kinds."""
    kinds = list(itertools.product(GOPS, SAMPLINGS, LENGTHS))
    jobs = [make_jobs(videos[gop], sampling, length) for gop, sampling, length in kinds]
    first = None
    for number, one in zip(range(clips + 1), itertools.cycle(jobs), strict=False):
        if number % (clips // 10) == 0 and number:
            memory, descriptors = footprint()
            first = first or (memory, descriptors)
            print(
                f"{number} clips: {memory:.0f} MB, {descriptors} descriptors; since the first line "
                f"{memory - first[0]:+.1f} MB, {descriptors - first[1]:+d} descriptors",
                flush=True,
            )
        read_all(ours, [next(one)])


def footprint() -> tuple[float, int]:
    """Return resident megabytes and open file descriptors of this process; on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list(Path("/proc/self/fd").iterdir()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clips", type=int, default=20, help="of each reader in a round")
    parser.add_argument("--memory", type=int, metavar="CLIPS")
    chosen = parser.parse_args()
    for missing in (name for name in READERS if not importlib.util.find_spec(name)):
        print(f"{missing} is not installed and left out")
    with tempfile.TemporaryDirectory() as folder:
        made = make_videos(Path(folder))
        if chosen.memory:
            measure_growth(made, chosen.memory)
        else:
            compare(made, 1, chosen.rounds, chosen.clips)
            compare(made, 2, chosen.rounds, chosen.clips)
