"""A saved model: a folder with `meta.json`, `model.pt` and `optimizer.pt`.

The two `.pt` files hold nothing but state dicts and are read with `weights_only=True`, so that
opening a folder from elsewhere cannot run code.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from schedplan.errors import UsageError
from schedplan_video.config import StageSettings
from schedplan_video.models.network import VideoNetwork
from schedplan_video.models.registry import Design, build, design

META = "meta.json"
MODEL = "model.pt"
OPTIMIZER = "optimizer.pt"


_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Architecture(BaseModel):
    """What decides whether weights fit: the arguments of `registry.build`, less the dropout."""

    model_config = _STRICT

    network: str
    width: float = Field(gt=0)
    num_classes: int = Field(ge=1)
    shortcut: str | None = None
    in_channels: int = Field(default=3, ge=1)

    @property
    def design(self) -> Design:
        """What networks of this architecture are made of; raises `UsageError` if there are none."""
        return design(self.network, width=self.width, shortcut=self.shortcut)

    def build(self, dropout: float = 0.0) -> VideoNetwork:
        """Return a new network of this architecture."""
        return build(
            self.network,
            self.num_classes,
            in_channels=self.in_channels,
            dropout=dropout,
            width=self.width,
            shortcut=self.shortcut,
        )


class SnapshotMeta(BaseModel):
    """All that is needed to use a saved model again.

    Attributes:
        architecture: of the network.
        classes: names, in the order of the logits.
        crop, evaluation_side: of the evaluation's view, in pixels.
        settings: of the stage that was trained.
        epoch: epochs trained in the transition.
    """

    model_config = _STRICT

    architecture: Architecture
    classes: tuple[str, ...]
    crop: int = Field(ge=1)
    evaluation_side: int = Field(ge=1)
    settings: StageSettings
    epoch: int = Field(ge=0)

    @model_validator(mode="after")
    def _fit_classes(self) -> SnapshotMeta:
        if len(self.classes) != self.architecture.num_classes:
            raise ValueError(
                f"there are {len(self.classes)} classes, but the network has"
                f" {self.architecture.num_classes}"
            )
        return self


def save(
    folder: Path, meta: SnapshotMeta, model: Mapping[str, Tensor], updates: Mapping[str, Any]
) -> None:
    """Write a snapshot into the existing `folder`, of the state dicts of model and updates.

    Raises:
        OSError: a file cannot be written, such as on a full disk; names the file.
    """
    for name, state in {MODEL: model, OPTIMIZER: updates}.items():
        with _written(folder / name) as stream:
            torch.save(state, stream)
    with _written(folder / META) as stream:
        stream.write(meta.model_dump_json(indent=2).encode() + b"\n")


@contextmanager
def _written(file: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing; an `OSError` inside names it.

    After a write that has failed, torch ends its archive nevertheless, and complains about that in
    a `RuntimeError`: the `OSError` is what it was raised in the context of.
    """
    try:
        with file.open("wb") as stream:
            yield stream
    except (OSError, RuntimeError) as error:
        cause: BaseException | None = error
        while cause and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None:
            raise
        raise OSError(cause.errno, cause.strerror, str(file)) from error


def read_meta(folder: Path) -> SnapshotMeta:
    """Read what a snapshot holds.

    Raises:
        UsageError: `folder` holds no snapshot of this plug-in.
    """
    file = folder / META
    try:
        return SnapshotMeta.model_validate_json(file.read_bytes())
    except OSError as error:
        there = not isinstance(error, FileNotFoundError)
        where, reason = folder, str(error) if there else f"no {META} is there"
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        where, reason = file, f"{place}: {first['msg']}" if place else first["msg"]
    raise UsageError(f"not a snapshot of a video model: {reason}", where=str(where))


def load_model(folder: Path, model: VideoNetwork, architecture: Architecture) -> None:
    """Load the weights in `folder` into `model`, a network of `architecture`; all must match.

    Raises:
        UsageError: the snapshot is damaged or of another architecture.
    """
    check_same(read_meta(folder).architecture, architecture, folder)
    try:
        model.load_state_dict(load_weights(folder / MODEL))
    except RuntimeError as error:
        raise UsageError(f"weights that do not fit: {error}", where=str(folder / MODEL)) from None


def check_same(saved: Architecture, wanted: Architecture, folder: Path) -> None:
    """Raise `UsageError` if the snapshot in `folder` is of another architecture than `wanted`."""
    if saved != wanted:
        raise UsageError(
            f"the snapshot holds another network: {_describe(saved)}",
            where=str(folder),
            allowed=_describe(wanted),
        )


def load_weights(file: Path) -> dict[str, Tensor]:
    """Read a model's state dict, and nothing else.

    Raises:
        UsageError: the file is missing, damaged, or holds something else.
    """
    weights = _load(file)
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in weights.items()):
        raise UsageError("the file holds no weights by name", where=str(file))
    return dict(weights)  # without torch's notes about versions, which may be damaged, too


def load_updates(folder: Path) -> dict[str, Any]:
    """Read the state of the optimiser, for one made for the same stage.

    Raises:
        UsageError: the file is missing or damaged.
    """
    return _load(folder / OPTIMIZER)


def _load(file: Path) -> dict[str, Any]:
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        # torch's own text is long, and advises to load the file unsafely.
        raise UsageError("cannot be read: damaged, or more than weights", where=str(file)) from None
    except Exception as error:  # of damaged files, torch raises all sorts
        reason = str(error) or type(error).__name__
        raise UsageError(f"cannot be read: {reason}", where=str(file)) from None
    if not isinstance(state, dict):
        raise UsageError("the file holds no weights by name", where=str(file))
    return state


def _describe(architecture: Architecture) -> str:
    shortcut = f" with shortcut {architecture.shortcut}" if architecture.shortcut else ""
    return (
        f"{architecture.network} of width {architecture.width:g}{shortcut}"
        f" with {architecture.num_classes} classes, {architecture.in_channels} input channels"
    )
