"""Population Based Training by Ray Tune: only where that is installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from schedplan import Axis, SimulatedTrainer, Space, build_graph
from schedplan.baselines import Evolved, Population, evolve, require_ray
from schedplan.errors import MissingDependencyError, RunFolderError, UsageError
from schedplan.graph import basic

SPACE = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
GRAPH = build_graph(
    SPACE, basic(), SPACE.select({"clip": 16, "rate": 0.1}), SPACE.select({"clip": 32})
)

OTHER = build_graph(SPACE, basic(), GRAPH.starts, SPACE.select({"clip": 32, "rate": 0.1}))


def population(members: int = 4, epochs: int = 3) -> Population:
    return Population(GRAPH, "quality", "max", members, epochs, cost="clip")


@pytest.mark.parametrize("numbers", [{"members": 3}, {"epochs": 0}])
def test_too_small_a_population_is_refused(numbers):
    with pytest.raises(UsageError, match="allowed: whole numbers of at least"):
        population(**numbers)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_says_what_to_install(tmp_path):
    with pytest.raises(MissingDependencyError, match=r"pip install 'schedplan\[pbt\]'"):
        evolve(population(), [1], SimulatedTrainer, tmp_path, workers=1)
    with pytest.raises(MissingDependencyError, match=r"pip install 'schedplan\[pbt\]'"):
        require_ray()


class Counted(Population):
    """Comes to its results without Ray, and counts them."""

    calls = 0

    def train(self, trainer, seed, workers):
        Counted.calls += 1
        return Evolved({"quality": 1 / Counted.calls}, self.members, self.epochs, 12, 200.0, 1.0)


def counted(**changes: object) -> Counted:
    asked = {"graph": GRAPH, "metric": "quality", "mode": "max", "members": 4, "epochs": 3}
    return Counted(**{**asked, **changes})


def test_a_population_that_is_known_is_not_trained_again(tmp_path):
    known = evolve(counted(), [1, 2], SimulatedTrainer, tmp_path, workers=1)
    assert evolve(counted(), [1, 2], SimulatedTrainer, tmp_path, workers=1) == known
    (file, _) = sorted(tmp_path.glob("population-4-3/seed-*.json"))
    file.write_text("{")
    with pytest.raises(RunFolderError, match=r"seed-1.*\.json: a result cannot be read"):
        evolve(counted(), [1, 2], SimulatedTrainer, tmp_path, workers=1)


@pytest.mark.parametrize(
    "changes",
    [{"metric": "loss"}, {"mode": "min"}, {"cost": "clip"}, {"epochs": 4}, {"graph": OTHER}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_population_is_known_by_all_that_determines_it(tmp_path, changes):
    (known,) = evolve(counted(), [1], SimulatedTrainer, tmp_path, workers=1)
    (other,) = evolve(counted(**changes), [1], SimulatedTrainer, tmp_path, workers=1)
    assert other.metrics != known.metrics
    (seed,) = evolve(counted(), [2], SimulatedTrainer, tmp_path, workers=1)
    assert seed.metrics != known.metrics
    trainer = {"trainer": {"noise": 0.1}}
    (config,) = evolve(counted(), [1], SimulatedTrainer, tmp_path, workers=1, config=trainer)
    assert config.metrics != known.metrics
    assert evolve(counted(), [1], SimulatedTrainer, tmp_path, workers=1) == (known,)


def test_a_population_is_known_whatever_does_not_determine_it(tmp_path):
    def come_to(**options: object) -> Evolved:
        config = {"trainer": {"noise": 0.1, **options}, "data": {"list": "a"}}
        asked = counted(), [1], SimulatedTrainer, tmp_path, 1
        (found,) = evolve(*asked, config=config, incidental=("workers",))
        return found

    known = come_to(workers=1)
    assert come_to(workers=4) == known
    assert come_to(workers=1, replay={"noise": 0.0}) == known, "a replay's options are not used"
    assert come_to(workers=1, noise=0.2) != known


class Doomed(Counted):
    def train(self, trainer, seed, workers):
        if seed == 1:
            raise RuntimeError("Ray is out of memory")
        return super().train(trainer, seed, workers)


def test_a_population_that_fails_is_a_result_and_is_tried_again(tmp_path):
    doomed = Doomed(GRAPH, "quality", "max", members=4, epochs=3)
    failed, trained = evolve(doomed, [1, 2], SimulatedTrainer, tmp_path, workers=1)
    assert failed.failure == "RuntimeError: Ray is out of memory"
    assert (failed.metrics, trained.failure) == ({}, None)
    told = []
    mended, known = evolve(
        counted(),
        [1, 2],
        SimulatedTrainer,
        tmp_path,
        workers=1,
        on_result=lambda *each: told.append(each),
    )
    assert (mended.failure, known) == (None, trained)
    assert told == [(1, mended), (2, known)]


def test_a_population_is_trained_for_real(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    (evolved,) = evolve(population(), [1], SimulatedTrainer, tmp_path, workers=2)
    assert evolved.epochs >= 3 + 3, "who takes over a model may take over its epochs too"
    assert 16 * evolved.epochs <= evolved.cost <= 32 * evolved.epochs
    assert {"quality", "loss"} <= set(evolved.metrics)
    assert evolve(population(), [1], SimulatedTrainer, tmp_path, workers=2) == (evolved,)
