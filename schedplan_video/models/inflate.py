"""Weights that a training can start from: of a 2D ResNet, or of a trained video network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from schedplan.errors import UsageError
from schedplan_video.models.blocks import InflatableUnit, Residual
from schedplan_video.models.lgd import Diffusion
from schedplan_video.models.network import VideoNetwork
from schedplan_video.models.resnet import Stage

STEM_SLICE = 2
"""Which time step of the stem's kernel takes over the 2D kernel; the others are zero."""


@torch.no_grad()
def inflate(network: VideoNetwork, weights: Mapping[str, Tensor]) -> None:
    """Load the weights of torchvision's 2D ResNet of the same depth, in place.

    On a clip of identical frames, the features before a classifier then equal those of the 2D
    network on that frame: those of the first head, and of DG-P3D's second but for its finer grid.
    Classifiers, global context and LGD's global path stay as they are. For other input than RGB the
    stem is averaged over its channels.

    Args:
        network: P3D, G-P3D, DG-P3D, LGD-3D or I3D.
        weights: a state dict of `torchvision.models.resnet18`, `34`, `50`, `101` or `152`.

    Raises:
        UsageError: a network of another kind, or weights that do not fit it.

    Example:
        >>> from torchvision.models import resnet18
        >>> from schedplan_video.models.registry import build
        >>> inflate(build("p3d_resnet18", 10), resnet18().state_dict())
    """
    check_inflatable(network)
    source = _Source(weights)
    convolution, norm, *_ = network.trunk[0]
    channels, in_channels, _, *side = convolution.weight.shape
    kernel = source.take("conv1.weight", (channels, 3, *side))
    convolution.weight.zero_()
    convolution.weight[:, :, STEM_SLICE] = adapt_channels(kernel, in_channels)
    source.load_norm("bn1", norm)
    for name, block in _blocks(network):
        _inflate_branch(block.branch, name, source)
        if not isinstance(block.shortcut, nn.Identity):
            source.load_pointwise(f"{name}.downsample.0", block.shortcut[0])
            source.load_norm(f"{name}.downsample.1", block.shortcut[1])
    source.check_all_taken()


def check_inflatable(network: VideoNetwork) -> None:
    """Raise `UsageError` if `network` cannot start from a 2D ResNet."""
    if not any(isinstance(module, InflatableUnit) for module in network.modules()):
        raise UsageError(
            "this network cannot start from the weights of a 2D ResNet",
            allowed="p3d, p3da, p3db, p3dc, g_p3d, dg_p3d, lgd_p3d and i3d networks",
        )


def transfer(network: VideoNetwork, weights: Mapping[str, Tensor], *, classifiers: bool) -> None:
    """Load the weights of a trained network of the same kind, in place; all must match.

    Args:
        network: may have another number of input channels: the first convolution is then averaged
            over its channels, as for optical flow from RGB.
        weights: its state dict.
        classifiers: load those too; otherwise the network keeps its own, for other classes.

    Raises:
        UsageError: weights that do not fit.
    """
    own, weights = network.state_dict(), dict(weights)
    if not classifiers:
        weights |= {key: value for key, value in own.items() if ".classifier." in key}
    name = next(name for name, part in network.named_modules() if isinstance(part, nn.Conv3d))
    key = f"{name}.weight"
    if key in weights and weights[key].ndim == 5:
        weights[key] = adapt_channels(weights[key], own[key].shape[1])
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"weights that do not fit: {error}") from None


def adapt_channels(kernel: Tensor, in_channels: int) -> Tensor:
    """Return a kernel (C', C, ...) for `in_channels` C: if that is new, each is the old ones' mean.

    Example:
        >>> adapt_channels(torch.tensor([[1.0, 2.0, 6.0]]), 2)
        tensor([[3., 3.]])
    """
    if kernel.shape[1] == in_channels:
        return kernel
    mean = kernel.mean(dim=1, keepdim=True)
    return mean.expand(-1, in_channels, *kernel.shape[2:])


def _blocks(network: VideoNetwork) -> Iterator[tuple[str, Residual]]:
    """Yield the residual blocks with the names that they have in torchvision."""
    for stage in network.modules():
        if isinstance(stage, Stage):
            for index, block in enumerate(stage):
                local = block.local if isinstance(block, Diffusion) else block
                yield f"layer{stage.number}.{index}", local


def _inflate_branch(branch: nn.Sequential, name: str, source: _Source) -> None:
    """Load convolutions and normalisations, which torchvision counts from 1 in every block."""
    number = 0
    for module in branch:
        if isinstance(module, nn.Conv3d):
            number += 1
            source.load_pointwise(f"{name}.conv{number}", module)
        elif isinstance(module, nn.BatchNorm3d):
            source.load_norm(f"{name}.bn{number}", module)
        elif isinstance(module, InflatableUnit):
            number += 1
            module.inflate(source.take(f"{name}.conv{number}.weight", module.kernel_shape))
            source.load_norm(f"{name}.bn{number}", module.norm)


class _Source:
    """The weights of a 2D network, and which of them have been taken."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.weights = weights
        self.taken: set[str] = set()

    def take(self, key: str, shape: tuple[int, ...]) -> Tensor:
        """Return the weight `key`, which must have this shape."""
        if key not in self.weights:
            raise UsageError(
                f"the weights have no {key!r}",
                allowed="those of torchvision's ResNet of the same depth",
            )
        found = tuple(self.weights[key].shape)
        if found != shape:
            raise UsageError(
                f"the weight {key!r} has the shape {found}",
                allowed=f"{shape}, as in torchvision's ResNet of the same depth for width 1",
            )
        self.taken.add(key)
        return self.weights[key]

    def load_pointwise(self, name: str, layer: nn.Conv3d) -> None:
        """Load a 1x1 convolution into a 1x1x1 one."""
        shape = tuple(layer.weight.shape[:-1])
        layer.weight.copy_(self.take(f"{name}.weight", shape)[..., None])

    def load_norm(self, name: str, norm: nn.BatchNorm3d) -> None:
        """Load affine parameters and running statistics."""
        for part in ("weight", "bias", "running_mean", "running_var"):
            own = getattr(norm, part)
            own.copy_(self.take(f"{name}.{part}", tuple(own.shape)))

    def check_all_taken(self) -> None:
        """Raise `UsageError` if the 2D network has more than was taken and its classifier."""
        passed = ("fc.weight", "fc.bias")
        left = [
            key
            for key in self.weights
            if key not in self.taken | {*passed} and not key.endswith("num_batches_tracked")
        ]
        if left:
            raise UsageError(
                f"the weights have {left[0]!r}, which this network has not",
                allowed="those of torchvision's ResNet of the same depth",
            )
