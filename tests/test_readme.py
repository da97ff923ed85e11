"""The README's code runs, and its configurations are valid."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import yaml
from documents import README, blocks
from plans import make_plan

from schedplan import GeneratorTrainer
from schedplan.config.model import Config, SearchSection
from schedplan.testing.contracts import TrainerContract

EXAMPLES_OF_ONES_OWN = ("class MyTrainer:", "def my_loop", "class TestMyTrainer")
"""Blocks that need what only their readers have; the others run as they are."""


def block(beginning: str) -> str:
    (found,) = [text for text in blocks("python") if beginning in text]
    return found


def defined(beginning: str, **readers: Any) -> dict[str, Any]:
    """Return what a block defines, with what its reader is to bring.

    It is defined in this module, so that other processes find it here.
    """
    names = {"__name__": __name__, **readers}
    exec(compile(block(beginning), "README.md", "exec"), names)
    return names


class Model:
    """One weight on its way to 1."""

    def __init__(self, weight: float = 0.0) -> None:
        self.weight = weight

    def step(self, rate: float, noise: float = 0.0) -> float:
        self.weight += rate * (1 - self.weight + noise)
        return (1 - self.weight) ** 2

    def save(self, folder: Path) -> None:
        (folder / "model.json").write_text(json.dumps(self.weight))


class Optimizer:
    """Adds noise; its state is what it draws next."""

    def __init__(self, model: Model, rate: float) -> None:
        self.rate, self.drawn = rate, 0


def train(model: Model, optimizer: Optimizer) -> float:
    optimizer.drawn += 1
    return model.step(optimizer.rate, random.Random(optimizer.drawn).uniform(-0.1, 0.1))


def load(model: Model, folder: Path) -> None:
    model.weight = json.loads((folder / "model.json").read_text())


def write(folder: Path, model: Model, optimizer: Optimizer) -> None:
    model.save(folder)
    (folder / "optimizer.json").write_text(json.dumps(optimizer.drawn))


def read(folder: Path, model: Model, optimizer: Optimizer) -> None:
    load(model, folder)
    optimizer.drawn = json.loads((folder / "optimizer.json").read_text())


def loaded(folder: Path) -> Model:
    model = Model()
    load(model, folder)
    return model


MyTrainer = defined(
    "class MyTrainer:",
    build_model=lambda seed: Model(seed / 2**64),
    build_optimizer=Optimizer,
    load=load,
    train=train,
    validate=lambda model: model.weight,
    write=write,
    read=read,
)["MyTrainer"]

my_loop = defined(
    "def my_loop",
    build_model=lambda seed: Model(seed / 2**64),
    load=loaded,
    train=Model.step,
    validate=lambda model: model.weight,
)["my_loop"]

TestTheTestsOfTheReadme = defined("class TestMyTrainer")["TestMyTrainer"]


class TestTheTrainerOfTheReadme(TrainerContract):
    params: ClassVar = {"learning_rate": 0.1}
    metric = "accuracy"

    def make(self):
        return MyTrainer()


class TestTheLoopOfTheReadme(TrainerContract):
    params: ClassVar = {"learning_rate": 0.1}
    metric = "accuracy"

    def make(self):
        return self.factory()()

    def factory(self):
        return partial(GeneratorTrainer, my_loop)


def test_the_other_python_runs_as_it_is(tmp_path, monkeypatch):
    make_plan(
        ({"learning_rate": 0.1, "batch_size": 16}, 2),
        ({"learning_rate": 0.01, "batch_size": 16}, 1),
    ).save(tmp_path / "runs" / "mine" / "plan.yaml")
    monkeypatch.chdir(tmp_path)
    others = [
        text for text in blocks("python") if not any(own in text for own in EXAMPLES_OF_ONES_OWN)
    ]
    assert len(others) == len(blocks("python")) - len(EXAMPLES_OF_ONES_OWN) > 0
    for text in others:
        exec(compile(text, "README.md", "exec"), {})


def test_the_configurations_are_valid():
    mine, links, search = map(yaml.safe_load, blocks("yaml"))
    assert Config.model_validate(mine).metric == "accuracy"
    assert Config.model_validate({**mine, **links}).links
    assert Config.model_validate({**mine, **search}).search.order == "dive"


def test_every_key_of_the_configuration_is_named():
    keys = [*Config.model_fields, *(f"search.{key}" for key in SearchSection.model_fields)]
    missing = [key for key in keys if f"`{key}" not in README]
    assert missing == []
