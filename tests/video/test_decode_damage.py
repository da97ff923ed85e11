"""What is damaged, odd or hostile ends in frames or a `DecodeError`, in time and without trace."""

from __future__ import annotations

import csv
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from encoding import FORMATS, decode_all, encode, noise
from hypothesis import given, settings
from hypothesis import strategies as st

from schedplan_video.data.decode import DecodeError, probe, read_frames
from schedplan_video.data.decode.timeline import UNKNOWN, Timeline, TimelineCache
from schedplan_video.data.view import View

DATA = os.environ.get("SCHEDPLAN_TEST_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="SCHEDPLAN_TEST_DATA is not set")

TIME_LIMIT = 60.0
SMALL = View(24, 32, top=3, left=5, crop_height=16, crop_width=16)


def data_rows(prefix: str) -> list[dict[str, str]]:
    """Return the rows of the test data's list whose path starts with `prefix`; none without it."""
    if DATA is None:
        return []
    with (Path(DATA) / "MANIFEST.tsv").open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return [row for row in rows if row["path"].startswith(prefix)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    return {name: encode(folder / file, *rest) for name, (file, *rest) in FORMATS.items()}


@pytest.mark.parametrize("content", [None, b"", b"path,label\n", bytes(range(256)) * 40])
def test_what_is_no_video_is_a_decode_error(tmp_path, content):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    for read in (probe, lambda file: read_frames(file, [0], frames=3)):
        with pytest.raises(DecodeError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert caught.value.reason


def test_a_sound_is_a_decode_error(tmp_path):
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode())
    with pytest.raises(DecodeError, match="no video stream"):
        probe(sound)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(FORMATS)),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    flips=st.sampled_from([0, 1, 5, 100]),
    region=st.sampled_from([64, 1024, 1 << 30]),
)
def test_cut_and_flipped_files_end_in_frames_or_a_decode_error(
    videos, name, share, seed, flips, region
):
    path = videos[name]
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    rng = np.random.default_rng(seed)
    content[rng.integers(0, min(region, len(content)), flips)] = rng.integers(0, 256, flips)
    damaged = path.with_name(f"damaged-{path.name}")
    damaged.write_bytes(content[: int(share * len(content)) if flips == 0 else None].tobytes())
    for known in (None, 50):
        try:
            assert probe(damaged, time_limit=TIME_LIMIT).frames > 0
            clip = read_frames(damaged, [0, 30], frames=known, view=SMALL, time_limit=TIME_LIMIT)
        except DecodeError as error:
            assert error.file == damaged
            assert error.reason
        else:
            assert clip.shape == (2, 3, 16, 16)


