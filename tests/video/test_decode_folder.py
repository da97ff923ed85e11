from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from encoding import noise, photo
from PIL import Image

from schedplan_video.data.decode import DecodeError, probe, read_frames
from schedplan_video.data.view import View

COUNT = 12


def write(file: Path, picture: np.ndarray) -> Path:
    """Write an image in the format of its name."""
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(file)
    return file


def fill(folder: Path, name: str, first: int = 1) -> Path:
    """Write moving noise as images whose names are `name`, formatted with their number."""
    for number, picture in enumerate(noise(COUNT), start=first):
        write(folder / name.format(number), picture)
    return folder


@pytest.mark.parametrize("name", ["{:05d}.png", "img_{}.png", "{}.PNG", "7_frame{:03d}x.png"])
@pytest.mark.parametrize("first", [0, 1, 95])
def test_frames_are_the_images_by_number(tmp_path, name, first):
    folder = fill(tmp_path / "clip", name, first)
    (folder / "notes.txt").write_text("none")
    (folder / ".1.png").write_text("hidden")
    info = probe(folder)
    assert info == (COUNT, None, 64, 48, None, 0)
    indices = [11, 0, 2, 2]
    pictures = np.stack(noise(COUNT))[indices]
    clip = read_frames(folder, indices, frames=info.frames)
    assert torch.equal(clip, torch.from_numpy(pictures).permute(0, 3, 1, 2))


@pytest.mark.parametrize("name", ["{:05d}.jpg", "{}.JPEG"])
def test_jpegs_are_near_what_pillow_decodes(tmp_path, name):
    file = write(tmp_path / "clip" / name.format(1), photo(96, 128))
    seen = read_frames(tmp_path / "clip", [0])[0].permute(1, 2, 0).numpy()
    assert np.abs(seen - np.asarray(Image.open(file), dtype=float)).mean() < 2


def test_a_view_works_as_for_videos(tmp_path):
    folder = fill(tmp_path / "clip", "{}.png")
    view = View(72, 96, top=11, left=13, crop_height=41, crop_width=51)
    whole = read_frames(folder, [3], view=View(72, 96, 0, 0, 72, 96))
    assert torch.equal(read_frames(folder, [3], view=view), whole[..., 11:52, 13:64])


def test_a_number_left_out_is_named(tmp_path):
    folder = fill(tmp_path / "clip", "{:03d}.png")
    (folder / "007.png").unlink()
    for read in (probe, lambda path: read_frames(path, [0])):
        with pytest.raises(DecodeError, match="number 7 is missing"):
            read(folder)


def test_a_number_twice_is_named(tmp_path):
    folder = fill(tmp_path / "clip", "x_{}.png")
    write(folder / "y_03.jpg", photo(48, 64))
    with pytest.raises(DecodeError, match=r"x_3\.png and y_03\.jpg have the same number"):
        probe(folder)


def test_folders_without_numbered_images_are_decode_errors(tmp_path):
    with pytest.raises(DecodeError, match="no image"):
        probe(tmp_path)
    write(tmp_path / "cover.png", photo(48, 64))
    with pytest.raises(DecodeError, match=r"cover\.png has no number"):
        probe(tmp_path)


def test_a_frame_past_the_end_is_a_decode_error(tmp_path):
    folder = fill(tmp_path / "clip", "{}.png")
    with pytest.raises(DecodeError, match="ends after 12 frames") as caught:
        read_frames(folder, [3, 12])
    assert caught.value.frame == 12


@pytest.mark.parametrize("name", ["{}.png", "{}.jpg"])
@pytest.mark.parametrize("keep", [0, 3, 0.5])
def test_a_damaged_image_is_named(tmp_path, name, keep):
    folder = fill(tmp_path / "clip", name)
    file = folder / name.format(5)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(DecodeError, match=rf"frame 4: 5\.{file.suffix[1:]}: ") as caught:
        probe(folder)
    assert (caught.value.file, caught.value.frame) == (folder, 4)
    assert read_frames(folder, [3]).shape == (1, 3, 48, 64)
