"""torchvision's own video networks, under heads of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torchvision
from torch import Tensor, nn
from torchvision.models.video import MViT

from schedplan_video.models.network import ClipSize, Head, VideoNetwork

NAMES: tuple[str, ...] = tuple(torchvision.models.list_models(module=torchvision.models.video))
"""What torchvision calls them."""

RGB = 3


@dataclass(frozen=True)
class TorchvisionNetwork:
    """A network as torchvision makes it, but for its classifier and its number of input channels.

    Args:
        name: one of `NAMES`.
    """

    name: str

    def network(self, num_classes: int, *, in_channels: int, dropout: float) -> VideoNetwork:
        """Return a new network; the arguments are those of `registry.build`."""
        body = torchvision.models.get_model(self.name, weights=None)
        name = _classifier_name(body)
        features = next(body.get_submodule(name).parameters()).shape[1]
        setattr(body, name, nn.Identity())
        if in_channels != RGB:
            _replace_input(body, in_channels)
        head = Head(nn.Identity(), features, num_classes, dropout)
        return VideoNetwork(body, [head], self._clip_size(body))

    def _clip_size(self, body: nn.Module) -> ClipSize:
        """Return the smallest clips, as stated beside the weights that torchvision offers."""
        facts = torchvision.models.get_model_weights(self.name).DEFAULT.meta
        frames, (side, _) = facts.get("min_temporal_size", 1), facts["min_size"]
        return ClipSize(frames, side, exact=isinstance(body, MViT))  # positions are embedded


def rename_weights(network: VideoNetwork, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return torchvision's weights of `network` as its own `state_dict` names them.

    Those of the classifier are left out.
    """
    classifier = _classifier_name(network.trunk)
    return {
        f"trunk.{key}": value
        for key, value in weights.items()
        if not key.startswith(f"{classifier}.")
    }


def _classifier_name(body: nn.Module) -> str:
    """Return the name of the last module, which is the classifier in all of torchvision."""
    return list(dict(body.named_children()))[-1]


def _replace_input(body: nn.Module, in_channels: int) -> None:
    """Give the first convolution another number of input channels."""
    name, old = next(
        (name, module) for name, module in body.named_modules() if isinstance(module, nn.Conv3d)
    )
    new = nn.Conv3d(
        in_channels,
        old.out_channels,
        old.kernel_size,
        old.stride,
        old.padding,
        bias=old.bias is not None,
    )
    parent, _, child = name.rpartition(".")
    setattr(body.get_submodule(parent), child, new)
