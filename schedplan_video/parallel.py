"""One network on several processes: copies that average gradients, or shards of one.

The processes compute what one with as many times the accumulation would, up to rounding. That
holds for the running statistics of batch normalisation too, where all batches are equally large:
each process takes the statistics of its own batches in, as they come in turn, and once an epoch
those of all are put together with the weights that they would have had one after the other.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from schedplan_video.models.checkpointing import BLOCKS
from schedplan_video.models.freezing import FrozenBatchNorm3d
from schedplan_video.ranks import Ranks


def share(model: nn.Module, ranks: Ranks) -> None:
    """Give the weights and statistics of rank 0 to all ranks; every rank must call this."""
    if ranks.size > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, src=0)


def distribute(
    model: nn.Module, ranks: Ranks, *, shard: bool = False, sync_batchnorm: bool = False
) -> nn.Module:
    """Return what trains `model` together with the other ranks; `model` itself if there are none.

    Args:
        model: on its device, with the same weights and statistics on all ranks.
        ranks: who trains; every rank must call this.
        shard: whether each rank keeps only its part of weights, gradients and optimiser (FSDP),
            instead of a copy (DDP). `model` itself is then what trains.
        sync_batchnorm: whether a batch normalisation that is not frozen takes the mean and variance
            of all ranks' batches together, on GPUs only. One process cannot compute the same.
    """
    if ranks.size == 1:
        return model
    for name, norm in _normalisations(model).items():
        if sync_batchnorm:
            model.set_submodule(name, nn.SyncBatchNorm.convert_sync_batchnorm(norm))
        else:
            norm.momentum = 1 - (1 - norm.momentum) ** ranks.size
    device = next(model.parameters()).device
    if shard:
        mesh = init_device_mesh(device.type, (ranks.size,))
        for block in [each for each in model.modules() if isinstance(each, BLOCKS)][::-1]:
            fully_shard(block, mesh=mesh)  # what lies within a block comes before it
        return fully_shard(model, mesh=mesh)
    for harmless in (
        ".broadcast_buffers. is deprecated",  # its new name is not known to all versions of torch
        "Grad strides do not match bucket view strides",  # where kernels are 1 long, which differ
    ):
        warnings.filterwarnings("ignore", message=harmless)
    return DistributedDataParallel(
        model,
        device_ids=None if device.type == "cpu" else [device],
        init_sync=False,
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
    )


@contextmanager
def unsynced(model: nn.Module) -> Iterator[None]:
    """Keep the gradients made inside to this rank, to be averaged by a later backward pass."""
    if isinstance(model, DistributedDataParallel):
        with model.no_sync():
            yield
    elif isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            model.set_requires_gradient_sync(True)
    else:
        yield


@contextmanager
def assembled(model: nn.Module) -> Iterator[None]:
    """Let every rank use a sharded model inside as often as it likes, without the others."""
    shards = [each for each in model.modules() if isinstance(each, FSDPModule)]
    for each in shards:
        each.set_reshard_after_forward(False, recurse=False)
        each.unshard()
    try:
        yield
    finally:
        for each in shards:
            each.set_reshard_after_forward(each is not model, recurse=False)
            each.reshard()


def merge_statistics(model: nn.Module, ranks: Ranks) -> None:
    """Put the running statistics of all ranks together, after equally many batches on each."""
    norms = _normalisations(model).values()
    if ranks.size == 1 or not norms:
        return
    statistics = [each for norm in norms for each in (norm.running_mean, norm.running_var)]
    shares = [share for norm in norms for share in [_share(norm.momentum, ranks)] * 2]
    merged = torch.cat([each * share for each, share in zip(statistics, shares, strict=True)])
    distributed.all_reduce(merged)
    for each, new in zip(statistics, merged.split([len(s) for s in statistics]), strict=True):
        each.copy_(new)


def whole(state: Any) -> Any:
    """Return a state dict with whole tensors in place of shards; every rank must call this."""
    if isinstance(state, DTensor):
        return state.full_tensor()
    if isinstance(state, Mapping):
        return {name: whole(value) for name, value in state.items()}
    return state


def parted(state: Any, parameters: list[nn.Parameter]) -> Any:
    """Return an optimiser's state dict with shards in place of whole tensors, as parameters have.

    Args:
        state: whole; its key `state` is numbered like `parameters`.
        parameters: of the optimiser, in order.
    """

    def part(value: Any, like: Tensor) -> Any:
        if isinstance(like, DTensor) and isinstance(value, Tensor) and value.shape == like.shape:
            return distribute_tensor(value, like.device_mesh, like.placements)
        return value

    parts = {
        number: {name: part(value, parameters[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": parts}


def _normalisations(model: nn.Module) -> dict[str, nn.BatchNorm3d]:
    """Return those that keep statistics of this rank's batches, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm3d) and not isinstance(module, FrozenBatchNorm3d)
    }


def _share(momentum: float, ranks: Ranks) -> float:
    """Return the weight of this rank's statistics, all ranks together 1.

    With momentum m, one process that takes in batches 1 to N in turn ends with a weight of
    m (1 - m)^(N - n) on batch n. Here every rank has taken in one of them, with momentum
    M = 1 - (1 - m)^N, so that what was before keeps the same weight.
    """
    kept = (1 - momentum) ** (1 / ranks.size)
    return (1 - kept) * kept ** (ranks.size - 1 - ranks.rank) / momentum
