"""Run folders, plans and configurations with anything in them end in a result or a named error."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_faults import small

from schedplan import Plan, solve
from schedplan.cli.status import status_facts
from schedplan.config import load_config, load_run
from schedplan.errors import SchedplanError
from schedplan.journal import RunFolder
from schedplan.transition import TransitionEvent

CONFIG = """\
name: fuzz
metric: top1
axes: {clip: [16, 32], rate: [0.1, 0.01]}
links: {batch: {of: clip, values: [8, 4]}}
transitions: {preset: basic, rules: [{max_step: {levels: 1}}]}
knee: {estimator: fixed, epochs: 2}
search: {prune: none, budget: {epochs: 100}}
trainer: {use: simulated, noise: 0.05}
"""


@cache
def run_folder() -> Path:
    """Return the folder of a search that was interrupted after two transitions."""
    place = Path(tempfile.mkdtemp())
    (place / "config.yaml").write_text(CONFIG)
    setup = load_config(place / "config.yaml")
    ended = []

    def stop(event: object) -> None:
        if isinstance(event, TransitionEvent) and event.outcome:
            ended.append(event)
            if len(ended) == 2:
                raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        solve(setup.problem, place / "run", config=setup.facts(), on_event=stop)
    solve(small(), place / "other")
    (place / "other" / "plan.yaml").rename(place / "run" / "plan.yaml")
    return place


def mutated(data: st.DataObject, content: bytes) -> bytes:
    """Draw a change: bytes flipped, cut off, put in or doubled; or a value that is another."""
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "double", "value"]))
    at = data.draw(st.integers(0, len(content)))
    if kind == "flip":
        return content[:at] + bytes([data.draw(st.integers(0, 255))]) + content[at + 1 :]
    if kind == "cut":
        return content[:at]
    if kind == "insert":
        return content[:at] + data.draw(st.binary(max_size=8)) + content[at:]
    if kind == "double":
        return content[:at] + content[at // 2 :]
    words = content.split(b" ")
    odd = [b"null", b"-1", b"1e999", b".nan", b"[]", b"{}", b'"x"', b"true", b"9" * 40, b"&a *a"]
    words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(odd))
    return b" ".join(words)


def use_run(place: Path) -> None:
    """Do all that the command line does with a run folder."""
    run = RunFolder(place / "run")
    setup = load_run(run)
    status_facts(run, setup)
    Plan.load(run.path)
    solve(setup.problem, run.path, options=setup.options, config=setup.facts())


def check_run(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "copy"
        shutil.copytree(run_folder(), place)
        files = [
            path
            for path in sorted((place / "run").rglob("*"))
            if path.suffix in (".yaml", ".json", ".jsonl") and path.stat().st_size
        ]
        for _ in range(data.draw(st.integers(1, 2))):
            file = data.draw(st.sampled_from(files))
            file.write_bytes(mutated(data, file.read_bytes()))
        try:
            use_run(place)
        except SchedplanError as error:
            assert str(error)


def check_config(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "config.yaml"
        file.write_bytes(mutated(data, CONFIG.encode()))
        try:
            setup = load_config(file)
            _ = setup.problem, setup.options
            setup.make_trainer()
        except SchedplanError as error:
            assert str(error)


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_is_in_a_run_folder_ends_in_a_result_or_a_named_error(data):
    check_run(data)


@settings(max_examples=150)
@given(data=st.data())
def test_whatever_is_in_a_configuration_ends_in_a_result_or_a_named_error(data):
    check_config(data)


def test_the_run_folder_is_sound_before():
    place = Path(tempfile.mkdtemp()) / "copy"
    shutil.copytree(run_folder(), place)
    use_run(place)
    assert yaml.safe_load((place / "run" / "plan.yaml").read_text())["complete"]
