"""Population Based Training by Ray Tune: only where that is installed."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from schedplan import Axis, SimulatedTrainer, Space, build_graph
from schedplan.baselines import Population, evolve
from schedplan.errors import MissingDependencyError, RunFolderError, UsageError
from schedplan.graph import basic

SPACE = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
GRAPH = build_graph(
    SPACE, basic(), SPACE.select({"clip": 16, "rate": 0.1}), SPACE.select({"clip": 32})
)


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


def test_a_population_that_is_known_is_not_trained_again(tmp_path):
    file = tmp_path / "population-4-3" / "seed-1.json"
    file.parent.mkdir()
    amounts = {"members": 4, "length": 3, "epochs": 12, "cost": 200.0, "seconds": 1.0}
    file.write_text(json.dumps({"metrics": {"quality": 0.5}, **amounts}))
    (known,) = evolve(population(), [1], SimulatedTrainer, tmp_path, workers=1)
    assert (known.metrics, known.epochs) == ({"quality": 0.5}, 12)
    file.write_text("{")
    with pytest.raises(RunFolderError, match=r"seed-1\.json: a result cannot be read"):
        evolve(population(), [1], SimulatedTrainer, tmp_path, workers=1)


def test_a_population_is_trained_for_real(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed")
    (evolved,) = evolve(population(), [1], SimulatedTrainer, tmp_path, workers=2)
    assert evolved.epochs >= 3 + 3, "who takes over a model may take over its epochs too"
    assert 16 * evolved.epochs <= evolved.cost <= 32 * evolved.epochs
    assert {"quality", "loss"} <= set(evolved.metrics)
    assert evolve(population(), [1], SimulatedTrainer, tmp_path, workers=2) == (evolved,)
