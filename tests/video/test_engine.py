"""One training epoch: accumulation, clipping, the loss of several heads, precision, mixing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from schedplan.errors import NotFiniteError, UsageError
from schedplan_video.config import StageSettings, stage_settings
from schedplan_video.engine import (
    MAX_GRADIENT_NORM,
    Objective,
    Updates,
    find_device,
    find_devices,
    find_precision,
    forward,
    mixing,
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


def stage(**settings: Any) -> StageSettings:
    some = {"sampling": "uniform", "clip_length": 16, "batch_size": 8, "learning_rate": 0.001}
    return stage_settings(some | settings)


def updates(model: nn.Module, **settings: Any) -> Updates:
    return Updates(model, stage(**settings))


def trained(model: nn.Module, loader: Iterable, **options: int) -> dict[str, Tensor]:
    train_epoch(model, loader, Objective(CPU), updates(model), **options)
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
    report = train_epoch(model, batches(6, 6), Objective(CPU), updates(model, learning_rate=1e-9))
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
    report = train_epoch(model, slow(0.04), Objective(CPU), updates(model), accumulation=2)
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
        train_epoch(model, batches(4, 2), Objective(CPU), updates(model))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_frozen_parameters_stay_out_of_the_optimiser() -> None:
    model = build("p3d_resnet18", CLASSES, width=0.125)
    everything = len(updates(model).parameters)
    norms = sum(isinstance(module, nn.BatchNorm3d) for module in model.modules())
    freeze_batchnorm(model)
    assert len(updates(model).parameters) == everything - 2 * (norms - 1)


def test_adamw_takes_the_step_of_torchs() -> None:
    model, reference = twins()
    (batch,) = batches(4, 4)
    settings = {"optimizer": "adamw", "weight_decay": 0.1, "learning_rate": 0.01}
    train_epoch(model, [batch], Objective(CPU), updates(model, **settings))
    logits, labels = forward(reference, batch, CPU)
    (summed_loss(logits, labels) / 4).backward()
    nn.utils.clip_grad_norm_(reference.parameters(), MAX_GRADIENT_NORM)
    torch.optim.AdamW(reference.parameters(), 0.01, weight_decay=0.1).step()
    torch.testing.assert_close(model.state_dict(), reference.state_dict())


def test_label_smoothing_spreads_a_share_of_the_label() -> None:
    model = TwoHeads()
    (batch,) = batches(3, 3)
    logits, labels = forward(model, batch, CPU)
    spread = 0.7 * functional.one_hot(labels, CLASSES) + 0.3 / CLASSES
    expected = -sum((head.log_softmax(1) * spread).sum() for head in logits)
    loss = Objective(CPU, label_smoothing=0.3)(model, batch)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 0.4), (0.4, 0.4)])
def test_mixed_labels_say_what_the_clips_are_made_of(mixup: float, cutmix: float) -> None:
    mix = mixing(mixup, cutmix, CLASSES)
    clips = torch.arange(1.0, 4.0).reshape(3, 1, 1, 1, 1).expand(3, 3, 4, 16, 16)
    labels = torch.arange(3)
    torch.manual_seed(0)
    for _ in range(5):
        mixed, shares = mix(clips, labels)
        assert mixed.shape == clips.shape
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3, 4)), shares @ torch.arange(1.0, 4.0))
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))
        assert (mixed == mixed[:, :, :1]).all(), "all frames are treated alike"


def test_nothing_is_mixed_unless_asked() -> None:
    assert mixing(0, 0, CLASSES) is None


def test_what_is_random_depends_on_the_number_of_the_micro_batch_alone() -> None:
    def losses(accumulation: int, seed: int) -> float:
        model = nn.Sequential(nn.Dropout(0.5), twins()[0])
        nn.init.ones_(model[1].heads[0].weight)
        objective = Objective(CPU, mix=mixing(1.0, 0.0, CLASSES))
        steps = updates(model, learning_rate=1e-12)
        options = {"accumulation": accumulation, "seed": seed}
        return train_epoch(model, batches(8, 2), objective, steps, **options)["loss"]

    torch.manual_seed(0)
    first = losses(accumulation=1, seed=3)
    torch.manual_seed(0)
    assert losses(accumulation=4, seed=3) == pytest.approx(first)
    torch.manual_seed(0)
    assert losses(accumulation=1, seed=4) != pytest.approx(first)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_trains_float32_weights(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = build("dg_p3d_resnet18", CLASSES, width=0.125, dropout=0)
    clips = torch.randint(0, 256, (6, 16, 3, 32, 32)).to(torch.uint8)
    batch = (clips, torch.arange(6) % CLASSES, torch.arange(6))
    exact, rounded = (forward(model, batch, CPU, kind)[0][0] for kind in (torch.float32, dtype))
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.2)
    steps = Updates(model, stage(learning_rate=0.02), dtype)
    losses = [train_epoch(model, [batch], Objective(CPU, dtype), steps)["loss"] for _ in range(8)]
    assert losses[-1] < losses[0] / 2
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_step_that_overflows_in_float16_is_left_out_and_the_scale_shrinks() -> None:
    model, other = twins()
    steps = Updates(model, stage(), torch.float16)
    state = steps.state_dict()
    steps.load_state_dict(state | {"scaler": state["scaler"] | {"scale": 1e38}})
    objective = Objective(CPU, torch.float16)
    train_epoch(model, batches(4, 4), objective, steps)
    torch.testing.assert_close(model.state_dict(), other.state_dict(), rtol=0, atol=0)
    assert steps.state_dict()["scaler"]["scale"] == pytest.approx(5e37)


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (lambda: find_precision("bf16", CPU), r"'bf16'; allowed: auto, float32, bfloat16, float16"),
        (lambda: find_devices("cuda:0", 2), r"'cuda:0', but there are several processes"),
        (lambda: find_devices("cuda", 100), r"processes is 100, but this machine has \d+ GPUs"),
        (lambda: find_device("tpu"), r"the device 'tpu'"),
    ],
)
def test_devices_and_precisions_that_there_are_not(find: Callable, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_the_gpu_lowers_the_loss() -> None:
    torch.manual_seed(0)
    device = torch.device("cuda")
    model = build("dg_p3d_resnet18", CLASSES, width=0.125, dropout=0).to(device)
    clips = torch.randint(0, 256, (6, 16, 3, 32, 32)).to(torch.uint8)
    loader = [(clips, torch.arange(6) % CLASSES, torch.arange(6))]
    objective, steps = Objective(device), updates(model, learning_rate=0.05)
    losses = [train_epoch(model, loader, objective, steps)["loss"] for _ in range(20)]
    assert losses[-1] < losses[0] / 2
