"""Activation checkpointing computes the same, and really keeps less."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from schedplan_video.models.checkpointing import checkpoint_blocks
from schedplan_video.models.freezing import freeze_batchnorm
from schedplan_video.models.registry import build

FAMILIES = [
    *("p3d_resnet18", "dg_p3d_resnet50", "lgd_p3d_resnet18", "i3d_resnet18", "ipcsn_50"),
    *("r3d_preact_resnet200", "r3d_resnext101", "r3d_densenet121"),
    *("torchvision/r2plus1d_18", "torchvision/swin3d_t"),
]


def make(name: str, checkpointed: bool) -> nn.Module:
    torch.manual_seed(0)
    model = build(name, 5, width=1.0 if name.startswith("torchvision/") else 0.125)
    if checkpointed:
        checkpoint_blocks(model)
    return model


def loss_of(model: nn.Module) -> Tensor:
    torch.manual_seed(1)  # of the clips and of dropout
    return sum(head.square().sum() for head in model(torch.randn(2, 3, 16, 32, 32)))


def trained(model: nn.Module) -> dict[str, Tensor]:
    for _ in range(2):
        loss_of(model).backward()
    gradients = {f"{name} gradient": p.grad for name, p in model.named_parameters()}
    return {**model.state_dict(), **gradients}


def assert_equal(one: dict[str, Tensor | None], other: dict[str, Tensor | None]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        equal = (
            other[key] is None
            if value is None
            else torch.allclose(value, other[key], rtol=1e-5, atol=1e-7)
        )
        assert equal, key


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_and_running_statistics_are_the_same(name: str) -> None:
    assert_equal(trained(make(name, True)), trained(make(name, False)))


def test_frozen_statistics_are_left_alone() -> None:
    models = [make("dg_p3d_resnet18", checkpointed) for checkpointed in (True, False)]
    for model in models:
        freeze_batchnorm(model)
    assert_equal(*map(trained, models))


def test_compiled_networks_compute_the_same() -> None:
    models = [make("p3d_resnet18", checkpointed) for checkpointed in (True, False)]
    compiled = [torch.compile(model, backend="aot_eager") for model in models]
    for each in compiled:
        loss_of(each).backward()
    one, other = (
        {**model.state_dict(), **{f"{k} gradient": p.grad for k, p in model.named_parameters()}}
        for model in models
    )
    assert_equal(one, other)


@pytest.mark.parametrize("name", [*FAMILIES, "torchvision/s3d", "torchvision/mvit_v2_s"])
def test_fewer_activations_are_kept(name: str) -> None:
    kept = []
    for checkpointed in (True, False):
        with torch.device("meta"):
            model = make(name, checkpointed)
            frames, side = max(model.clip_size.frames, 16), max(model.clip_size.side, 32)
            clips, sizes = torch.randn(2, 3, frames, side, side), []
            with saved_tensors_hooks(lambda x, sizes=sizes: sizes.append(x.numel()), print):
                model(clips)
        kept.append(sum(sizes))
    assert kept[0] < 0.8 * kept[1]