def png(width: int, height: int) -> bytes:
    """Return a PNG whose header claims a size, with hardly any picture behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    body = zlib.compress(bytes(100))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def test_absurd_sizes_are_refused_before_they_take_memory(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.png").write_bytes(png(60_000, 60_000))
    video = encode(tmp_path / "a.gif", "gif", {}, pictures=noise(3), pix_fmt="rgb8")
    content = video.read_bytes()
    size = (64).to_bytes(2, "little") + (48).to_bytes(2, "little")
    video.write_bytes(content.replace(size, b"\xff\xff\xff\xff"))  # 17 GB of RGBA
    for path in (folder, video):
        with pytest.raises(DecodeError):
            probe(path)


@pytest.mark.parametrize(
    ("height", "width", "fits"), [(4, 8192, False), (640, 16, False), (16, 256, True)]
)
def test_pictures_that_are_all_length_are_refused(tmp_path, height, width, fits):
    pictures = noise(2, height, width)
    path = encode(tmp_path / "a.avi", "rawvideo", {}, pictures=pictures, pix_fmt="bgr24")
    if fits:
        assert probe(path).width == width
        return
    with pytest.raises(DecodeError, match=f"of {width} x {height} pixels are too long"):
        probe(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_file_that_never_answers_takes_no_longer_than_the_limit(tmp_path):
    pipe = tmp_path / "clip.mp4"
    os.mkfifo(pipe)  # FFmpeg hangs in opening it, where nothing can interrupt
    for read in (probe, lambda path, time_limit: read_frames(path, [0], time_limit=time_limit)):
        with pytest.raises(DecodeError, match=r"longer than 0\.2 seconds"):
            read(pipe, time_limit=0.2)
        os.close(os.open(pipe, os.O_WRONLY))  # lets go of the thread that was left behind


def test_a_long_video_is_given_up_in_between(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264", {}, pictures=noise() * 40)
    with pytest.raises(DecodeError, match="longer than"):
        probe(path, time_limit=0.02)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
def test_no_file_is_left_open(videos, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(videos["h264, B-frames"].read_bytes()[:3000])

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def read_everything() -> None:
        for path in (*videos.values(), broken):
            for index in (40, 1000):
                try:
                    read_frames(path, [0, index], frames=50, view=SMALL)
                except DecodeError:
                    assert path == broken or index == 1000

    read_everything()
    before = descriptors()
    for _ in range(15):
        read_everything()
    assert descriptors() == before


@needs_data
@pytest.mark.parametrize("row", data_rows("ut_interaction_set1/")[::12], ids=lambda r: r["path"])
def test_real_avi_files_read_to_the_bit(row):
    path = Path(DATA) / row["path"]
    frames = decode_all(path)
    assert probe(path).frames == len(frames) == int(row["frames_decoded"])
    indices = np.random.default_rng(0).integers(0, len(frames), 12)
    assert torch.equal(read_frames(path, indices, frames=len(frames)), frames[indices])


@needs_data
def test_what_only_the_first_packet_says_counts_for_all():
    # x264 of before 2017 wrote 4:4:4 in its own way, and FFmpeg goes by the version it finds there.
    path = Path(DATA) / "torture" / "imageio__cockatoo.mp4"
    assert torch.equal(
        read_frames(path, [90], frames=280, view=SMALL), read_frames(path, [90], view=SMALL)
    )


@needs_data
@pytest.mark.parametrize("row", data_rows("torture/"), ids=lambda row: row["path"][8:])
def test_every_odd_file_ends_in_frames_or_a_decode_error(row):
    path = Path(DATA) / row["path"]
    count, in_header = int(row["frames_decoded"] or 0), int(row["header_frames"] or 0)
    try:
        # Two of them are long, and their headers are right.
        frames = in_header if in_header > 10_000 else probe(path, time_limit=TIME_LIMIT).frames
        rng = np.random.default_rng(zlib.crc32(path.name.encode()))
        indices = rng.integers(0, min(frames, 300), 3)
        clip = read_frames(path, indices, frames=frames, time_limit=TIME_LIMIT)
    except DecodeError as error:
        assert error.reason
        assert count == 0 or "errors" in row["notes"] or "__invalid__" in path.name
        return
    assert frames >= count
    assert torch.equal(clip, read_frames(path, indices, time_limit=TIME_LIMIT))
    if not row["notes"].count("rotation"):
        assert torch.equal(clip, decode_all(path, int(indices.max()) + 1)[indices])


def test_readings_share_threads(videos):
    path = videos["h264, B-frames"]
    read_frames(path, [3])
    before = threading.active_count()
    for _ in range(5):
        read_frames(path, [3])
    assert threading.active_count() == before
    expected = decode_all(path)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda index: read_frames(path, [index]), range(20)))
    assert torch.equal(torch.cat(found), expected[:20])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_forked_process_reads_as_well(videos):
    path = videos["h264, B-frames"]
    read_frames(path, [3])
    process = multiprocessing.get_context("fork").Process(target=read_frames, args=(path, [3]))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    process.kill()


def test_what_may_pass_is_told_from_what_is_wrong_with_the_file(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DecodeError) as caught:
        probe(tmp_path / "text.mp4")
    assert not caught.value.passing
    video = encode(tmp_path / "a.mp4", "libx264", {}, pictures=noise() * 40)
    with pytest.raises(DecodeError) as caught:
        probe(video, time_limit=0.02)
    assert caught.value.passing


def test_frames_are_let_go_of_without_the_garbage_collector(videos):
    path = videos["h264, B-frames"]
    read_frames(path, [3, 30], frames=50)
    gc.collect()
    gc.disable()
    try:
        for index in range(20):
            read_frames(path, [index, 40], frames=50)
        assert gc.collect() < 20
    finally:
        gc.enable()


def test_timelines_take_a_bounded_room(tmp_path):
    cache = TimelineCache(room=20_000)
    files = [tmp_path / str(number) for number in range(20)]
    times = np.arange(500)
    for file in files:
        file.touch()
        assert cache.get(file) is UNKNOWN
        cache.put(file, Timeline(times, times[:1]))
        cache.put(file, Timeline(times, times[:1]))
    assert [cache.get(file) is not UNKNOWN for file in files] == [False] * 16 + [True] * 4
    files[-1].write_text("changed")
    assert cache.get(files[-1]) is UNKNOWN
    cache.put(files[0], None)
    assert cache.get(files[0]) is None


def test_probing_needs_no_torch():
    program = (
        "import sys, schedplan_video.data.probing, schedplan_video.data.flow as f; f.FlowSettings()"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; assert 'torch' not in sys.modules"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
