"""Convolutions and poolings in two dimensions: the same sums as in three, and layouts that last."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from schedplan_video.models.convolutions import MaxPool, convolution
from schedplan_video.models.registry import build

LAST = torch.channels_last_3d
STEM = ((4, 7, 7), (4, 2, 2), (0, 3, 3), 1)
FORMS = [
    STEM,
    ((1, 3, 3), (1, 1, 1), (0, 1, 1), 1),
    ((1, 3, 3), (1, 2, 2), (0, 1, 1), 1),
    ((1, 3, 3), (1, 2, 2), (0, 1, 1), 4),
    ((1, 1, 1), (1, 2, 2), (0, 0, 0), 1),
    ((3, 1, 1), (1, 1, 1), (1, 0, 0), 1),
    ((3, 1, 1), (2, 1, 1), (1, 0, 0), 4),
    ((3, 1, 1), (1, 2, 2), (1, 0, 0), 1),
    ((3, 3, 3), (2, 2, 2), (1, 1, 1), 4),
    ((2, 3, 3), (2, 1, 1), (0, 1, 1), 4),
    ((1, 1, 1), (2, 2, 2), (0, 0, 0), 1),
]
"""Kernel, stride, padding, groups."""


def gradients(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the output, and the gradients of input and parameters of a sum that weighs it."""
    x = x.detach().requires_grad_()
    y = layer(x)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return y, *torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(FORMS),
    st.tuples(st.integers(1, 3), st.integers(4, 9), st.integers(3, 9), st.integers(3, 9)),
)
def test_channels_last_changes_nothing_but_the_layout(form, sizes):
    kernel, stride, padding, groups = form
    batch, frames, height, width = sizes
    torch.manual_seed(0)
    layer = convolution(4, 8, kernel, stride, padding=padding, groups=groups).double()
    x = torch.randn(batch, 4, frames, height, width, dtype=torch.float64)
    expected = gradients(layer, x)
    found = gradients(layer.to(memory_format=LAST), x.contiguous(memory_format=LAST))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pool", [((1, 3, 3), (1, 2, 2), (0, 1, 1)), ((4, 1, 1), (4, 1, 1), 0)])
def test_pools_are_the_same_too(pool):
    x = torch.randn(2, 8, 8, 7, 9, dtype=torch.float64)
    for one, other in zip(
        gradients(MaxPool(*pool), x.contiguous(memory_format=LAST)),
        gradients(nn.MaxPool3d(*pool), x),
        strict=True,
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("form", FORMS[:6])
def test_factorised_convolutions_are_computed_in_two_dimensions(form, monkeypatch):
    kernel, stride, padding, groups = form
    layer = convolution(4, 8, kernel, stride, padding=padding, groups=groups)
    x = torch.randn(2, 4, 8, 8, 8).contiguous(memory_format=LAST)
    monkeypatch.setattr(nn.Conv3d, "forward", lambda *_: pytest.fail("computed in three"))
    assert layer(x).is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("name", ["dg_p3d_resnet18", "lgd_p3d_resnet18", "r2plus1d_resnet18"])
def test_networks_keep_channels_last_and_their_logits(name):
    torch.manual_seed(0)
    network = build(name, 3, width=0.125).eval()
    clips = torch.randn(2, 3, 16, 48, 40)
    layouts = []
    with torch.no_grad():
        expected = network(clips)
        network.to(memory_format=LAST)
        for layer in network.modules():
            if isinstance(layer, nn.Conv3d):
                layer.register_forward_hook(
                    lambda *called: layouts.append(called[2].is_contiguous(memory_format=LAST))
                )
        found = network(clips.contiguous(memory_format=LAST))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert layouts
    assert all(layouts)
