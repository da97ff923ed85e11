"""One training epoch: accumulation, clipping, the loss of several heads."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from schedplan.errors import NotFiniteError
from schedplan_video.engine import (
    MAX_GRADIENT_NORM,
    forward,
    sgd,
    summed_loss,
    train_epoch,
)
from schedplan_video.models.freezing import FrozenBatchNorm3d, freeze_batchnorm
from schedplan_video.models.registry import build

CPU = torch.device("cpu")
CLASSES = 3


class TwoHeads(nn.Module):
    """A network without batch statistics, whose gradient is a mean over samples exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(3 * 4 * 8 * 8, CLASSES) for _ in range(2))

    def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
        return tuple(head(clips.flatten(1)) for head in self.heads)


def batches(samples: int, size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(0, 256, (samples, 4, 3, 8, 8), generator=generator).to(torch.uint8)
    labels = torch.randint(0, CLASSES, (samples,), generator=generator)
    return list(
        zip(clips.split(size), labels.split(size), torch.arange(samples).split(size), strict=True)
    )


def trained(model: nn.Module, loader: Iterable, **options: int) -> dict[str, Tensor]:
    train_epoch(model, loader, sgd(model, 0.001), CPU, **options)
    return model.state_dict()


def twins() -> tuple[TwoHeads, TwoHeads]:
    first, second = TwoHeads(), TwoHeads()
    second.load_state_dict(first.state_dict())
    return first, second


@pytest.mark.parametrize("samples", [12, 13, 17])
def test_accumulated_gradients_equal_those_of_the_large_batch(samples: int) -> None:
    one, other = twins()
    large = trained(one, batches(samples, 8))
    small = trained(other, batches(samples, 2), accumulation=4)
    torch.testing.assert_close(small, large)


def test_leftover_micro_batches_are_used() -> None:
    one, other = twins()
    large = trained(one, batches(5, 5))
    small = trained(other, batches(5, 2), accumulation=8)
    torch.testing.assert_close(small, large)


def test_accumulation_in_a_network_with_frozen_batchnorm() -> None:
    torch.manual_seed(0)
    models = [build("dg_p3d_resnet18", CLASSES, width=0.125, dropout=0) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    for model in models:
        freeze_batchnorm(model)
        model.trunk[0][1] = FrozenBatchNorm3d(model.trunk[0][1])
    clips = torch.randint(0, 256, (6, 16, 3, 32, 32)).to(torch.uint8)
    labels, numbers = torch.arange(6) % CLASSES, torch.arange(6)
    large = trained(models[0], [(clips, labels, numbers)])
    parts = list(zip(clips.split(2), labels.split(2), numbers.split(2), strict=True))
    small = trained(models[1], parts, accumulation=3)
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-5)


def test_one_step_is_nesterov_sgd_with_weight_decay_and_clipped_gradients() -> None:
    white = torch.full((4, 4, 3, 8, 8), 255, dtype=torch.uint8)
    batch = (white, torch.zeros(4, dtype=torch.int64), torch.arange(4))
    model, reference = twins()
    for network in (model, reference):
        nn.init.constant_(network.heads[0].bias[:1], -100)
    logits, labels = forward(reference, batch, CPU)
    (summed_loss(logits, labels) / 4).backward()
    gradients = [parameter.grad for parameter in reference.parameters()]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert norm > MAX_GRADIENT_NORM
    state = list(trained(model, [batch]).values())
    for new, old, gradient in zip(state, reference.parameters(), gradients, strict=True):
        step = gradient * MAX_GRADIENT_NORM / norm + 1e-4 * old
        torch.testing.assert_close(new, old - 0.001 * 1.9 * step)


def test_loss_sums_heads_and_averages_samples() -> None:
    model = TwoHeads()
    (batch,) = batches(6, 6)
    heads, labels = forward(model, batch, CPU)
    expected = sum(functional.cross_entropy(head, labels) for head in heads).item()
    report = train_epoch(model, batches(6, 6), sgd(model, 1e-9), CPU)
    assert report["loss"] == pytest.approx(expected)


def test_waiting_for_data_and_computing_are_told_apart() -> None:
    def slow(seconds: float) -> Iterable:
        for batch in batches(6, 2):
            time.sleep(seconds)
            yield batch

    class Slow(TwoHeads):
        def forward(self, clips: Tensor) -> tuple[Tensor, ...]:
            time.sleep(0.02)
            return super().forward(clips)

    model, since = Slow(), time.perf_counter()
    report = train_epoch(model, slow(0.04), sgd(model, 0.001), CPU, accumulation=2)
    elapsed = time.perf_counter() - since
    assert report["data_seconds"] >= 0.12
    assert report["compute_seconds"] >= 0.06
    assert report["data_seconds"] + report["compute_seconds"] <= elapsed


def test_non_finite_loss_stops_before_the_weights_are_touched() -> None:
    model = TwoHeads()
    with torch.no_grad():
        model.heads[1].bias[0] = torch.inf
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(NotFiniteError, match=r"loss became .*lower learning rate"):
        train_epoch(model, batches(4, 2), sgd(model, 0.1), CPU)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_frozen_parameters_stay_out_of_the_optimiser() -> None:
    model = build("p3d_resnet18", CLASSES, width=0.125)
    everything = len(sgd(model, 0.1).param_groups[0]["params"])
    norms = sum(isinstance(module, nn.BatchNorm3d) for module in model.modules())
    freeze_batchnorm(model)
    assert len(sgd(model, 0.1).param_groups[0]["params"]) == everything - 2 * (norms - 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_the_gpu_lowers_the_loss() -> None:
    torch.manual_seed(0)
    device = torch.device("cuda")
    model = build("dg_p3d_resnet18", CLASSES, width=0.125, dropout=0).to(device)
    clips = torch.randint(0, 256, (6, 16, 3, 32, 32)).to(torch.uint8)
    loader = [(clips, torch.arange(6) % CLASSES, torch.arange(6))]
    optimizer = sgd(model, 0.05)
    losses = [train_epoch(model, loader, optimizer, device)["loss"] for _ in range(20)]
    assert losses[-1] < losses[0] / 2
