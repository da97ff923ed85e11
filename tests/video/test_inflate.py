"""2D > 3D initialisation, and weights of trained networks for other input and other classes."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from schedplan.errors import UsageError
from schedplan_video.models.inflate import inflate, transfer
from schedplan_video.models.registry import build
from schedplan_video.models.torchvision_video import rename_weights


def image_network(depth: int) -> nn.Module:
    """A 2D ResNet with weights and statistics as if it were trained."""
    torch.manual_seed(depth)
    network = torchvision.models.get_model(f"resnet{depth}")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


def image_features(network: nn.Module, image: Tensor) -> Tensor:
    body = nn.Sequential(*list(network.children())[:-1])
    return body(image).flatten(1)


@pytest.fixture(scope="module")
def image_networks() -> dict[int, nn.Module]:
    return {depth: image_network(depth) for depth in (18, 50)}


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("family", ["p3d", "p3da", "p3db", "p3dc", "g_p3d", "dg_p3d", "i3d"])
@torch.no_grad()
def test_a_still_picture_has_the_features_of_the_2d_network(image_networks, family, depth) -> None:
    image = torch.randn(2, 3, 64, 64)
    expected = image_features(image_networks[depth], image)
    network = build(f"{family}_resnet{depth}", 5).eval()
    inflate(network, image_networks[depth].state_dict())
    still = image[:, :, None].expand(-1, -1, 16, -1, -1)
    found = network.heads[0].features(network.trunk(still))
    assert expected.abs().mean() > 0.05
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_every_time_step_equals_the_picture_at_both_ends_too(image_networks) -> None:
    network = build("i3d_resnet18", 5).eval()
    inflate(network, image_networks[18].state_dict())
    still = torch.randn(1, 3, 1, 64, 64).expand(-1, -1, 16, -1, -1)
    maps = network.trunk(still)
    torch.testing.assert_close(maps, maps[:, :, :1].expand_as(maps), rtol=1e-4, atol=1e-4)


def test_the_second_stage_4_is_a_copy_of_the_first(image_networks) -> None:
    network = build("dg_p3d_resnet18", 5)
    inflate(network, image_networks[18].state_dict())
    temporal, spatial = network.heads[0].stage, network.heads[1].stage[1]
    one, other = temporal.state_dict(), spatial.state_dict()
    shared = [key for key in one if ".context." not in key]
    assert all(torch.equal(one[key], other[key]) for key in shared)
    assert shared


@torch.no_grad()
def test_a_global_path_is_added_to_the_inflated_local_one(image_networks) -> None:
    image = torch.randn(1, 3, 64, 64)
    network = build("lgd_p3d_resnet18", 5).eval()
    inflate(network, image_networks[18].state_dict())
    for name, parameter in network.named_parameters():
        if ".spread." in name:
            nn.init.zeros_(parameter)
    still = image[:, :, None].expand(-1, -1, 16, -1, -1)
    found = network.heads[0].features(network.trunk(still))
    expected = image_features(image_networks[18], image)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_flow_network_sees_the_mean_of_the_colours(image_networks) -> None:
    kernel = image_networks[18].conv1.weight
    network = build("p3d_resnet18", 5, in_channels=2)
    inflate(network, image_networks[18].state_dict())
    weight = network.trunk[0][0].weight
    assert weight.shape == (64, 2, 4, 7, 7)
    for channel in (0, 1):
        assert torch.equal(weight[:, channel, 2], kernel.mean(dim=1))
    assert not weight[:, :, [0, 1, 3]].any()


def test_inflated_networks_train(image_networks) -> None:
    network = build("p3d_resnet18", 5)
    inflate(network, image_networks[18].state_dict())
    network(torch.randn(1, 3, 8, 32, 32))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "width", "change", "message"),
    [
        ("r3d_resnet18", 1.0, {}, r"cannot start from .* a 2D ResNet; allowed: p3d, "),
        ("torchvision/r3d_18", 1.0, {}, r"cannot start from"),
        ("r2plus1d_resnet18", 1.0, {}, r"cannot start from"),
        ("ircsn_50", 1.0, {}, r"cannot start from"),
        ("p3d_resnet18", 0.5, {}, r"'conv1.weight' has the shape \(64, 3, 7, 7\); allowed: \(32,"),
        ("p3d_resnet34", 1.0, {}, r"have no 'layer1.2.conv1.weight'; allowed: .* same depth"),
        ("p3d_resnet50", 1.0, {}, r"'layer1.0.conv1.weight' has the shape"),
        ("p3d_resnet18", 1.0, {"head.weight": torch.zeros(1)}, r"have 'head.weight', which"),
        ("p3d_resnet18", 1.0, {"bn1.bias": torch.zeros(1)}, r"'bn1.bias' has the shape \(1,\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(image_networks, name, width, change, message) -> None:
    weights = {**image_networks[18].state_dict(), **change}
    with pytest.raises(UsageError, match=message):
        inflate(build(name, 5, width=width), weights)


def small(name: str, classes: int = 5, channels: int = 3) -> nn.Module:
    width = 1.0 if name.startswith("torchvision/") else 0.125
    return build(name, classes, in_channels=channels, width=width)


@pytest.mark.parametrize(
    "name", ["dg_p3d_resnet18", "ipcsn_50", "r3d_resnet18", "torchvision/r3d_18"]
)
@torch.no_grad()
def test_a_flow_network_starts_from_a_trained_rgb_network(name: str) -> None:
    rgb, flow = small(name).eval(), small(name, channels=2).eval()
    transfer(flow, rgb.state_dict(), classifiers=True)
    grey = torch.randn(2, 1, 16, 32, 32)
    two, three = (grey.expand(-1, channels, -1, -1, -1) for channels in (2, 3))
    torch.testing.assert_close(flow(two), rgb(three * 2 / 3), rtol=1e-3, atol=1e-4)
    differ = [
        key
        for key, value in rgb.state_dict().items()
        if not torch.equal(flow.state_dict()[key], value)
    ]
    assert len(differ) == 1, "all but the first convolution is taken over"


def test_other_classes_keep_their_own_classifiers() -> None:
    old, new = small("dg_p3d_resnet18"), small("dg_p3d_resnet18", classes=7)
    before = {key: value.clone() for key, value in new.state_dict().items()}
    transfer(new, old.state_dict(), classifiers=False)
    for key, value in new.state_dict().items():
        kept = before if ".classifier." in key else old.state_dict()
        assert torch.equal(value, kept[key])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": torch.zeros(1)}, r"do not fit: .*\"more\""),
        ({"trunk.0.1.weight": torch.zeros(3)}, r"do not fit: .*trunk\.0\.1\.weight"),
        ({"trunk.0.0.weight": torch.zeros(3)}, r"do not fit: .*trunk\.0\.0\.weight"),
    ],
)
def test_trained_weights_must_match(change, message) -> None:
    network = small("p3d_resnet18")
    with pytest.raises(UsageError, match=f"(?s){message}"):
        transfer(network, {**network.state_dict(), **change}, classifiers=True)


@pytest.mark.parametrize("name", ["r3d_18", "s3d", "swin3d_t"])
@torch.no_grad()
def test_torchvisions_own_weights_load_but_for_the_classifier(name: str) -> None:
    theirs = torchvision.models.get_model(name).eval()
    ours = build(f"torchvision/{name}", 400).eval()
    transfer(ours, rename_weights(ours, theirs.state_dict()), classifiers=False)
    head = [part for part in theirs.modules() if isinstance(part, nn.Linear | nn.Conv3d)][-1]
    ours.heads[0].classifier.weight.copy_(head.weight.flatten(1))
    ours.heads[0].classifier.bias.copy_(head.bias)
    size = ours.clip_size
    clips = torch.randn(1, 3, max(size.frames, 4), max(size.side, 32), max(size.side, 32))
    torch.testing.assert_close(ours(clips)[0], theirs(clips), rtol=1e-4, atol=1e-4)
