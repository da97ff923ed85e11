"""Clips of real, tiny videos: which frames, which part of the picture, drawn from what."""

from __future__ import annotations

import pickle

import pytest
import torch

from schedplan.errors import UsageError
from schedplan_video.data.dataset import ClipDataset
from schedplan_video.data.decode import DecodeError, read_frames
from schedplan_video.data.manifest import Manifest, ManifestError, Video, read_manifest
from schedplan_video.data.toy import make_toy
from schedplan_video.data.transforms import EvaluationTransform, TrainingTransform
from schedplan_video.data.view import View

TRAINING = TrainingTransform(crop=24, short_side=(26, 36))
EVALUATION = EvaluationTransform(crop=24, short_side=32)


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Manifest:
    out = tmp_path_factory.mktemp("toy") / "data"
    return read_manifest(make_toy(out, per_class=(1, 1, 1), frames=32, size=32))


def random_clips(manifest: Manifest, seed: int = 0, **options) -> ClipDataset:
    settings = {"sampling": "uniform", "length": 8, "transform": TRAINING} | options
    return ClipDataset(manifest, "train", seed=seed, train=True, **settings)


def fixed_clips(manifest: Manifest, **options) -> ClipDataset:
    settings = {"sampling": "uniform", "length": 8, "transform": EVALUATION} | options
    return ClipDataset(manifest, "train", seed=0, train=False, **settings)


def test_an_item_is_the_clips_of_a_video_its_label_and_its_row(toy):
    dataset = fixed_clips(toy)
    assert len(dataset) == 8
    clips, label, row = dataset[5]
    assert type(clips) is torch.Tensor
    assert (clips.shape, clips.dtype) == ((1, 8, 3, 24, 24), torch.uint8)
    assert (label, row) == (toy.split("train")[5].label, 5)


def test_evaluation_takes_the_centre_clip_in_every_epoch(toy):
    dataset = fixed_clips(toy)
    whole = read_frames(dataset.path(2), [6, 7, 8, 9, 22, 23, 24, 25])
    assert torch.equal(dataset[2][0][0], whole[:, :, 4:28, 4:28])
    assert torch.equal(dataset[(7, 2)][0], dataset[2][0])


def test_several_clips_and_crops_are_those_of_the_whole_video(toy):
    final = EvaluationTransform(crop=32, short_side=32, crops=3)
    dataset = fixed_clips(toy, sampling="consecutive", length=4, clips=3, transform=final)
    clips = dataset[1][0]
    assert clips.shape == (9, 4, 3, 32, 32)
    for clip, first in zip(clips[::3], (0, 14, 28), strict=True):
        assert torch.equal(clip, read_frames(dataset.path(1), range(first, first + 4)))
    assert torch.equal(clips[0], clips[1])  # a square picture has room for one crop only


@pytest.mark.parametrize(("at_once", "sizes"), [(1, [2] * 5), (2, [4, 4, 2]), (5, [10]), (9, [10])])
def test_the_clips_of_a_video_may_come_in_parts(toy, at_once, sizes):
    crops = EvaluationTransform(crop=24, short_side=32, crops=2)
    whole = fixed_clips(toy, clips=5, transform=crops)
    parted = fixed_clips(toy, clips=5, transform=crops, clips_at_once=at_once)
    assert len(parted) == len(sizes) * len(whole)
    items = [parted[(3, 2 * len(sizes) + part)] for part in range(len(sizes))]
    assert [len(clips) for clips, _, _ in items] == sizes
    assert {(label, row) for _, label, row in items} == {whole[2][1:]}
    assert torch.equal(torch.cat([clips for clips, _, _ in items]), whole[2][0])
    paths = {parted.path(2 * len(sizes) + part) for part in range(len(sizes))}
    assert paths == {whole.path(2)}


def test_several_splits_are_one_in_the_files_order(toy):
    both = ClipDataset(
        toy, ["val", "train"], sampling="uniform", length=8, transform=TRAINING, seed=0, train=True
    )
    listed = [video for video in toy.videos if video.split != "test"]
    assert [both.path(row) for row in range(len(both))] == [str(toy.path(v)) for v in listed]
    assert [both[row][1] for row in range(len(both))] == [video.label for video in listed]


def test_the_decoder_carries_out_the_view(toy):
    view = View(40, 50, top=3, left=5, crop_height=24, crop_width=24)

    class Fixed(EvaluationTransform):
        def view(self, height, width, rng):
            return view

    clips = fixed_clips(toy, transform=Fixed(crop=24, short_side=32))[0][0]
    frames = read_frames(toy.path(toy.split("train")[0]), [6, 7, 8, 9, 22, 23, 24, 25], view=view)
    assert torch.equal(clips[0], frames)


def test_training_clips_are_a_function_of_seed_epoch_and_row(toy):
    dataset, again, other = (random_clips(toy, seed) for seed in (0, 0, 1))
    torch.manual_seed(1)
    first = dataset[(3, 4)][0]
    torch.manual_seed(2)
    assert torch.equal(again[(3, 4)][0], first)
    assert not torch.equal(again[(4, 4)][0], first)
    assert not torch.equal(other[(3, 4)][0], first)


def test_the_global_generator_is_left_alone(toy):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    strong = TrainingTransform(crop=24, short_side=(26, 36), augment="strong")
    assert random_clips(toy, transform=strong)[0]
    assert torch.equal(torch.get_rng_state(), state)


def test_a_short_video_is_looped(toy):
    clips = fixed_clips(toy, sampling="consecutive", length=40)[0][0]
    assert torch.equal(clips[0, 32:], clips[0, :8])


def test_a_broken_video_is_named(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    video = Video("broken.mp4", 0, "hug", "train", frames=30, height=32, width=32)
    with pytest.raises(DecodeError) as caught:
        fixed_clips(Manifest(tmp_path, (video,)))[0]
    assert caught.value.file == tmp_path / "broken.mp4"


def test_a_video_that_has_gone_since_is_told(tmp_path):
    video = Video("gone.mp4", 0, "hug", "train", frames=30, height=32, width=32)
    with pytest.raises(DecodeError, match=r"gone\.mp4: listed as ok, but missing now: .* index"):
        fixed_clips(Manifest(tmp_path, (video,)))[0]


def test_a_manifest_without_counts_and_sizes_will_do(toy):
    videos = tuple(Video(v.path, v.label, v.class_name, v.split) for v in toy.videos)
    bare = random_clips(Manifest(toy.folder, videos))
    assert torch.equal(bare[(1, 3)][0], random_clips(toy)[(1, 3)][0])


def test_a_dataset_can_be_sent_to_another_process(toy):
    dataset = random_clips(toy)
    sent = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(sent[(2, 1)][0], dataset[(2, 1)][0])


def test_bad_arguments_are_refused_at_once(toy):
    with pytest.raises(UsageError, match="multiples of 4"):
        fixed_clips(toy, length=6)
    with pytest.raises(UsageError, match="clips cannot be 0"):
        fixed_clips(toy, clips=0)
    with pytest.raises(UsageError, match="clips_at_once is 0; allowed: 1"):
        fixed_clips(toy, clips_at_once=0)
    empty = Manifest(toy.folder, tuple(v for v in toy.videos if v.split == "val"))
    with pytest.raises(ManifestError, match="allowed: val"):
        fixed_clips(empty)
