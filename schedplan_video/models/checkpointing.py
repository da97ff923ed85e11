"""Activation checkpointing: less memory for a second forward pass, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torchvision.models.swin_transformer import SwinTransformerBlock
from torchvision.models.video.mvit import MultiscaleBlock
from torchvision.models.video.resnet import BasicBlock
from torchvision.models.video.s3d import SepInceptionBlock3D

from schedplan_video.models.blocks import Residual
from schedplan_video.models.densenet import DenseLayer
from schedplan_video.models.lgd import Diffusion

BLOCKS = (
    Residual,
    Diffusion,
    DenseLayer,
    BasicBlock,
    SepInceptionBlock3D,
    MultiscaleBlock,
    SwinTransformerBlock,
)
"""What networks repeat: the parts in which they are computed again, or sharded."""


def checkpoint_blocks(model: nn.Module) -> None:
    """Keep only the input of each block of `model` for the backward pass, in place.

    The rest is computed again when the gradient is. Gradients are the same, and so are running
    statistics, which the second pass leaves alone.

    Example:
        >>> from schedplan_video.models.registry import build
        >>> model = build("p3d_resnet18", 10, width=0.125)
        >>> checkpoint_blocks(model)
        >>> model(torch.zeros(2, 3, 4, 32, 32))[0].sum().backward()
    """
    for block in model.modules():
        if isinstance(block, BLOCKS):
            block.forward = partial(_checkpointed, block, block.forward)


def _checkpointed(block: nn.Module, forward: Callable[..., Any], *inputs: Any) -> Any:
    if torch.compiler.is_compiling():  # buffers are not updated twice: no pass has side effects
        return checkpoint(forward, *inputs, use_reentrant=False)
    contexts = partial(_contexts, block)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)


def _contexts(block: nn.Module) -> tuple[Any, Any]:
    """Return what the first and the second forward pass run in."""
    return nullcontext(), _kept_statistics(block)


@contextmanager
def _kept_statistics(block: nn.Module) -> Iterator[None]:
    """Keep the running statistics of every normalisation in `block` as they are."""
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm3d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
