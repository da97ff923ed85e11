"""Members of teams that train, and what they train; processes import them from here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from schedplan_video.config import stage_settings
from schedplan_video.engine import Objective, Updates, train_epoch
from schedplan_video.evaluate import evaluate
from schedplan_video.models.registry import build
from schedplan_video.parallel import assembled, distribute, merge_statistics, share, whole
from schedplan_video.ranks import ALONE, Ranks

CPU = torch.device("cpu")

Batch = tuple[Tensor, Tensor, Tensor]


class Trainee:
    """Trains networks on batches that the test makes up, whole or shared out to ranks."""

    def __init__(self, ranks: Ranks = ALONE) -> None:
        self.ranks = ranks

    def train(
        self,
        network: nn.Module,
        shares: list[list[Batch]],
        accumulation: int,
        shard: bool = False,
    ) -> dict[str, Any]:
        """Train one epoch on this rank's share; return what came of it."""
        share(network, self.ranks)
        model = distribute(network, self.ranks, shard=shard)
        updates = Updates(network, SETTINGS)
        report = train_epoch(
            model,
            shares[self.ranks.rank],
            Objective(CPU),
            updates,
            accumulation=accumulation,
            ranks=self.ranks,
        )
        merge_statistics(network, self.ranks)
        with assembled(network):
            metrics = self.measure(network, shares)
        return {
            "loss": report["loss"],
            "metrics": metrics,
            "model": whole(network.state_dict()),
            "updates": updates.state_dict(),
        }

    def train_each_other(self) -> bool:
        """Begin with different weights; return whether they are the same after an epoch."""
        torch.manual_seed(self.ranks.rank)
        network = TwoHeads()
        shares = [[batch] for batch in random_batches([2] * self.ranks.size)]
        weights = self.ranks.gather(self.train(network, shares, 1)["model"]["heads.0.weight"])
        return all(torch.equal(weights[0], each) for each in weights)

    def measure(self, network: nn.Module, shares: list[list[Batch]]) -> dict[str, float]:
        videos = sum(len(labels) for share in shares for _, labels, _ in share)
        return evaluate(network, shares[self.ranks.rank], videos, CPU, None, self.ranks)


SETTINGS = stage_settings(
    {"sampling": "uniform", "clip_length": 16, "batch_size": 1, "learning_rate": 0.001}
)


class TwoHeads(nn.Module):
    """A network without batch statistics, whose gradient is a mean over samples exactly."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(3 * 4 * 8 * 8, classes) for _ in range(2))

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        return tuple(head(clips.flatten(1)) for head in self.heads)


def two_heads() -> nn.Module:
    torch.manual_seed(0)
    return TwoHeads()


def small_network() -> nn.Module:
    """Return a real network that computes in double precision, so that rounding stays small."""
    torch.manual_seed(0)
    network = build("dg_p3d_resnet18", 3, width=0.125, dropout=0.2).double()
    network.register_forward_pre_hook(_in_double)
    return network


def _in_double(module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
    return (arguments[0].double(),)


def random_batches(
    sizes: list[int], shape: tuple[int, ...] = (4, 3, 8, 8), classes: int = 3
) -> list[Batch]:
    """Return batches of so many random clips of a shape (T, C, H, W), their rows counted on."""
    generator = torch.Generator().manual_seed(0)
    samples = sum(sizes)
    clips = torch.randint(0, 256, (samples, *shape), generator=generator).to(torch.uint8)
    labels = torch.randint(0, classes, (samples,), generator=generator)
    parts = (part.split(sizes) for part in (clips, labels, torch.arange(samples)))
    return list(zip(*parts, strict=True))
