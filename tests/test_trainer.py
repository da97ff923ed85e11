from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from schedplan import FunctionTrainer, GeneratorTrainer, Scale, SimulatedTrainer, Trainer
from schedplan.errors import TrainerError
from schedplan.trainer import Seat, data_of, derive_seed, scale_of


def counting(**stated: object) -> FunctionTrainer:
    """Adds params["step"] and the epoch's seed in every epoch."""

    def train(model, seed):
        model["sum"] += model["step"]
        model["seeds"].append(seed)

    return FunctionTrainer(
        build=lambda params, seed: {"sum": 0, "step": params["step"], "seeds": []},
        train=train,
        evaluate=lambda model: {"sum": model["sum"]},
        save=lambda model, folder: (folder / "sum").write_text(str(model["sum"])),
        load=lambda model, folder: model.update(sum=int((folder / "sum").read_text())),
        **stated,
    )


def counting_generator(**stated: object) -> GeneratorTrainer:
    def function(params, start, seed, resume):
        folder = resume or start
        total = int((folder / "sum").read_text()) if folder else 0
        while True:
            yield {"sum": total}, lambda to, total=total: (to / "sum").write_text(str(total))
            total += params["step"]

    return GeneratorTrainer(function, **stated)


@pytest.fixture(params=[counting, counting_generator])
def trainer(request) -> Trainer:
    return request.param()


def saved(trainer: Trainer, folder: Path) -> Path:
    folder.mkdir()
    trainer.save(folder)
    return folder


def test_a_wrapped_trainer_keeps_the_protocol(trainer, tmp_path):
    assert isinstance(trainer, Trainer)
    trainer.begin({"step": 2}, start=None, seed=7)
    assert trainer.evaluate() == {"sum": 0}
    assert trainer.train_epoch() == {}
    after_one = saved(trainer, tmp_path / "one")
    trainer.train_epoch()
    assert trainer.evaluate() == {"sum": 4}

    trainer.begin({"step": 5}, start=after_one, seed=8)
    assert trainer.evaluate() == {"sum": 2}
    trainer.train_epoch()
    assert trainer.evaluate() == {"sum": 7}

    trainer.begin({"step": 2}, start=None, seed=7)
    trainer.restore(after_one)
    trainer.train_epoch()
    assert trainer.evaluate() == {"sum": 4}


def test_every_epoch_has_a_seed_of_its_own_and_keeps_it_after_a_restore(tmp_path):
    def recording(seeds: list[int]) -> FunctionTrainer:
        return FunctionTrainer(
            build=lambda params, seed: None,
            train=lambda model, seed: seeds.append(seed),
            evaluate=lambda model: {},
            save=lambda model, folder: None,
            load=lambda model, folder: None,
        )

    whole, resumed = [], []
    trainer = recording(whole)
    trainer.begin({}, start=None, seed=3)
    trainer.train_epoch()
    folder = saved(trainer, tmp_path / "one")
    trainer.train_epoch()
    again = recording(resumed)
    again.begin({}, start=None, seed=3)
    again.restore(folder)
    again.train_epoch()
    assert len(set(whole)) == 2
    assert resumed == whole[1:]


@pytest.mark.parametrize("wrapped", [counting, counting_generator])
def test_a_wrapped_trainer_states_its_metrics_and_scales(wrapped):
    assert wrapped().metrics is None
    assert scale_of(wrapped(), "sum") is None
    stating = wrapped(metrics=("sum",), scales={"sum": (0, 9)})
    assert stating.metrics == ("sum",)
    assert scale_of(stating, "sum") == Scale(chance=0.0, perfect=9.0)
    assert scale_of(stating, "product") is None
    assert scale_of(wrapped(scales={"sum": Scale(9, 0)}), "sum") == Scale(9, 0)


@pytest.mark.parametrize("stated", [5, "ab", (1,), (1, 1), (0, float("nan"))])
def test_what_is_no_scale_is_told(stated):
    with pytest.raises(TrainerError, match=r"scale of 'sum'.*best score there is"):
        scale_of(counting(scales={"sum": stated}), "sum")


def test_a_trainer_says_what_its_data_are():
    assert data_of(counting()) == {}
    assert data_of(counting(data={"train.npz": "1c"})) == {"train.npz": "1c"}


@pytest.mark.parametrize("stated", ["1c", {"train.npz": 1}, ["train.npz"]])
def test_what_says_nothing_of_data_is_told(stated):
    with pytest.raises(TrainerError, match=r"data are .*allowed: texts by name"):
        data_of(counting(data=stated))


def test_a_generator_that_ends_is_told_what_is_expected():
    def once(params, start, seed, resume):
        yield {"sum": 0}, lambda to: None

    trainer = GeneratorTrainer(once)
    trainer.begin({}, start=None, seed=0)
    with pytest.raises(TrainerError, match="yield after every epoch"):
        trainer.train_epoch()


def test_per_thread_makes_one_trainer_and_a_pickled_copy_starts_afresh():
    factory = Seat(SimulatedTrainer)
    assert factory() is factory()
    copy = pickle.loads(pickle.dumps(factory))
    assert copy() is not factory()


def test_derived_seeds_do_not_change_between_versions():
    assert derive_seed(0, "S0--16") == 3203594941
