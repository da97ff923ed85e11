"""A run is resumed with the data that it was begun with, wherever they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import schedplan

CONFIG = """\
name: demo
metric: top1
axes: {learning_rate: [0.04, 0.004]}
knee: {estimator: fixed, epochs: 2}
trainer: {use: "told:Told", folder: ., noise: 0.02}
"""

TRAINER = """\
from pathlib import Path
from schedplan import SimulatedTrainer

class Told(SimulatedTrainer):
    incidental = ("folder",)

    def __init__(self, folder: str, noise: float):
        super().__init__(noise=noise)
        self.data = {"list.txt": (Path(folder) / "list.txt").read_text()}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "told.py").write_text(TRAINER)
    (tmp_path / "list.txt").write_text("a b")
    return tmp_path


@pytest.mark.parametrize("command", [("run", "config.yaml", "--confirm"), ("replay", "runs/demo")])
def test_it_is_not_resumed_with_other_data(folder, command):
    schedplan("run", "config.yaml", cwd=folder)
    first = schedplan(*command, cwd=folder)
    (folder / "moved").mkdir()
    (folder / "list.txt").rename(folder / "moved" / "list.txt")
    moved = schedplan(*command, "--set", "trainer.folder=moved", cwd=folder)
    assert moved.stdout == first.stdout
    (folder / "list.txt").write_text("a b c")
    changed = schedplan(*command, cwd=folder, code=2)
    assert "the data have changed" in changed.stderr
    assert "list.txt was 'a b' and is now 'a b c'" in changed.stderr
    assert changed.stdout == ""
