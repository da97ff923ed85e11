"""Searches with a fault at any change of a file; a script, as a small process is fast to fork.

python struck.py SCENE FAULT EVERY FOLDER
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from schedplan import (
    NONE,
    Axis,
    Beam,
    FixedEpochs,
    Plan,
    Problem,
    Pruning,
    SearchOptions,
    SimulatedTrainer,
    Space,
    build_graph,
    replay,
    solve,
)
from schedplan.errors import RunFailedError
from schedplan.executors import ProcessExecutor
from schedplan.graph import basic
from schedplan.solver import Event
from schedplan.testing.faults import Fault, changes, strike
from schedplan.transition import EpochEvent

NOISY = partial(SimulatedTrainer, noise=0.05)


def small(trainer=NOISY) -> Problem:
    """Return a search of five transitions, of two epochs each."""
    space = Space((Axis("clip", (16, 32)), Axis("rate", (0.1, 0.01))))
    starts, finals = space.select({"rate": 0.1}), space.select({"rate": 0.01, "clip": 32})
    return Problem(
        build_graph(space, basic(), starts, finals), trainer, "top1", estimator=FixedEpochs(2)
    )


def search(
    folder: Path,
    pruning: Pruning = NONE,
    retry: bool = False,
    on_event: Callable[[Event], object] = lambda event: None,
    **options,
) -> Plan:
    with_options = SearchOptions(pruning=pruning, **options)
    return solve(
        small(),
        folder,
        options=with_options,
        config={"any": 1},
        retry_failed=retry,
        on_event=on_event,
    )


def search_on(folder: Path, **options) -> None:
    """Search; that transitions have failed before, and none is left, is no fault."""
    with suppress(RunFailedError):
        search(folder, **options)


def files(folder: Path) -> set[str]:
    """Return what is in a run folder, however many attempts it took."""
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {
        "/".join("ATTEMPT" if part.isdecimal() and len(part) < 4 else part for part in path.parts)
        for path in found
    }


def cut_off(folder: Path) -> None:
    """Search until the second transition has an epoch."""
    seen = []

    def stop(event: Event) -> None:
        seen.extend([event.key] if isinstance(event, EpochEvent) else [])
        if len(set(seen)) == 2 and event.record.epoch == 1:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        search(folder, on_event=stop)


def search_with_processes(folder: Path) -> None:
    with ProcessExecutor(2) as executor:
        solve(
            small(),
            folder,
            options=SearchOptions(pruning=NONE),
            config={"any": 1},
            executor=executor,
        )


@cache
def found() -> Plan:
    return solve(small(), options=SearchOptions(pruning=NONE))


SCENES: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "search": (lambda folder: None, search),
    "resumed": (cut_off, search),
    # The wider search needs models that the one before had no use for.
    "restoring": (search, partial(search, frontier=Beam(2))),
    "processes": (lambda folder: None, search_with_processes),
    "replay": (lambda folder: found(), lambda folder: replay(found(), NOISY, folder)),
}
"""What comes before, and what is struck."""


def published(work: Callable[[], object], diary: Path) -> None:
    """Do `work`, in a process of its own; note in `diary` whose result is published."""

    def note(event: str, arguments: tuple) -> None:
        if event == "os.rename" and Path(arguments[1]).name == "result.json":
            with diary.open("a") as stream:
                stream.write(f"{Path(arguments[1]).parent.name}\n")

    sys.addaudithook(note)
    work()


def sweep(scene: str, fault: Fault, every: int, place: Path) -> int:
    """Strike at every so many changes; return how many there were."""
    before, work = SCENES[scene]
    begun, whole = place / "begun", place / "whole"
    before(begun)
    if begun.exists():
        shutil.copytree(begun, whole)
    known = {path.parent.name for path in begun.glob("transitions/*/result.json")}
    number = changes(partial(work, whole), whole)
    plans = ["plan.yaml", "model/state.json"]
    expected, left = [content(whole / name) for name in plans], files(whole)
    keys = {path.name for path in (whole / "transitions").iterdir()}
    for at in range(1, number + 1, every):
        folder, diary = place / f"{at}", place / f"{at}.txt"
        diary.touch()
        if begun.exists():
            shutil.copytree(begun, folder)
        session = partial(published, partial(work, folder), diary)
        assert strike(session, folder, at, fault), at
        changes(session, folder)
        assert [content(folder / name) for name in plans] == expected, at
        assert files(folder) == left, (at, files(folder) ^ left)
        assert Counter(diary.read_text().split()) == Counter(keys - known), at
        shutil.rmtree(folder)
    assert not strike(partial(work, place / "end"), place / "end", 10 * number), "no fault"
    return number


def content(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


if __name__ == "__main__":
    print(sweep(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
