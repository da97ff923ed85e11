"""The networks: sizes, shapes, blocks and frozen batch normalisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from schedplan.errors import UsageError
from schedplan_video.models.blocks import (
    Bottleneck,
    GlobalContext,
    ParallelUnit,
    SerialUnit,
    SkipUnit,
)
from schedplan_video.models.freezing import freeze_batchnorm
from schedplan_video.models.p3d import ResNet
from schedplan_video.models.registry import build, names


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return build(name, 400).eval()


@pytest.mark.parametrize(
    ("name", "millions"),
    [("p3d_resnet50", 28.1), ("dg_p3d_resnet50", 50.4), ("dg_p3d_resnet101", 75.0)],
)
def test_parameters_as_published(name: str, millions: float) -> None:
    count = sum(parameter.numel() for parameter in on_meta(name).parameters())
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("name", "frames", "side", "gmacs"),
    [
        ("dg_p3d_resnet50", 64, 256, 123.4),
        ("dg_p3d_resnet50", 16, 224, 23.6),
        ("dg_p3d_resnet50", 32, 224, 47.2),
        ("dg_p3d_resnet50", 64, 224, 94.5),
        ("dg_p3d_resnet101", 64, 256, 214.7),
    ],
)
def test_multiply_adds_as_published(name: str, frames: int, side: int, gmacs: float) -> None:
    model = on_meta(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, frames, side, side, device="meta"))
    assert round(counter.get_total_flops() / 2e9, 1) == gmacs


@pytest.mark.parametrize("name", names())
def test_every_network_runs_forward_and_backward(name: str) -> None:
    model = build(name, 5, width=0.125)
    logits = model(torch.randn(2, 3, 16, 32, 32))
    assert [tuple(head.shape) for head in logits] == [(2, 5)] * (2 if "dg_" in name else 1)
    sum(head.square().sum() for head in logits).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_every_family_has_every_depth() -> None:
    families = ["dg_p3d", "g_p3d", "p3d", "p3da", "p3db", "p3dc"]
    depths = [18, 34, 50, 101, 152]
    assert set(names()) == {f"{family}_resnet{depth}" for family in families for depth in depths}


def test_mixed_types_are_counted_across_stages() -> None:
    resnet = ResNet(50, (SerialUnit, ParallelUnit, SkipUnit), channels=8)
    blocks = [block for number in (1, 2, 3, 4) for block in resnet.stage(number, 1)]
    units = [type(unit) for block in blocks for unit in block.branch if hasattr(unit, "temporal")]
    assert units == [(SerialUnit, ParallelUnit, SkipUnit)[index % 3] for index in range(16)]


def test_both_heads_have_the_same_types_in_stage_4() -> None:
    temporal, spatial = build("dg_p3d_resnet50", 5, width=0.125).heads
    assert [str(a.branch) for a in temporal.stage][1:] == [str(b.branch) for b in spatial.stage[1]][
        1:
    ]
    shapes = [[p.shape for p in head.parameters()] for head in (temporal, spatial)]
    assert shapes[0] == shapes[1]


def test_units_follow_their_equations() -> None:
    x = torch.randn(2, 8, 3, 6, 6)
    a, b, c = (unit(8, 8, 2).eval() for unit in (SerialUnit, ParallelUnit, SkipUnit))
    y = functional.relu(c.norm(c.spatial(x)))
    torch.testing.assert_close(a(x), a.norm(a.temporal(a.spatial(x))))
    torch.testing.assert_close(b(x), b.norm(b.spatial(x) + b.temporal(x)))
    torch.testing.assert_close(c(x), y + c.temporal(y))
    assert a(x).shape == b(x).shape == c(x).shape == (2, 8, 3, 3, 3)


def test_new_global_context_changes_nothing_but_learns() -> None:
    x = torch.randn(2, 32, 2, 3, 3)
    context = GlobalContext(32)
    assert torch.equal(context(x), x)
    context(x).square().sum().backward()
    assert context.expand.weight.grad.abs().sum() > 0


def test_a_block_adds_identity_before_its_last_relu() -> None:
    x = torch.randn(2, 32, 2, 4, 4)
    block = Bottleneck(32, 8, 1, SerialUnit, GlobalContext).eval()
    torch.testing.assert_close(block(x), functional.relu(block.branch(x) + x))


def test_heads_see_time_and_space_as_drawn() -> None:
    model = build("dg_p3d_resnet18", 5, width=0.125).eval()
    features = model.trunk(torch.zeros(1, 3, 32, 64, 64))
    temporal, spatial = (head.stage(features).shape[2:] for head in model.heads)
    assert tuple(temporal) == (8, 2, 2)
    assert tuple(spatial) == (2, 4, 4)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(UsageError, match=r"12 frames.*16 frames or more"):
        build("dg_p3d_resnet18", 5, width=0.125)(torch.zeros(1, 3, 12, 32, 32))


def test_flow_input_has_two_channels() -> None:
    model = build("p3d_resnet18", 5, width=0.125, in_channels=2)
    assert model(torch.zeros(1, 2, 8, 32, 32))[0].shape == (1, 5)


def test_width_scales_channels_in_steps_of_eight() -> None:
    assert build("p3d_resnet18", 5, width=0.01).trunk[0][0].out_channels == 8
    assert build("p3d_resnet18", 5, width=0.4).trunk[0][0].out_channels == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "dg_p3d_resnet51"}, "did you mean 'dg_p3d_resnet50'"),
        ({"dropout": 1.0}, "dropout is 1.0.*below 1"),
        ({"width": 0.0}, "width is 0.0.*above 0"),
        ({"num_classes": 0}, "num_classes is 0.*1 or more"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(**{"name": "p3d_resnet18", "num_classes": 5} | arguments)


def trained(model: nn.Module, steps: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(steps):
        model.train()
        optimizer.zero_grad()
        sum(head.square().mean() for head in model(torch.randn(2, 3, 16, 32, 32))).backward()
        optimizer.step()


def test_frozen_batchnorm_is_bit_equal_after_training() -> None:
    model = build("dg_p3d_resnet18", 5, width=0.125)
    freeze_batchnorm(model)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    before = [{k: v.clone() for k, v in norm.state_dict().items()} for norm in norms]
    trained(model, 3)
    unchanged = [
        all(torch.equal(norm.state_dict()[key], value) for key, value in old.items())
        for norm, old in zip(norms, before, strict=True)
    ]
    assert unchanged == [False] + [True] * (len(norms) - 1)


def test_freezing_keeps_the_state_dict_and_the_function() -> None:
    model = build("p3d_resnet18", 5, width=0.125)
    trained(model, 1)
    model.eval()
    clip = torch.randn(1, 3, 8, 32, 32)
    expected, state = model(clip)[0], {k: v.clone() for k, v in model.state_dict().items()}
    freeze_batchnorm(model)
    assert torch.equal(model(clip)[0], expected)
    assert {k: v.tolist() for k, v in model.state_dict().items()} == {
        k: v.tolist() for k, v in state.items()
    }


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_freezing_works_on_the_gpu() -> None:
    model = build("dg_p3d_resnet18", 5, width=0.125).cuda()
    freeze_batchnorm(model)
    assert all(tensor.is_cuda for tensor in model.state_dict().values())
    model(torch.randn(2, 3, 16, 32, 32, device="cuda"))
