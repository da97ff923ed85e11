from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from schedplan.errors import UsageError
from schedplan_video.data.dataset import ClipDataset, EpochSampler, loader
from schedplan_video.data.decode import DecodeError, read_frames
from schedplan_video.data.manifest import Manifest, ManifestError, Video, read_manifest
from schedplan_video.data.toy import make_toy
from schedplan_video.data.transforms import evaluation, training


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Manifest:
    out = tmp_path_factory.mktemp("toy") / "data"
    return read_manifest(make_toy(out, per_class=(2, 1, 1), frames=32, size=32))


def clips(manifest: Manifest, *, train: bool, split: str = "train", seed: int = 0) -> ClipDataset:
    view = training(crop=24, short_side=(26, 36)) if train else evaluation(crop=24, short_side=32)
    return ClipDataset(
        manifest, split, sampling="uniform", length=8, transform=view, seed=seed, train=train
    )


def epoch_of(batches, epoch: int) -> list[torch.Tensor]:
    """Return all clips, labels and rows of an epoch."""
    batches.set_epoch(epoch)
    return [torch.cat(part) for part in zip(*batches, strict=True)]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_item_is_a_clip_its_label_and_its_row(toy):
    dataset = clips(toy, train=False)
    assert len(dataset) == 16
    clip, label, row = dataset[5]
    assert type(clip) is torch.Tensor
    assert clip.is_contiguous()
    assert (clip.shape, clip.dtype) == ((8, 3, 24, 24), torch.uint8)
    assert (label, row) == (toy.split("train")[5].label, 5)


def test_evaluation_takes_the_centre_clip_in_every_epoch(toy):
    dataset = clips(toy, train=False)
    whole = read_frames(toy.path(dataset.videos[2]), [6, 7, 8, 9, 22, 23, 24, 25])
    assert torch.equal(dataset[2][0], whole[:, :, 4:28, 4:28])
    assert torch.equal(dataset[(7, 2)][0], dataset[2][0])


def test_training_clips_are_a_function_of_seed_epoch_and_row(toy):
    dataset, again, other = (clips(toy, train=True, seed=seed) for seed in (0, 0, 1))
    torch.manual_seed(1)
    first = dataset[(3, 4)][0]
    torch.manual_seed(2)
    assert torch.equal(again[(3, 4)][0], first)
    assert not torch.equal(again[(4, 4)][0], first)
    assert not torch.equal(other[(3, 4)][0], first)


def test_the_global_generator_is_left_alone(toy):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    clips(toy, train=True)[0]
    assert torch.equal(torch.get_rng_state(), state)


def test_the_number_of_workers_changes_nothing(toy):
    def epochs(workers: int) -> list[list[torch.Tensor]]:
        batches = loader(clips(toy, train=True), 6, workers=workers, shuffle=True, seed=5)
        return [epoch_of(batches, epoch) for epoch in (0, 1, 0)]

    alone, helped = epochs(0), epochs(2)
    assert all(same(*pair) for pair in zip(alone, helped, strict=True))
    assert same(alone[0], alone[2])
    assert alone[0][2].tolist() != alone[1][2].tolist()
    assert sorted(alone[1][2].tolist()) == list(range(16))


def test_evaluation_is_in_order_and_complete(toy):
    batches = loader(clips(toy, train=False), 6, shuffle=False, seed=0)
    assert [len(labels) for _, labels, _ in batches] == [6, 6, 4]
    assert len(batches) == 3
    seen, labels, rows = epoch_of(batches, 0)
    assert seen.shape == (16, 8, 3, 24, 24)
    assert rows.tolist() == list(range(16))
    assert labels.tolist() == [video.label for video in toy.split("train")]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_video_ends_the_epoch_with_its_name(tmp_path, workers):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    manifest = Manifest(tmp_path, (Video("broken.mp4", 0, "hug", "train", frames=30),))
    with pytest.raises(DecodeError) as caught:
        list(loader(clips(manifest, train=True), 2, workers=workers, shuffle=True, seed=0))
    assert caught.value.file == tmp_path / "broken.mp4"
    assert "\n" not in str(caught.value)


def test_a_manifest_without_frame_counts_will_do(toy):
    videos = tuple(Video(v.path, v.label, v.class_name, v.split) for v in toy.videos)
    bare = clips(Manifest(toy.folder, videos), train=True)
    assert torch.equal(bare[(1, 3)][0], clips(toy, train=True)[(1, 3)][0])


def test_a_dataset_can_be_sent_to_another_process(toy):
    dataset = clips(toy, train=True)
    sent = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(sent[(2, 1)][0], dataset[(2, 1)][0])


def test_bad_arguments_are_refused_at_once(toy):
    with pytest.raises(UsageError, match="multiples of 4"):
        ClipDataset(
            toy, "train", sampling="uniform", length=6, transform=evaluation(), seed=0, train=True
        )
    empty = Manifest(toy.folder, tuple(v for v in toy.videos if v.split == "val"))
    with pytest.raises(ManifestError, match="allowed: val"):
        clips(empty, train=True)


def test_shuffled_orders_differ_by_epoch_and_by_seed():
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(50, shuffle=True, seed=seed)
        sampler.epoch = epoch
        return [row for _, row in sampler]

    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    assert sorted(order(0, 0)) == np.arange(50).tolist()
    assert order(1, 2) == order(1, 2)
