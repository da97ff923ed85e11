"""What a person sees while a run goes on: on a terminal, in a log, and from another terminal."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

from processes import schedplan
from rich.console import Console

from schedplan.cli.live import Live

CONFIG = """\
name: demo
metric: quality
axes: {rate: [0.1, 0.01]}
knee: {delay: 2}
trainer: {use: simulated}
"""


def shown(live: Live, later: float = 0.0) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(live.table(time.monotonic() + later))
    return console.file.getvalue()


def terminal() -> Live:
    return Live("quality", 4, Console(file=io.StringIO(), force_terminal=True, width=80))


def test_the_table_shows_what_is_trained_its_knee_and_the_time_left():
    live = terminal()
    live.begin("S0__a")
    assert "S0__a" in shown(live, later=1e6), "nobody knows how long a first epoch takes"
    live.end("S0__b", ended=1, epochs=20, seconds=40.0)
    for epoch in range(1, 6):
        live.epoch("S0__a", epoch, 0.25, seconds=10.0, knee=3)
    cells = shown(live).splitlines()[1].split()
    assert cells == ["S0__a", "5", "0.25", "3", "2", "min", "30", "s"]


def test_what_waits_for_its_rivals_and_what_there_is_no_room_for_is_counted():
    live = terminal()
    for number in range(12):
        live.epoch(f"S0__{number}", 1, 0.5, seconds=0.1, knee=None)
    assert "4 more" in shown(live)
    assert "12 paused" in shown(live, later=60.0)
    live.end("S0__0", ended=1, epochs=1, seconds=0.1)
    assert "11 paused" in shown(live, later=60.0)


def test_the_share_counts_what_is_begun():
    live = terminal()
    live.end("S0__a", ended=1, epochs=10, seconds=1.0)
    live.epoch("S0__b", 5, 0.5, seconds=0.1, knee=None)
    assert live.tasks[0].completed == 1.5
    live.epoch("S0__b", 500, 0.5, seconds=0.1, knee=None)
    assert live.tasks[0].completed < 2


def test_status_tells_what_would_be_kept_and_the_time_left_of_what_is_begun(tmp_path: Path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    budget = ("--set", "search.budget={epochs: 25}")
    schedplan("run", "config.yaml", "-q", *budget, cwd=tmp_path, code=3)
    facts = json.loads(schedplan("status", "runs/demo", "-f", "json", cwd=tmp_path).stdout)
    (begun,) = [row for row in facts["details"] if row["status"] == "begun"]
    assert 0 <= begun["knee"] <= begun["epochs"]
    assert begun["seconds_left"] > 0
    table = schedplan("status", "runs/demo", cwd=tmp_path).stdout
    assert f"({begun['knee']})" in table
    assert "in brackets" in table
