"""The networks: that all of them train, what they are made of, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from schedplan.errors import UsageError
from schedplan_video.evaluate import scores
from schedplan_video.models.blocks import Bottleneck, GlobalContext, Subsample
from schedplan_video.models.convolutions import ONE
from schedplan_video.models.csn import preserved_unit, reduced_unit
from schedplan_video.models.i3d import RepeatingUnit
from schedplan_video.models.lgd import Diffusion
from schedplan_video.models.p3d import MIXED, STEM, ParallelUnit, SerialUnit, SkipUnit
from schedplan_video.models.r2plus1d import two_plus_one_unit
from schedplan_video.models.r3d import Preactivation, full_unit
from schedplan_video.models.registry import build, names
from schedplan_video.models.resnet import SPACE, SPACE_TIME, ResNet

COMPARED = ["p3d", "p3da", "p3db", "p3dc", "g_p3d", "dg_p3d", "lgd_p3d", "i3d", "r2plus1d"]
NARROW = 0.125


def small(name: str, classes: int = 5, **options: object) -> nn.Module:
    width = {} if name.startswith("torchvision/") else {"width": NARROW}
    return build(name, classes, **width | options)


def clips_for(network: nn.Module, channels: int = 3) -> torch.Tensor:
    frames, side = max(network.clip_size.frames, 4), max(network.clip_size.side, 32)
    return torch.randn(1 if side > 32 else 2, channels, frames, side, side)


@pytest.mark.parametrize("name", names())
def test_every_network_runs_forward_and_backward(name: str) -> None:
    network = small(name)
    clips = clips_for(network)
    logits = network(clips)
    assert {tuple(head.shape) for head in logits} == {(len(clips), 5)}
    assert len(logits) == (2 if name.startswith(("dg_", "lgd_")) else 1)
    sum(head.square().sum() for head in logits).backward()
    gradients = [p.grad for p in network.parameters() if p.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_the_names_are_those_that_are_promised() -> None:
    r3d = [f"r3d_resnet{depth}" for depth in (18, 34, 50, 101, 152, 200)]
    torchvision = ["mc3_18", "mvit_v1_b", "mvit_v2_s", "r2plus1d_18", "r3d_18", "s3d", "swin3d_b"]
    promised = {
        *(f"{family}_resnet{depth}" for family in COMPARED for depth in (18, 34, 50, 101, 152)),
        *(f"{family}_{depth}" for family in ("ircsn", "ipcsn") for depth in (50, 101, 152)),
        *r3d,
        *("r3d_preact_resnet200", "r3d_wide_resnet50", "r3d_resnext101"),
        *("r3d_densenet121", "r3d_densenet201"),
        *(f"torchvision/{name}" for name in (*torchvision, "swin3d_s", "swin3d_t")),
    }
    assert promised <= set(names())
    assert all(name.startswith("torchvision/") for name in set(names()) - promised)


def test_mixed_types_are_counted_across_stages() -> None:
    resnet = ResNet(depth=50, units=MIXED, stem=STEM, stride=SPACE, channels=8)
    blocks = [block for number in (1, 2, 3, 4) for block in resnet.stage(number)]
    units = [type(unit) for block in blocks for unit in block.branch if type(unit) in MIXED]
    assert units == [MIXED[index % 3] for index in range(16)]


def test_both_heads_have_the_same_types_in_stage_4() -> None:
    temporal, spatial = small("dg_p3d_resnet50").heads
    types = [
        [type(part) for part in stage.modules() if type(part) in MIXED]
        for stage in (temporal.stage, spatial.stage)
    ]
    assert types[0] == types[1] == [ParallelUnit, SkipUnit, SerialUnit]
    shapes = [[p.shape for p in head.parameters()] for head in (temporal, spatial)]
    assert shapes[0] == shapes[1]


def test_p3d_units_follow_their_equations() -> None:
    x, relu = torch.randn(2, 8, 3, 6, 6), functional.relu
    a, b, c = (unit(8, 8, SPACE).eval() for unit in MIXED)
    y = relu(c.norm(c.spatial(x)))
    torch.testing.assert_close(a(x), relu(a.norm(a.temporal(a.spatial(x)))))
    torch.testing.assert_close(b(x), relu(b.norm(b.spatial(x) + b.temporal(x))))
    torch.testing.assert_close(c(x), relu(y + c.temporal(y)))
    assert a(x).shape == b(x).shape == c(x).shape == (2, 8, 3, 3, 3)


@pytest.mark.parametrize(
    "unit",
    [*MIXED, RepeatingUnit, two_plus_one_unit, reduced_unit, preserved_unit, full_unit],
)
def test_only_a_unit_within_a_block_ends_with_a_relu(unit) -> None:
    x = torch.randn(2, 8, 3, 6, 6)
    assert unit(8, 8).eval()(x).min() >= 0
    assert unit(8, 8, activation=nn.Identity).eval()(x).min() < 0


@pytest.mark.parametrize("unit", [two_plus_one_unit, reduced_unit, preserved_unit, full_unit])
def test_units_shorten_time_and_space_by_their_stride(unit) -> None:
    assert unit(8, 8, SPACE)(torch.randn(2, 8, 5, 6, 6)).shape == (2, 8, 5, 3, 3)
    if unit is not two_plus_one_unit:
        assert unit(8, 8, SPACE_TIME)(torch.randn(2, 8, 5, 6, 6)).shape == (2, 8, 3, 3, 3)


def test_r2plus1d_has_no_more_weights_than_a_full_convolution() -> None:
    for channels in ((64, 64), (64, 128), (512, 512)):
        weights = sum(
            part.weight.numel()
            for part in two_plus_one_unit(*channels)
            if isinstance(part, nn.Conv3d)
        )
        most = 27 * channels[0] * channels[1]
        assert most - 9 * channels[0] - 3 * channels[1] < weights <= most


def test_channels_of_a_separated_network_mix_in_pointwise_convolutions_only() -> None:
    for name in ("ircsn_50", "ipcsn_50"):
        for part in small(name).modules():
            if isinstance(part, nn.Conv3d) and part.kernel_size != ONE and part.in_channels != 3:
                assert part.groups == part.in_channels == part.out_channels
            if isinstance(part, nn.BatchNorm3d):
                assert part.eps == 1e-3


def test_new_global_context_changes_nothing_but_learns() -> None:
    x = torch.randn(2, 32, 2, 3, 3)
    context = GlobalContext(32)
    assert torch.equal(context(x), x)
    context(x).square().sum().backward()
    assert context.expand.weight.grad.abs().sum() > 0


def test_a_block_adds_identity_before_its_last_relu() -> None:
    x = torch.randn(2, 32, 2, 4, 4)
    block = Bottleneck(32, 8, ONE, SerialUnit, GlobalContext).eval()
    torch.testing.assert_close(block(x), functional.relu(block.branch(x) + x))


def test_a_preactivated_block_begins_with_a_norm_and_ends_with_the_sum() -> None:
    x = torch.randn(2, 32, 2, 4, 4)
    block = Preactivation(32, 8, ONE, full_unit).eval()
    assert isinstance(block.branch[0], nn.BatchNorm3d)
    torch.testing.assert_close(block(x), block.branch(x) + x)
    assert block(x).min() < 0


def test_shortcut_a_takes_every_second_position_and_adds_zeros() -> None:
    x = torch.randn(2, 4, 4, 6, 6, requires_grad=True)
    y = Subsample(4, 8, SPACE_TIME)(x)
    assert torch.equal(y[:, :4], x[:, :, ::2, ::2, ::2])
    assert y.shape == (2, 8, 2, 3, 3)
    assert not y[:, 4:].any()
    y.sum().backward()
    assert x.grad.sum() == y[:, :4].numel()


def test_the_3d_resnets_have_a_choice_of_shortcuts() -> None:
    counts = {}
    for shortcut in ("A", "B", None):
        network = small("r3d_resnet18", shortcut=shortcut)
        counts[shortcut] = sum(p.numel() for p in network.parameters())
        network(torch.randn(2, 3, 8, 32, 32))[0].sum().backward()
        assert all(p.grad is not None for p in network.parameters())
    assert counts["A"] < counts["B"] == counts[None]


def test_local_and_global_paths_follow_their_equations() -> None:
    block = Diffusion(Bottleneck(32, 8, ONE, SerialUnit)).eval()
    x, g = torch.randn(2, 32, 2, 4, 4), torch.randn(2, 32)
    local, spread = block((x, g))
    expected = functional.relu(block.pooled(x.mean((2, 3, 4))) + block.carried(g))
    torch.testing.assert_close(spread, expected)
    total = block.local.branch(x) + x + block.spread(expected)[:, :, None, None, None]
    torch.testing.assert_close(local, functional.relu(total))


def test_the_global_path_is_classified_while_training_only() -> None:
    network, clips = small("lgd_p3d_resnet18", dropout=0.0), torch.randn(2, 3, 4, 32, 32)
    assert len(network.train()(clips)) == 2
    logits = network.eval()(clips)
    assert len(logits) == len(network.heads) == 1
    torch.testing.assert_close(scores(logits), network.heads[0](network.trunk(clips)).softmax(1))


def test_heads_see_time_and_space_as_drawn() -> None:
    network = small("dg_p3d_resnet18").eval()
    features = network.trunk(torch.zeros(1, 3, 32, 64, 64))
    temporal, spatial = (head.stage(features).shape[2:] for head in network.heads)
    assert tuple(temporal) == (8, 2, 2)
    assert tuple(spatial) == (2, 4, 4)


@pytest.mark.parametrize(
    ("name", "frames", "side", "message"),
    [
        ("dg_p3d_resnet18", 12, 32, r"12 frames.*16 frames or more"),
        ("lgd_p3d_resnet18", 3, 32, r"3 frames.*4 frames or more"),
        ("r3d_densenet121", 14, 32, r"14 frames.*15 frames or more"),
        ("r3d_densenet121", 16, 28, r"28 x 28 pixels.*29 x 29 pixels or more"),
        ("torchvision/s3d", 14, 112, r"112 x 112 pixels.*224 x 224 pixels or more"),
        ("torchvision/mvit_v2_s", 32, 224, r"32 frames.*16 frames$"),
        ("torchvision/mvit_v2_s", 16, 256, r"256 x 256 pixels.*224 x 224 pixels$"),
    ],
)
def test_clips_that_are_too_small_are_refused(name, frames, side, message) -> None:
    with torch.device("meta"):
        network, clips = small(name), torch.zeros(1, 3, frames, side, side)
        with pytest.raises(UsageError, match=message):
            network(clips)


@pytest.mark.parametrize("name", ["p3d_resnet18", "r3d_densenet121", *names()[-9:]])
def test_flow_input_has_two_channels(name: str) -> None:
    with torch.device("meta"):
        network = small(name, in_channels=2)
        assert network(clips_for(network, channels=2))[0].shape[1] == 5


@pytest.mark.parametrize("name", ["p3d_resnet18", "torchvision/r3d_18", "torchvision/swin3d_t"])
def test_dropout_comes_before_the_classifier(name: str) -> None:
    assert [small(name, dropout=0.3).heads[0].dropout.p] == [0.3]


def test_width_scales_channels_in_steps_of_eight() -> None:
    assert build("p3d_resnet18", 5, width=0.01).trunk[0][0].out_channels == 8
    assert build("p3d_resnet18", 5, width=0.4).trunk[0][0].out_channels == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "dg_p3d_resnet51"}, "did you mean 'dg_p3d_resnet50'"),
        ({"name": "torchvision/s3e"}, "did you mean 'torchvision/s3d'"),
        ({"dropout": 1.0}, "dropout is 1.0.*below 1"),
        ({"width": 0.0}, "width is 0.0.*above 0"),
        ({"num_classes": 0}, "num_classes is 0.*1 or more"),
        ({"in_channels": 0}, "in_channels is 0.*1 or more"),
        ({"shortcut": "A"}, "p3d_resnet18 has no choice of shortcuts.*with r3d_resnet18, "),
        ({"name": "r3d_densenet121", "shortcut": "B"}, "no choice of shortcuts"),
        ({"name": "r3d_resnet18", "shortcut": "C"}, "shortcut is 'C'; allowed: A, B"),
        ({"name": "torchvision/r3d_18", "width": 0.5}, "width is 0.5.* one size.*allowed: 1"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(**{"name": "p3d_resnet18", "num_classes": 5} | arguments)
