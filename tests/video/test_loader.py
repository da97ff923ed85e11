"""Batches: whoever reads them, they are the same; and what is said when videos are not read."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from schedplan.errors import UsageError
from schedplan_video.data.dataset import ClipDataset
from schedplan_video.data.decode import DecodeError
from schedplan_video.data.loader import ClipLoader, LoaderError
from schedplan_video.data.manifest import Manifest, Video, read_manifest
from schedplan_video.data.toy import make_toy
from schedplan_video.data.transforms import EvaluationTransform, TrainingTransform


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Manifest:
    out = tmp_path_factory.mktemp("toy") / "data"
    return read_manifest(make_toy(out, per_class=(2, 1, 0), frames=24, size=32))


def random_clips(manifest: Manifest, seed: int = 0) -> ClipDataset:
    transform = TrainingTransform(crop=24, short_side=(26, 36))
    return ClipDataset(
        manifest, "train", sampling="uniform", length=8, transform=transform, seed=seed, train=True
    )


def centre_clips(manifest: Manifest, **options) -> ClipDataset:
    settings = {"length": 8, "transform": EvaluationTransform(crop=24, short_side=32)} | options
    return ClipDataset(manifest, "train", sampling="uniform", seed=0, train=False, **settings)


def epoch_of(loader: ClipLoader, number: int = 0) -> list[torch.Tensor]:
    """Return all clips, labels and rows of an epoch."""
    with loader.epoch(number) as batches:
        return [torch.cat(part) for part in zip(*batches, strict=True)]


def rows_of(loader: ClipLoader, number: int = 0) -> list[list[int]]:
    with loader.epoch(number) as batches:
        return [rows.tolist() for _, _, rows in batches]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_number_of_workers_changes_nothing(toy):
    def epochs(workers: int) -> list[list[torch.Tensor]]:
        loader = ClipLoader(random_clips(toy, seed=5), 6, workers=workers)
        return [epoch_of(loader, number) for number in (0, 1, 0)]

    alone, helped = epochs(0), epochs(2)
    assert all(same(*pair) for pair in zip(alone, helped, strict=True))
    assert same(alone[0], alone[2])
    assert alone[0][2].tolist() != alone[1][2].tolist()
    assert sorted(alone[1][2].tolist()) == list(range(16))


def test_evaluation_is_in_order_and_complete(toy):
    loader = ClipLoader(centre_clips(toy), 6)
    assert rows_of(loader) == [[*range(6)], [*range(6, 12)], [*range(12, 16)]]
    assert len(loader) == 3
    clips, labels, _ = epoch_of(loader)
    assert (clips.shape, clips.dtype) == ((16, 8, 3, 24, 24), torch.uint8)
    assert torch.equal(clips[7], centre_clips(toy)[7][0][0])
    assert labels.tolist() == [video.label for video in toy.split("train")]


def test_all_clips_of_a_video_stand_together(toy):
    dataset = centre_clips(toy, clips=3)
    with ClipLoader(dataset, 2).epoch() as batches:
        clips, labels, rows = next(batches)
    assert rows.tolist() == [0, 0, 0, 1, 1, 1]
    assert labels.tolist() == [toy.videos[row].label for row in rows]
    assert torch.equal(clips, torch.cat([dataset[0][0], dataset[1][0]]))


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_take_the_batches_of_a_single_one_in_turn(toy, world_size):
    def batches(rank: int, ranks: int) -> list[list[torch.Tensor]]:
        loader = ClipLoader(random_clips(toy), 2, rank=rank, world_size=ranks)
        with loader.epoch(4) as batches:
            return list(batches)

    alone = batches(0, 1)
    for rank in range(world_size):
        dealt = batches(rank, world_size)
        assert all(same(*pair) for pair in zip(dealt, alone[rank::world_size], strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_global_generator_is_left_alone(toy, workers):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    rows_of(ClipLoader(random_clips(toy), 8, workers=workers))
    assert torch.equal(torch.get_rng_state(), state)


def test_an_epoch_may_be_left_early(toy):
    loader = ClipLoader(random_clips(toy), 4, workers=1)
    with loader.epoch(0) as batches:
        next(batches)
    assert rows_of(loader, 1) == rows_of(ClipLoader(random_clips(toy), 4), 1)


def test_an_error_of_the_one_who_trains_passes(toy):
    loader = ClipLoader(random_clips(toy), 4)
    with pytest.raises(RuntimeError, match="mine"), loader.epoch() as batches:
        next(batches)
        raise RuntimeError("mine")


def listing(folder: Path) -> Manifest:
    """Return a manifest of a video that is yet to be made."""
    video = Video("it.mp4", 0, "hug", "train", frames=30, height=32, width=32)
    return Manifest(folder, (video,))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_video_ends_the_epoch_with_its_name(tmp_path, workers):
    (tmp_path / "it.mp4").write_bytes(b"no video")
    with pytest.raises(DecodeError) as caught:
        rows_of(ClipLoader(random_clips(listing(tmp_path)), 2, workers=workers))
    assert caught.value.file == tmp_path / "it.mp4"
    assert "\n" not in str(caught.value)


@pytest.fixture
def silent(tmp_path):
    """A manifest whose only video gives no byte, as on a network share that has gone away.

    Its reader waits until the test has ended.
    """
    pipe = tmp_path / "it.mp4"
    os.mkfifo(pipe)
    yield listing(tmp_path)
    writer = os.open(pipe, os.O_RDWR)
    pipe.unlink()  # before the reader tries again
    os.close(writer)


def test_a_worker_that_hangs_is_given_up_with_rank_and_file(silent):
    loader = ClipLoader(centre_clips(silent), 1, workers=1, time_limit=1, rank=0, world_size=2)
    with (
        pytest.raises(LoaderError, match=r"rank 0: no batch .* 1 seconds; being read: /.*/it\.mp4"),
        loader.epoch() as batches,
    ):
        next(batches)


def kill_worker(others: list[multiprocessing.Process]) -> None:
    """Kill the one child process that is not among `others`."""
    (worker,) = set(multiprocessing.active_children()) - set(others)
    os.kill(worker.pid, signal.SIGKILL)


def test_a_killed_worker_is_told_with_its_file(silent):
    others = multiprocessing.active_children()
    loader = ClipLoader(centre_clips(silent), 1, workers=1)
    with (
        pytest.raises(LoaderError, match=r"^a worker .* died; being read: /.*it\.mp4"),
        loader.epoch() as batches,
    ):
        writer = os.open(silent.folder / "it.mp4", os.O_WRONLY)  # waits until the worker reads
        kill_worker(others)
        try:
            next(batches)
        finally:
            os.close(writer)


def test_a_loader_goes_on_after_a_worker_has_died_where_nobody_waited_for_it(toy):
    others = multiprocessing.active_children()
    loader = ClipLoader(random_clips(toy), 2, workers=1)
    with pytest.raises(LoaderError, match="a worker process has died"), loader.epoch() as batches:
        next(batches)
        kill_worker(others)
        list(batches)
    assert rows_of(loader, 1) == rows_of(ClipLoader(random_clips(toy), 2), 1)


def test_workers_end_with_the_process_they_work_for(silent, tmp_path):
    """The file is open for as long as a worker reads it."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "sys.path.append(sys.argv[1])\n"
        "from test_loader import ClipLoader, centre_clips, listing\n"
        "if __name__ == '__main__':\n"
        "    loader = ClipLoader(centre_clips(listing(Path(sys.argv[2]))), 1, workers=1)\n"
        "    with loader.epoch():\n"
        "        os.open(Path(sys.argv[2]) / 'it.mp4', os.O_WRONLY)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, str(program), str(Path(__file__).parent), str(silent.folder)]
    assert subprocess.run(command, timeout=120).returncode == -signal.SIGKILL
    for _ in range(600):
        try:
            os.close(os.open(silent.folder / "it.mp4", os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return  # nobody reads
        time.sleep(0.05)
    raise AssertionError("a worker lives on")


@pytest.mark.parametrize("workers", [0, 1])
def test_one_epoch_is_open_at_a_time(toy, workers):
    loader = ClipLoader(centre_clips(toy), 4, workers=workers)
    with loader.epoch(3) as batches:
        next(batches)
        with pytest.raises(UsageError, match="epoch 3 of this loader is still open"):
            rows_of(loader, 4)
        assert len(list(batches)) == 3
    assert len(rows_of(loader, 4)) == 4
    with loader.epoch(5) as batches:
        next(batches)
    assert list(batches) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; allowed: whole numbers of at least 1"),
        ({"workers": -1}, "workers is -1; allowed: whole numbers of at least 0"),
        *(
            ({"time_limit": limit}, f"time_limit is {limit!r}; allowed: numbers from 1 to 604800")
            for limit in (0, math.inf, math.nan, 604801, "300")
        ),
        ({"world_size": 17}, "16 videos cannot be shared out to 17 ranks"),
    ],
)
def test_bad_arguments_are_refused_at_once(toy, options, message):
    with pytest.raises(UsageError, match=message):
        ClipLoader(random_clips(toy), **{"batch_size": 2} | options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pinned_batches_reach_the_gpu_as_they_are(toy):
    with ClipLoader(centre_clips(toy), 4, workers=1, pin_memory=True).epoch() as batches:
        clips, labels, rows = next(batches)
    assert clips.is_pinned() and labels.is_pinned()
    moved = clips.to("cuda", non_blocking=True)
    torch.cuda.synchronize()
    expected = torch.cat([centre_clips(toy)[row][0] for row in rows.tolist()])
    assert torch.equal(moved.cpu(), expected)
