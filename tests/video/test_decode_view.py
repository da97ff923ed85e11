from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.format import names
from encoding import decode_all, encode, encode_frames, photo
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2.functional import resize

from schedplan.errors import UsageError
from schedplan_video.data.decode import DecodeError, probe, read_frames
from schedplan_video.data.view import View

HEIGHT, WIDTH = 120, 160


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    still = photo(HEIGHT, WIDTH)
    pictures = [np.roll(still, 3 * number, axis=1) for number in range(20)]
    path = tmp_path_factory.mktemp("view") / "a.mp4"
    return encode(path, "libx264", {"g": "12", "crf": "10"}, pictures=pictures)


@st.composite
def views(draw: st.DrawFn) -> View:
    """Draw scales from a third to twice, and any crop."""
    height, width = draw(st.integers(40, 240)), draw(st.integers(53, 320))
    crop_height, crop_width = draw(st.integers(1, height)), draw(st.integers(1, width))
    top = draw(st.integers(0, height - crop_height))
    left = draw(st.integers(0, width - crop_width))
    return View(height, width, top, left, crop_height, crop_width)


def whole(height: int, width: int) -> View:
    return View(height, width, 0, 0, height, width)


def scaled_and_cropped(frames: torch.Tensor, view: View) -> torch.Tensor:
    """Return the view of RGB frames as torchvision makes it."""
    rows = slice(view.top, view.top + view.crop_height)
    columns = slice(view.left, view.left + view.crop_width)
    return resize(frames, [view.height, view.width], antialias=True)[..., rows, columns]


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the mean absolute difference, in levels of 255."""
    return (one.float() - other.float()).abs().mean().item()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 10, 0, 0, 1, 1), "height of a view cannot be 0"),
        ((10, 10, -1, 0, 5, 5), "top of a view cannot be -1"),
        ((10, 10, 0, 0, 5, 0), "crop_width of a view cannot be 0"),
        ((10, 10, 6, 0, 5, 5), "leaves the picture"),
        ((10, 10, 0, 1, 5, 10), "leaves the picture"),
    ],
)
def test_impossible_views_are_refused(numbers, message):
    with pytest.raises(UsageError, match=message):
        View(*numbers)


@pytest.mark.parametrize("size", [(120, 160), (240, 320), (150, 201), (90, 120), (61, 80)])
def test_a_scaled_picture_is_near_torchvisions(video, size):
    native = decode_all(video)[[4]]
    seen = read_frames(video, [4], view=whole(*size))
    assert difference(seen, scaled_and_cropped(native, whole(*size))) < 2


@settings(max_examples=40, deadline=None)
@given(view=views())
def test_a_crop_is_a_part_of_the_scaled_picture(video, view):
    all_of_it = read_frames(video, [0, 7], view=whole(view.height, view.width))
    crop = read_frames(video, [0, 7], view=view)
    assert crop.shape == (2, 3, view.crop_height, view.crop_width)
    rows = slice(view.top, view.top + view.crop_height)
    columns = slice(view.left, view.left + view.crop_width)
    assert torch.equal(crop, all_of_it[..., rows, columns])


@settings(max_examples=20, deadline=None)
@given(view=views(), indices=st.lists(st.integers(0, 19), min_size=1, max_size=6))
def test_a_view_shows_the_same_however_a_frame_is_reached(video, view, indices):
    together = read_frames(video, indices, frames=20, view=view)
    for place, index in enumerate(indices):
        assert torch.equal(read_frames(video, [index], view=view)[0], together[place])


NOT_SHOWN = {"rgb4", "bgr4"}  # swscale writes them and does not read them


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> dict[str, Path]:
    """Write a picture in every pixel format that NUT has, which has the most, and some others."""
    folder, made = tmp_path_factory.mktemp("raw"), {}
    picture = av.VideoFrame.from_ndarray(photo(72, 102), format="rgb24")
    for name in sorted(names - NOT_SHOWN):
        path = folder / f"{name}.nut"
        try:
            frame = picture.reformat(format=name)
            encode_frames(path, "rawvideo", {}, [frame], pix_fmt=name)
            with av.open(str(path)) as container:
                if container.streams.video[0].codec_context.pix_fmt == name:
                    made[name] = path
        except (av.FFmpegError, OSError):  # nothing makes such frames, or writes them
            pass
    for file, codec, name in (("b.mkv", "ffv1", "yuv440p10le"), ("c.avi", "mjpeg", "yuvj422p")):
        made[name] = encode(folder / file, codec, {}, pictures=[photo(72, 102)], pix_fmt=name)
    made["grayf32le"] = folder / "d.pfm"
    levels = photo(72, 102)[::-1, :, 0] / np.float32(255)
    made["grayf32le"].write_bytes(b"Pf\n102 72\n-1.0\n" + levels.astype("<f4").tobytes())
    assert len(made) > 120
    return made


def test_any_pixel_format_becomes_rgb(raw):
    view = View(100, 145, top=31, left=43, crop_height=51, crop_width=78)
    for name, path in raw.items():
        stored = decode_all(path)
        assert difference(read_frames(path, [0]), stored) < 0.5, name
        seen = read_frames(path, [0], view=view)
        assert difference(seen, scaled_and_cropped(stored, view)) < 3, name


@pytest.mark.parametrize("size", [(72, 102), (95, 144)])
def test_a_part_is_the_same_alone_in_any_pixel_format(raw, size):
    for name, path in raw.items():
        all_of_it = read_frames(path, [0], view=whole(*size))
        for height, width in ((32, 54), (32, 53), (31, 54), (31, 53)):
            part = read_frames(path, [0], view=View(*size, 21, 30, height, width))
            same = all_of_it[..., 21 : 21 + height, 30 : 30 + width]
            assert (part.int() - same.int()).abs().max() <= 3, name


@pytest.mark.parametrize("name", sorted(NOT_SHOWN))
def test_pixels_that_cannot_be_shown_are_a_decode_error(tmp_path, name):
    path = tmp_path / "a.nut"
    encode_frames(path, "rawvideo", {}, [av.VideoFrame(64, 48, name)], pix_fmt=name)
    with pytest.raises(DecodeError, match=f"its pixels are {name}, which cannot be shown"):
        probe(path)
    for view in (None, whole(40, 50)):
        with pytest.raises(DecodeError, match=f"its pixels are {name}, which cannot be shown"):
            read_frames(path, [0], view=view)


BT601, BT709, BT2020 = 5, 1, 9
LIMITED, FULL = 1, 2


@pytest.mark.parametrize(
    ("pix_fmt", "matrix", "colour_range", "red"),
    [
        ("yuv420p", 2, 0, (81, 90, 240)),  # nothing is said: BT.601, limited
        ("yuv420p", BT601, LIMITED, (81, 90, 240)),
        ("yuv420p", BT709, LIMITED, (63, 102, 240)),
        ("yuv420p", BT2020, LIMITED, (74, 97, 240)),
        ("yuv420p", BT601, FULL, (76, 85, 255)),
        ("yuv444p", BT709, FULL, (54, 99, 255)),
        ("yuv420p10le", BT709, LIMITED, (250, 409, 960)),
        ("yuv420p10le", BT2020, LIMITED, (294, 387, 960)),
        ("yuv420p10le", BT709, FULL, (217, 395, 1023)),
    ],
)
def test_colours_are_those_that_the_stream_says(tmp_path, pix_fmt, matrix, colour_range, red):
    frame = av.VideoFrame(64, 48, pix_fmt)
    for plane, value in zip(frame.planes, red, strict=True):
        kind = np.uint16 if "10" in pix_fmt else np.uint8
        np.frombuffer(plane, dtype=kind)[:] = value
    frame.colorspace, frame.color_range = matrix, colour_range
    path = encode_frames(tmp_path / "a.mkv", "ffv1", {}, [frame], pix_fmt=pix_fmt)
    expected = torch.tensor([255, 0, 0]).view(1, 3, 1, 1)
    for view in (None, whole(60, 90)):
        seen = read_frames(path, [0], view=view).int()
        assert (seen - expected).abs().max() <= 4


def turned(path: Path, matrix: tuple[int, int, int, int], target: Path) -> Path:
    """Copy an MP4 file with another display matrix (a, b, c, d) in its track header."""
    content = path.read_bytes()
    start = content.index(b"tkhd") + 44
    a, b, c, d = (number << 16 for number in matrix)
    values = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], dtype=">i4").tobytes()
    target.write_bytes(content[:start] + values + content[start + len(values) :])
    return target


SIGNS = list(itertools.product([1, -1], repeat=2))


@pytest.mark.parametrize(
    "matrix", [(a, 0, 0, d) for a, d in SIGNS] + [(0, b, c, 0) for b, c in SIGNS]
)
def test_frames_are_shown_upright(video, tmp_path, matrix):
    a, b, c, d = matrix
    path = turned(video, matrix, tmp_path / "turned.mp4")
    stored = decode_all(path)[:3]
    # Column p and row q of the stored picture are shown at column a p + c q and row b p + d q.
    shown = stored if a else stored.transpose(2, 3)
    shown = shown.flip(3) if a + c < 0 else shown
    shown = shown.flip(2) if b + d < 0 else shown
    assert torch.equal(read_frames(path, range(3)), shown)
    info = probe(path)
    assert (info.height, info.width) == shown.shape[2:]
    view = View(100, 134, top=21, left=13, crop_height=41, crop_width=77)
    seen = read_frames(path, range(3), view=view)
    assert difference(seen, scaled_and_cropped(shown, view)) < 2


@pytest.mark.parametrize(
    ("matrix", "rotation"),
    [((1, 0, 0, 1), 0), ((0, 1, -1, 0), 90), ((-1, 0, 0, -1), 180), ((0, -1, 1, 0), 270)],
)
def test_the_rotation_is_clockwise(video, tmp_path, matrix, rotation):
    assert probe(turned(video, matrix, tmp_path / "turned.mp4")).rotation == rotation


def test_angles_between_are_not_applied(video, tmp_path):
    path = turned(video, (1, 1, -1, 1), tmp_path / "turned.mp4")
    assert probe(path).rotation == 0
    assert torch.equal(read_frames(path, [0]), decode_all(path)[:1])


def test_frames_of_several_sizes_need_a_view(tmp_path):
    path = tmp_path / "both.mjpeg"
    with path.open("wb") as file:
        for width in (64, 64, 96):
            Image.fromarray(photo(48, width)).save(file, "jpeg")
    assert probe(path)[:4] == (3, 25, 64, 48)
    with pytest.raises(DecodeError, match="frame 2: its frames differ in size"):
        read_frames(path, [0, 2])
    assert read_frames(path, [0, 2], view=whole(30, 40)).shape == (2, 3, 30, 40)
