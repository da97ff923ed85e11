"""Files that are cut off, have holes or flipped bits do not pass for healthy ones."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from encoding import FRAMES, encode, noise

from schedplan_video.data.decode import DecodeError, each_frame, probe, read_frames

VP9 = {"g": "12", "deadline": "realtime", "cpu-used": "8"}


def with_sound(path: Path, codec: str, options: dict[str, str]) -> Path:
    """Write moving noise with silence beside it."""
    second = np.zeros((1, 960), dtype=np.int16)
    with av.open(str(path), "w") as container:
        pictures = container.add_stream(codec, rate=25, options=options)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("libopus", rate=48000, layout="mono")
        for number, picture in enumerate(noise()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(pictures.encode(frame))
            for part in (2 * number, 2 * number + 1):
                samples = av.AudioFrame.from_ndarray(second, layout="mono", format="s16")
                samples.sample_rate, samples.pts = 48000, 960 * part
                samples.time_base = Fraction(1, 48000)
                container.mux(sound.encode(samples))
        container.mux(pictures.encode())
        container.mux(sound.encode())
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return {
        "mkv": encode(folder / "a.mkv", "libx264", {"g": "12"}),
        "mkv, sound": with_sound(folder / "b.mkv", "libx264", {"g": "12"}),
        "webm": encode(folder / "c.webm", "libvpx-vp9", VP9),
        "webm, sound": with_sound(folder / "d.webm", "libvpx-vp9", VP9),
        "avi": encode(folder / "e.avi", "mpeg4", {"g": "12"}),
        "avi, mjpeg": encode(folder / "f.avi", "mjpeg", {}),
        "flv": encode(folder / "g.flv", "flv", {"g": "12"}),
        "mpg": encode(folder / "h.mpg", "mpeg2video", {"g": "12"}),
        "ts": encode(folder / "i.ts", "libx264", {"g": "12"}),
        "mp4": encode(folder / "j.mp4", "libx264", {"g": "12", "movflags": "faststart"}),
    }


NAMES = ["mkv", "mkv, sound", "webm", "webm, sound", "avi", "avi, mjpeg", "flv", "mpg", "ts", "mp4"]


def changed(path: Path, content: bytes) -> Path:
    other = path.with_name(f"changed{path.suffix}")
    other.write_bytes(content)
    return other


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_file_passes(videos, name):
    assert probe(videos[name]).frames == FRAMES


@pytest.mark.parametrize("share", [0.5, 0.78])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_was_cut_off_does_not_pass_for_a_shorter_one(videos, name, share):
    content = videos[name].read_bytes()
    with pytest.raises(DecodeError):
        probe(changed(videos[name], content[: int(share * len(content)) - 99]))  # inside a frame


@pytest.mark.parametrize("name", ["mkv", "webm", "webm, sound", "avi", "avi, mjpeg", "flv", "ts"])
def test_a_file_of_which_half_never_arrived_does_not_pass(videos, name):
    content = videos[name].read_bytes()
    half = len(content) // 2
    with pytest.raises(DecodeError) as caught:
        probe(changed(videos[name], content[:half] + bytes(len(content) - half)))
    assert not caught.value.passing


def test_damage_that_the_decoder_notices_is_told(videos):
    """Clips do not show what is damaged; those before it are read as ever."""
    path = videos["mp4"]
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][30]
    content = bytearray(path.read_bytes())
    content[packet.pos + packet.size // 4 : packet.pos + packet.size] = bytes(
        packet.size - packet.size // 4
    )
    damaged = changed(path, content)
    with pytest.raises(DecodeError, match="it is damaged") as caught:
        probe(damaged)
    index = caught.value.frame
    assert 20 < index < 40
    for known in (None, FRAMES):
        with pytest.raises(DecodeError, match=f"frame {index}: it is damaged"):
            read_frames(damaged, [0, index], frames=known)
        assert (read_frames(damaged, [0, 5], frames=known) == read_frames(path, [0, 5])).all()
    with pytest.raises(DecodeError, match="it is damaged"):
        list(each_frame(damaged))


def test_a_last_frame_that_stays_long_is_no_cut(tmp_path):
    path = tmp_path / "held.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for number, picture in enumerate(noise(20)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet in packets:
            packet.duration = 1
        packets[-1].duration = 250
        container.mux(packets)
    assert probe(path).frames == 20
