"""Frozen batch normalisation, for stages whose batches are too small to measure statistics."""

from __future__ import annotations

from torch import nn


class FrozenBatchNorm3d(nn.BatchNorm3d):
    """A `BatchNorm3d` that keeps its running statistics and affine parameters, in any mode.

    `torchvision.ops.FrozenBatchNorm2d` does not fit: it broadcasts wrongly on 5-dimensional input.

    Args:
        norm: where statistics and parameters are taken from.
    """

    def __init__(self, norm: nn.BatchNorm3d) -> None:
        super().__init__(norm.num_features, eps=norm.eps)
        self.to(norm.weight)
        self.load_state_dict(norm.state_dict())
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> FrozenBatchNorm3d:
        return super().train(False)


def freeze_batchnorm(model: nn.Module) -> None:
    """Freeze every BatchNorm of `model` but the first, in place.

    Neither statistics nor affine parameters of the frozen ones change from then on, whatever
    `model.train()` is told; the names in the state dict stay as they are. This is how the paper's
    longest clips are trained (Qiu et al. 2021). Thawing means building a new model.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm3d(3), nn.BatchNorm3d(3))
        >>> freeze_batchnorm(model)
        >>> [layer.training for layer in model.train()]
        [True, False]
    """
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm3d)]
    for name in norms[1:]:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, FrozenBatchNorm3d(model.get_submodule(name)))
