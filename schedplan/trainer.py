"""What the planner asks of a training framework, and two ways to write a trainer in few lines.

A `Trainer` trains under one setting at a time. The epoch loop, the knee, snapshots, resume and
devices are the core's business, so a trainer holds nothing but a model, its optimiser and data.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable
from uuid import uuid4

from schedplan.errors import EstimatorError, TrainerError
from schedplan.knees import Scale
from schedplan.space import Params

Metrics: TypeAlias = Mapping[str, float]
"""What one epoch or one evaluation measured, by name."""


@runtime_checkable
class Trainer(Protocol):
    """Five verbs; any framework can implement them in about 25 lines.

    A trainer may also have an attribute `metrics: tuple[str, ...]`, the keys of what `evaluate`
    returns, so that a misspelt metric is refused before anything is trained, and a method
    `check(params)` that raises `UsageError` for settings it cannot train under; it is called for
    every state before the search. An attribute `scales: Scales`
    states, per metric, the score of guessing and the best one there is, such as
    `{"top1": (1 / classes, 1.0), "loss": (math.log(classes), 0.0)}`. By it the knee tells a
    training that has learned nothing yet from one that has ended.

    An attribute `data: Mapping[str, str]` says what it trains and measures on: under a name, a
    short text that changes with the content, such as `{"train.npz": "sha256 9f86d081"}`. A run that
    was begun with other data is not resumed.

    A factory of trainers may have an attribute `incidental: tuple[str, ...]`, the names of its
    options that do not matter for what is learned, up to rounding, such as where the data lie and
    what computes. They may change while a run is resumed; all others are a part of it.

    Any exception raised by a verb marks the transition as failed, with the exception as reason.
    """

    def begin(self, params: Params, start: Path | None, seed: int) -> None:
        """Start a transition: a model, and a fresh optimiser under `params`.

        Args:
            params: all hyperparameters of the state to be trained, axes and links.
            start: a folder that `save` has filled, whose model goes on; None for a new model.
            seed: makes initial weights, sampling and augmentation repeatable.
        """

    def train_epoch(self) -> Metrics:
        """Train one epoch and return what it measured, e.g. `{"loss": 0.3}`; may be empty."""

    def evaluate(self) -> Metrics:
        """Measure the present model on validation data, e.g. `{"top1": 0.71}`."""

    def save(self, folder: Path) -> None:
        """Write model, optimiser and random state into the empty, existing `folder`.

        Raises:
            OSError: the disk refuses; the run ends then and can be resumed, and no transition is to
                blame. `torch.save` does not raise it where the disk is full, so let it write into
                an `io.BytesIO`, and that into the file.
        """

    def restore(self, folder: Path) -> None:
        """Continue inside the transition begun last, as it was when `folder` was saved."""


def scale_of(trainer: Trainer, metric: str) -> Scale | None:
    """Return what the trainer states about the scores of `metric`, None if it states nothing.

    Raises:
        TrainerError: what it states is no scale.
    """
    stated = (getattr(trainer, "scales", None) or {}).get(metric)
    if stated is None or isinstance(stated, Scale):
        return stated
    try:
        chance, perfect = stated
        return Scale(chance, perfect)
    except (TypeError, ValueError, EstimatorError) as error:
        raise TrainerError(
            f"the trainer's scale of {metric!r} is {stated!r:.60}",
            allowed="(the score of guessing, the best score there is)",
        ) from error


def data_of(trainer: Trainer) -> dict[str, str]:
    """Return what the trainer says of its data, see `Trainer`; nothing if it says nothing.

    Raises:
        TrainerError: what it says is no mapping of texts to texts.
    """
    stated = getattr(trainer, "data", None) or {}
    if isinstance(stated, Mapping) and all(
        isinstance(text, str) for item in stated.items() for text in item
    ):
        return dict(stated)
    raise TrainerError(
        f"the trainer's data are {stated!r:.60}",
        allowed='texts by name, such as {"train.npz": "sha256 9f86d081"}',
    )


TrainerFactory: TypeAlias = Callable[[], Trainer]
"""Makes a trainer; picklable, so that it can be called in another process."""


def derive_seed(*parts: object) -> int:
    """Return a seed in [0, 2**32) that depends on `parts` alone, on every machine.

    Example:
        >>> derive_seed(0, "a") == derive_seed(0, "a") != derive_seed(1, "a")
        True
    """
    text = json.dumps([str(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


Scales: TypeAlias = Mapping[str, Scale | tuple[float, float]]
"""Per metric, the score of guessing and the best one there is."""


class FunctionTrainer:
    """A trainer from five plain functions, for models without optimiser state worth keeping.

    Args:
        build: (params, seed) -> a new model that will train under `params`.
        train: (model, seed) trains one epoch; the seed is another one for every epoch. May return
            metrics.
        evaluate: model -> metrics on validation data.
        save: (model, folder) writes what the model has learned.
        load: (model, folder) puts what `save` wrote into a model that `build` has made.
        metrics: the keys of what `evaluate` returns, if known, see `Trainer`.
        scales: what the scores of a metric mean, if known, see `Trainer`.
        data: what it trains and measures on, if known, see `Trainer`.

    Example:
        A "model" that learns to count:

        >>> from pathlib import Path
        >>> trainer = FunctionTrainer(
        ...     build=lambda params, seed: {"count": 0, "by": params["step"]},
        ...     train=lambda model, seed: model.update(count=model["count"] + model["by"]),
        ...     evaluate=lambda model: {"count": model["count"]},
        ...     save=lambda model, folder: (folder / "count").write_text(str(model["count"])),
        ...     load=lambda model, folder: model.update(count=int((folder / "count").read_text())),
        ... )
        >>> trainer.begin({"step": 3}, start=None, seed=0)
        >>> trainer.train_epoch()
        {}
        >>> trainer.evaluate()
        {'count': 3}
    """

    def __init__(
        self,
        build: Callable[[Params, int], Any],
        train: Callable[[Any, int], Metrics | None],
        evaluate: Callable[[Any], Metrics],
        save: Callable[[Any, Path], object],
        load: Callable[[Any, Path], object],
        *,
        metrics: tuple[str, ...] | None = None,
        scales: Scales | None = None,
        data: Mapping[str, str] | None = None,
    ) -> None:
        self._build, self._train, self._evaluate = build, train, evaluate
        self._save, self._load = save, load
        self.metrics, self.scales, self.data = metrics, scales, data

    def begin(self, params: Params, start: Path | None, seed: int) -> None:
        self._seed, self._epoch = seed, 0
        self._model = self._build(params, seed)
        if start is not None:
            self._load(self._model, start)

    def train_epoch(self) -> Metrics:
        self._epoch += 1
        metrics = self._train(self._model, derive_seed(self._seed, self._epoch))
        return metrics if isinstance(metrics, Mapping) else {}

    def evaluate(self) -> Metrics:
        return self._evaluate(self._model)

    def save(self, folder: Path) -> None:
        self._save(self._model, folder)
        (folder / "epoch.json").write_text(json.dumps({"epoch": self._epoch}))

    def restore(self, folder: Path) -> None:
        self._load(self._model, folder)
        self._epoch = json.loads((folder / "epoch.json").read_text())["epoch"]


Training: TypeAlias = Generator[tuple[Metrics, Callable[[Path], object]], None, None]
"""Yields (validation metrics, a function that saves the present model into a folder)."""


class GeneratorTrainer:
    """A trainer from one generator function, for an existing training loop.

    Args:
        function: called as `function(params, start, seed, resume)`. It yields first for the model
            as handed over, then once after every epoch, for ever. `start` is a saved folder whose
            model goes on with a fresh optimiser, or None; `resume` is a folder saved inside this
            very transition, to be continued with optimiser and random state, or None.
        metrics: the keys of what it yields first, if known, see `Trainer`.
        scales: what the scores of a metric mean, if known, see `Trainer`.
        data: what it trains and measures on, if known, see `Trainer`.

    Example:
        >>> def count(params, start, seed, resume):
        ...     folder, total = resume or start, 0
        ...     if folder:
        ...         total = int((folder / "total").read_text())
        ...     while True:
        ...         yield {"total": total}, lambda to: (to / "total").write_text(str(total))
        ...         total += params["step"]
        >>> trainer = GeneratorTrainer(count)
        >>> trainer.begin({"step": 2}, start=None, seed=0)
        >>> _ = trainer.train_epoch()
        >>> trainer.evaluate()
        {'total': 2}
    """

    def __init__(
        self,
        function: Callable[[Params, Path | None, int, Path | None], Training],
        *,
        metrics: tuple[str, ...] | None = None,
        scales: Scales | None = None,
        data: Mapping[str, str] | None = None,
    ) -> None:
        self._function = function
        self.metrics, self.scales, self.data = metrics, scales, data

    def begin(self, params: Params, start: Path | None, seed: int) -> None:
        self._begun = (params, start, seed)
        self._training = self._function(params, start, seed, None)
        self._advance()

    def train_epoch(self) -> Metrics:
        self._advance()
        return {}

    def evaluate(self) -> Metrics:
        return self._metrics

    def save(self, folder: Path) -> None:
        self._save_to(folder)

    def restore(self, folder: Path) -> None:
        self._training.close()
        self._training = self._function(*self._begun, folder)
        self._advance()

    def _advance(self) -> None:
        try:
            self._metrics, self._save_to = next(self._training)
        except StopIteration:
            raise TrainerError(
                "the training generator has ended",
                hint="it must yield after every epoch, for ever; the knee estimator decides when "
                "to stop",
            ) from None


class Seat:
    """A factory that makes one trainer per thread and hands it out again, transition after
    transition, so that data and devices are set up once.

    Copies that are sent to another process, one after the other, are one and the same there.

    Attributes:
        held: whatever the present thread's trainer is in the middle of; None at first.
    """

    def __init__(self, factory: TrainerFactory) -> None:
        self._factory = factory
        self._name = uuid4().hex
        self._local = threading.local()

    def __call__(self) -> Trainer:
        if not hasattr(self._local, "trainer"):
            self._local.trainer = self._factory()
        trainer: Trainer = self._local.trainer
        return trainer

    @property
    def held(self) -> Any:
        return getattr(self._local, "held", None)

    @held.setter
    def held(self, value: Any) -> None:
        self._local.held = value

    def __reduce__(self) -> tuple[Callable[..., Seat], tuple[str, TrainerFactory]]:
        return _seat_here, (self._name, self._factory)


_seats: dict[str, Seat] = {}
"""The seat that was sent to this process last, by its name."""


def _seat_here(name: str, factory: TrainerFactory) -> Seat:
    if name not in _seats:
        _seats.clear()
        _seats[name] = Seat(factory)
    return _seats[name]
