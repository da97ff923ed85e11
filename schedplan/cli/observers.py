"""Who is told what happens in a run: a person, the trackers, and the plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from schedplan.cli.progress import Display, log
from schedplan.config import Setup
from schedplan.errors import UsageError
from schedplan.journal import RunFolder
from schedplan.plugins import Plugins
from schedplan.solver import Event, RunEvent
from schedplan.trackers import Track, csv_tracker

MakeTracker: TypeAlias = Callable[[Path], AbstractContextManager[Track]]
"""Makes a tracker of a run folder."""

Trackers: TypeAlias = Mapping[str, MakeTracker]
"""What makes the trackers of a run folder, by name."""

ALWAYS: Final[Trackers] = {"csv": csv_tracker}
"""What every run has: it keeps `epochs.csv`."""


def load_trackers(setup: Setup, names: Iterable[str] | None) -> Trackers:
    """Return the trackers of those names, and those that every run has.

    Raises:
        PluginError: if there is none of a name.
    """
    chosen = {name: setup.plugins.get("trackers", name).load() for name in names or ()}
    return {**ALWAYS, **chosen}


@contextmanager
def observed(
    setup: Setup, folder: RunFolder, display: Display, trackers: Trackers = ALWAYS
) -> Iterator[Track]:
    """Give what tells every event of a run to a person, the trackers, and the plug-ins.

    A tracker or a plug-in that raises is told no more, with a warning: training goes on.

    Args:
        setup: names the plug-ins.
        folder: the run folder that the trackers are made for.
        display: what a person sees.
        trackers: see `load_trackers`.
    """
    names = setup.plugins.names  # each by itself, so that one takes no other with it
    plugins = [_Guarded(f"the plug-in {name!r}", Plugins([name]).emit) for name in names]
    with display, _tracked(folder, trackers) as track:
        observers: list[Track] = [display, track, *plugins]

        def on_event(event: Event) -> None:
            for observe in observers:
                observe(event)

        yield on_event


def write_trackers(setup: Setup, folder: RunFolder, trackers: Trackers) -> None:
    """Let the trackers of a finished run write what its journal has."""
    with folder.hold(), _tracked(folder, trackers) as track:
        track(RunEvent(folder.path, setup.graph))


@contextmanager
def _tracked(folder: RunFolder, trackers: Trackers) -> Iterator[Track]:
    """Give what tells every event to the trackers."""
    with ExitStack() as stack:
        tracks = []
        for name, make in trackers.items():
            guarded = _Guarded(f"the tracker {name!r}", hint=_AGAIN)
            # What it lacks or refuses is told before anything is trained; a server may be down.
            place = folder.path.absolute()
            guarded.attempt(_begin, guarded, make, place, stack, unless=UsageError)
            tracks.append(guarded)

        def track(event: Event) -> None:
            for each in tracks:
                each(event)

        yield track


def _begin(guarded: _Guarded, make: MakeTracker, folder: Path, stack: ExitStack) -> None:
    """Let a tracker begin, and end with the stack."""
    tracker = make(folder)
    guarded.observe = tracker.__enter__()
    stack.push(partial(guarded.attempt, tracker.__exit__))


class _Guarded:
    """Tells every event to an observer until that raises, which must not end a training.

    Args:
        what: what a person calls the observer.
        observe: is told.
        hint: what a person can do once it has raised.
    """

    def __init__(self, what: str, observe: Track = lambda event: None, hint: str = "") -> None:
        self._what, self.observe, self._hint = what, observe, hint
        self._failed = False

    def __call__(self, event: Event) -> None:
        if not self._failed:
            self.attempt(self.observe, event)

    def attempt(
        self,
        do: Callable[..., object],
        *arguments: object,
        unless: type[Exception] | tuple[()] = (),
    ) -> None:
        """Do something for the observer; where that raises, say so, once, unless it is another's
        to be told."""
        try:
            do(*arguments)
        except unless:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if not self._failed:
                log.warning("%s fails and is told no more: %s%s", self._what, reason, self._hint)
            log.debug("why %s fails", self._what, exc_info=True)
            self._failed = True


_AGAIN: Final = "; the journal has every epoch, and the same command again passes all of them on"
