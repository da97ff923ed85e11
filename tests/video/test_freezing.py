"""Frozen batch normalisation keeps everything it has, in all families of networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from schedplan_video.models.freezing import freeze_batchnorm
from schedplan_video.models.registry import build

FAMILIES = [
    *("p3d_resnet18", "p3d_resnet50", "g_p3d_resnet18", "dg_p3d_resnet18", "lgd_p3d_resnet18"),
    *("i3d_resnet18", "r2plus1d_resnet18", "ircsn_50", "ipcsn_50", "r3d_resnet18"),
    *("r3d_preact_resnet200", "r3d_wide_resnet50", "r3d_resnext101", "r3d_densenet121"),
    *("torchvision/r3d_18", "torchvision/mc3_18", "torchvision/r2plus1d_18"),
]


def make(name: str) -> nn.Module:
    return build(name, 5, width=1.0 if name.startswith("torchvision/") else 0.125)


def trained(model: nn.Module, steps: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        sum(head.square().mean() for head in model(torch.randn(2, 3, 16, 32, 32))).backward()
        optimizer.step()


@pytest.mark.parametrize("name", FAMILIES)
def test_frozen_batchnorm_is_bit_equal_after_training(name: str) -> None:
    model = make(name)
    freeze_batchnorm(model)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    before = [{k: v.clone() for k, v in norm.state_dict().items()} for norm in norms]
    trained(model, 3)
    unchanged = [
        all(torch.equal(norm.state_dict()[key], value) for key, value in old.items())
        for norm, old in zip(norms, before, strict=True)
    ]
    assert unchanged == [False] + [True] * (len(norms) - 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_norm_that_is_not_frozen_is_the_first_to_run(name: str) -> None:
    order = []
    with torch.device("meta"):
        model = make(name)
        freeze_batchnorm(model)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.register_forward_hook(lambda norm, *_: order.append(norm.training))
        model.train()(torch.randn(2, 3, 16, 32, 32))
    assert order == [True] + [False] * (len(order) - 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_freezing_keeps_the_state_dict_and_the_function(dtype: torch.dtype) -> None:
    model = make("p3d_resnet18")
    trained(model, 1)
    model.to(dtype).eval()
    clip = torch.randn(1, 3, 8, 32, 32, dtype=dtype)
    expected, state = model(clip)[0], {k: v.clone() for k, v in model.state_dict().items()}
    freeze_batchnorm(model)
    assert torch.equal(model(clip)[0], expected)
    assert {k: v.tolist() for k, v in model.state_dict().items()} == {
        k: v.tolist() for k, v in state.items()
    }


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_freezing_works_on_the_gpu() -> None:
    model = make("dg_p3d_resnet18").cuda()
    freeze_batchnorm(model)
    assert all(tensor.is_cuda for tensor in model.state_dict().values())
    model(torch.randn(2, 3, 16, 32, 32, device="cuda"))
