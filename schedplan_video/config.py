"""The hyperparameters of one stage of video training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schedplan.errors import UsageError, did_you_mean
from schedplan_video.data.sampling import FRAMES_PER_SEGMENT


class StageSettings(BaseModel):
    """What the states of a plan may set, by axes or links; see `stage_settings`.

    Attributes:
        sampling: `consecutive`, one run of frames; `uniform`, equal segments spread over the video.
        clip_length: frames that the network sees.
        stride: distance between the frames of a consecutive clip, in frames of the video.
        segments: follows from the others and may be left out: a uniform clip has one for every 4
            frames, a consecutive clip has 1.
        learning_rate: constant throughout the stage, before `rate_scale`.
        rate_scale: multiplies the learning rate, for links that follow another axis.
        batch_size: clips in a micro-batch.
        accumulation: micro-batches per optimiser step, of each process.
        processes: how many train together; by default the trainer's `processes`. With
            `search.devices` of the same name, each gets a device of its own.
        optimizer: `sgd` with Nesterov's momentum, or `adamw`.
        momentum: of `sgd`.
        weight_decay: as the optimiser understands it: an L2 penalty's gradient for `sgd`, decoupled
            for `adamw`.
        label_smoothing: the share of a label that is spread over all classes.
        mixup, cutmix: alpha of the two ways to mix the clips of a batch, 0 for none; see
            `engine.mixing`.
        dropout: before the classifiers.
        freeze_batchnorm: keep every BatchNorm but the first as it is.
        checkpointing: keep fewer activations for the backward pass and compute the others again;
            the same result in less memory and about a third more time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    sampling: Literal["consecutive", "uniform"]
    clip_length: int = Field(ge=1)
    stride: int = Field(default=1, ge=1)
    segments: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(gt=0)
    rate_scale: float = Field(default=1.0, gt=0)
    batch_size: int = Field(ge=1)
    accumulation: int = Field(default=1, ge=1)
    processes: int | None = Field(default=None, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    freeze_batchnorm: bool = False
    checkpointing: bool = False

    @property
    def scaled_rate(self) -> float:
        """The learning rate to train with."""
        return self.learning_rate * self.rate_scale

    @model_validator(mode="after")
    def _fit_sampling(self) -> StageSettings:
        segments = 1
        if self.sampling == "uniform":
            if self.stride != 1:
                raise ValueError(f"stride is {self.stride}, but uniform sampling takes 1 only")
            segments, rest = divmod(self.clip_length, FRAMES_PER_SEGMENT)
            if rest:
                raise ValueError(
                    f"clip_length is {self.clip_length}, but uniform sampling takes multiples of"
                    f" {FRAMES_PER_SEGMENT} only"
                )
        if self.segments not in (None, segments):
            raise ValueError(
                f"segments is {self.segments}, but a {self.sampling} clip of {self.clip_length}"
                f" frames has {segments}"
            )
        return self


def stage_settings(
    params: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> StageSettings:
    """Return the settings of a state with `params`, completed by `defaults`.

    Raises:
        UsageError: unknown, missing or out-of-bounds values, all of them in one message.

    Example:
        >>> stage = {"sampling": "uniform", "clip_length": 32, "learning_rate": 0.1}
        >>> stage_settings(stage, {"batch_size": 8, "rate_scale": 0.5}).scaled_rate
        0.05
    """
    values = {**(defaults or {}), **params}
    try:
        return StageSettings.model_validate(values)
    except ValidationError as error:
        problems = [_problem(detail) for detail in error.errors()]
        raise UsageError("; ".join(problems)) from None


def check_defaults(defaults: Mapping[str, Any]) -> None:
    """Raise `UsageError` if a default is unknown or out of bounds; others may still be missing."""
    try:
        StageSettings.model_validate(dict(defaults))
    except ValidationError as error:
        problems = [_problem(d) for d in error.errors() if d["type"] != "missing"]
        if problems:
            raise UsageError("; ".join(problems), path=("defaults",)) from None


def _problem(detail: Mapping[str, Any]) -> str:
    """Say one of pydantic's complaints with name, value and bound."""
    name = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        known = list(StageSettings.model_fields)
        hint = did_you_mean(name, known)
        return f"unknown parameter {name!r}, allowed: {', '.join(known)}" + (
            f", {hint}" if hint else ""
        )
    if detail["type"] == "missing":
        return f"the parameter {name!r} is missing: make it an axis, a link or a default"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    rule = detail["msg"].removeprefix("Input should be ")
    return f"{name} is {detail['input']!r}, but should be {rule}"
