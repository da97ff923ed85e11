"""How gradients change a network: SGD or AdamW, clipping, and the scaling that float16 needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from schedplan.errors import UsageError
from schedplan_video.config import StageSettings
from schedplan_video.parallel import parted, whole

MAX_GRADIENT_NORM = 40.0
"""Of Qiu et al. 2021."""

_INITIAL_SCALE = 2.0**10  # torch's 2**16 is for means over a batch, these are sums


class Updates:
    """A fresh optimiser over the parameters of a network that are not frozen.

    Gradients are summed by `backward` and used up by `step`.

    Args:
        model: the network, on its device.
        settings: name the optimiser and its hyperparameters.
        dtype: the precision of the forward pass; losses are scaled for float16 alone.
    """

    def __init__(
        self, model: nn.Module, settings: StageSettings, dtype: torch.dtype = torch.float32
    ) -> None:
        self.parameters = [each for each in model.parameters() if each.requires_grad]
        self._optimizer = _OPTIMIZERS[settings.optimizer](self.parameters, settings)
        self._scaler = torch.amp.GradScaler(
            self.parameters[0].device.type, _INITIAL_SCALE, enabled=dtype == torch.float16
        )

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`."""
        self._scaler.scale(loss).backward()

    def step(self, factor: float) -> None:
        """Multiply the gradients by `factor`, clip their norm, and take a step.

        In float16 a step whose gradients overflow is left out, and the next ones scale less.
        """
        self._scaler.unscale_(self._optimizer)
        gradients = [each.grad for each in self.parameters if each.grad is not None]
        norm = factor * nn.utils.get_total_norm(gradients)
        # In one pass over the gradients, which is what a step on a CPU has to wait for.
        factor = factor * (MAX_GRADIENT_NORM / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient *= factor
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on, on any number of ranks; all ranks must call this."""
        optimizer = whole(self._optimizer.state_dict())
        for group in optimizer["param_groups"]:
            del group["fused"]  # how it is computed here, which is no part of what goes on
        return {"optimizer": optimizer, "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as another one did, made for the same stage of the same network.

        Raises:
            UsageError: `state` is none of such an optimiser.
        """
        fused = [group["fused"] for group in self._optimizer.param_groups]
        try:
            self._optimizer.load_state_dict(parted(state["optimizer"], self.parameters))
            self._scaler.load_state_dict(state["scaler"])
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UsageError(f"no state of this optimiser: {error!r}") from None
        for group, here in zip(self._optimizer.param_groups, fused, strict=True):
            group["fused"] = here


def _sgd(parameters: list[nn.Parameter], settings: StageSettings) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        settings.scaled_rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=_fused(parameters),
    )


def _adamw(parameters: list[nn.Parameter], settings: StageSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameters,
        settings.scaled_rate,
        weight_decay=settings.weight_decay,
        fused=_fused(parameters),
    )


def _fused(parameters: list[nn.Parameter]) -> bool | None:
    """Return whether one kernel is to do the whole step; None leaves that to torch.

    It is three times as fast on a CPU, where the step was a tenth of all.
    """
    whole_ones = all(type(each) is nn.Parameter for each in parameters)
    return True if whole_ones and parameters[0].device.type in ("cpu", "cuda") else None


_OPTIMIZERS = {"sgd": _sgd, "adamw": _adamw}
