"""Searches with a fault at any change of a file; a script, as a small process is fast to fork.

python struck.py SCENE FAULT EVERY FOLDER
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

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
from schedplan.transition import EpochEvent, TransitionEvent

Observer: TypeAlias = Callable[[Event], object]

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
    on_event: Observer = lambda event: None,
    executor: Executor | None = None,
    **options,
) -> Plan:
    with_options = SearchOptions(pruning=pruning, **options)
    return solve(
        small(),
        folder,
        options=with_options,
        config={"any": 1},
        executor=executor,
        retry_failed=retry,
        on_event=on_event,
    )


def search_on(folder: Path, **options) -> None:
    """Search; that transitions have failed before, and none is left, is no fault."""
    with suppress(RunFailedError):
        search(folder, **options)


def search_with_processes(folder: Path, **options) -> None:
    with ProcessExecutor(2) as executor:
        search_on(folder, executor=executor, **options)


def files(folder: Path) -> set[str]:
    """Return what is in a run folder, however many attempts it took."""
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {
        "/".join("ATTEMPT" if part.isdecimal() and len(part) < 4 else part for part in path.parts)
        for path in found
    }


def answer(folder: Path) -> dict[str, bytes]:
    """Return the plan and its model, file by file."""
    found = [*folder.glob("plan.yaml"), *(folder / "model").rglob("*")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def cut_off(folder: Path, on_event: Observer = lambda event: None) -> None:
    """Search until the second transition has an epoch."""
    seen = set()

    def stop(event: Event) -> None:
        on_event(event)
        if isinstance(event, EpochEvent):
            seen.add(event.key)
            if len(seen) == 2 and event.record.epoch == 1:
                raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        search(folder, on_event=stop)


@cache
def found() -> Plan:
    return solve(small(), options=SearchOptions(pruning=NONE))


def nothing(folder: Path, on_event: Observer) -> None:
    """Leave no folder."""


def replay_found(folder: Path, on_event: Observer = lambda event: None) -> None:
    replay(found(), NOISY, folder, on_event=on_event)


SCENES: dict[str, tuple[Callable[..., object], Callable[..., object]]] = {
    "search": (nothing, search),
    "resumed": (cut_off, search),
    # The wider search needs models that the one before had no use for.
    "restoring": (search, partial(search, frontier=Beam(2))),
    "processes": (nothing, search_with_processes),
    "replay": (lambda folder, on_event: found(), replay_found),
}
"""What comes before, and what is struck."""


class Diary:
    """What sessions have trained, published and told, written down outside of their folder."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.touch()

    def tell(self, event: Event) -> None:
        """Note what is told of: an epoch that was trained, or the end of a transition."""
        if isinstance(event, EpochEvent) and event.record.epoch:
            self._write("trained", event.key, event.record.epoch)
        if isinstance(event, TransitionEvent) and event.outcome:
            self._write("ended", event.key)

    def session(self, work: Callable[..., object], folder: Path) -> None:
        """Do `work`, in a process of its own; note what is told, and whose result is published."""

        def note(event: str, arguments: tuple) -> None:
            if event == "os.rename" and Path(arguments[1]).name == "result.json":
                self._write("published", Path(arguments[1]).parent.name)

        sys.addaudithook(note)
        work(folder, on_event=self.tell)

    def count(self, what: str) -> Counter[str]:
        """Return how often each transition, or epoch of one, was `trained`, `ended`, ...."""
        lines = (line.partition(" ") for line in self._file.read_text().splitlines())
        return Counter(name for kind, _, name in lines if kind == what)

    def _write(self, *words: object) -> None:
        with self._file.open("a") as stream:
            print(*words, file=stream)


def sweep(scene: str, fault: Fault, every: int, place: Path) -> int:
    """Strike at every so many changes; return how many there were."""
    before, work = SCENES[scene]
    begun, whole, earlier = place / "begun", place / "whole", place / "begun.txt"
    before(begun, on_event=Diary(earlier).tell)
    if begun.exists():
        shutil.copytree(begun, whole)
    known = results(begun)
    number = changes(partial(Diary(place / "whole.txt").session, work, whole), whole)
    expected, left, new = answer(whole), files(whole), Counter(results(whole) - known)
    for at in range(1, number + 1, every):
        folder, diary = place / f"{at}", Diary(shutil.copy(earlier, place / f"{at}.txt"))
        if begun.exists():
            shutil.copytree(begun, folder)
        session = partial(diary.session, work, folder)
        assert strike(session, folder, at, fault), at
        lost = set(diary.count("published")) - results(folder)
        assert not lost & set(diary.count("ended")), (at, lost)  # what was told of is there to stay
        changes(session, folder)
        assert answer(folder) == expected, at
        assert files(folder) == left, (at, files(folder) ^ left)
        assert diary.count("published") == new + Counter(lost), at
        again = diary.count("trained") - Counter(set(diary.count("trained")))
        assert not again or scene == "processes", (at, again)  # whose workers outlive it a moment
        shutil.rmtree(folder)
    assert not strike(partial(work, place / "end"), place / "end", 10 * number), "no fault"
    return number


def tear(every: int, place: Path) -> int:
    """Cut a journal of three epochs off at every so many bytes; return how many there were."""

    def stop(event: Event) -> None:
        if isinstance(event, EpochEvent) and event.record.epoch == 2:
            raise KeyboardInterrupt

    search(place / "whole")
    with suppress(KeyboardInterrupt):
        search(place / "cut", on_event=stop)
    (journal,) = (place / "cut").glob("transitions/*/1/epochs.jsonl")
    content = journal.read_bytes()
    assert content.count(b"\n") == 3
    for length in range(0, len(content), every):
        torn = place / f"{length}"
        shutil.copytree(place / "cut", torn)
        (torn / journal.relative_to(place / "cut")).write_bytes(content[:length])
        search(torn)
        assert answer(torn) == answer(place / "whole"), length
        assert files(torn) == files(place / "whole"), length
        shutil.rmtree(torn)
    return len(content)


def results(folder: Path) -> set[str]:
    """Return the transitions whose result is in a run folder."""
    return {path.parent.name for path in folder.glob("transitions/*/result.json")}


if __name__ == "__main__":
    print(sweep(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
