"""Members that carry out the same calls together, one in each process.

The process that asked for them, the driver, has a connection to each: a call goes to all, and the
answer is that of rank 0. So the driver alone decides what is done next, and it hears from each
what has gone wrong.
"""

from __future__ import annotations

import atexit
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import Any
from weakref import WeakSet

from torch.distributed import TCPStore

from schedplan.errors import SchedplanError
from schedplan_video.launch.agent import Agent, RankError
from schedplan_video.launch.machines import Announcement, Machines, Meeting
from schedplan_video.launch.member import Answer, Hello, Start, receive, send
from schedplan_video.ranks import ALONE, Ranks

log = logging.getLogger("schedplan")

GRACE = 10.0
"""Seconds that other ranks have to say what went wrong, or to end, once one has failed."""


class Alone:
    """A team of one: this process; see `Team`.

    Args:
        make: makes the member.
    """

    ended = False

    def __init__(self, make: Callable[[Ranks], Any]) -> None:
        self._member = make(ALONE)

    def call(self, method: str, *args: Any) -> Any:
        """Return what a method of the member returns."""
        return getattr(self._member, method)(*args)


@dataclass(frozen=True)
class _Seat:
    """Where a rank's member is."""

    hello: Hello
    connection: Connection


class Team:
    """Processes, each with a member that carries out the same calls as the others.

    They live until the team is stopped, is garbage, or has failed, and never longer than this
    process. They import its script, which must make teams below `if __name__ == "__main__"`.

    Args:
        make: makes a rank's member; picklable.
        machines: where the processes are.
        device: `cpu`, or `cuda` for a GPU each.
        time_limit: seconds that ranks may wait for each other within a call.

    Attributes:
        ended: whether it can be called no more.

    Raises:
        UsageError: other machines have not joined, or cannot.
        RankError: a process cannot be started.

    Example:
        >>> team = Team(Member, Machines(processes=2), "cpu", time_limit=600)  # doctest: +SKIP
        >>> team.call("train_epoch")  # doctest: +SKIP
    """

    def __init__(
        self, make: Callable[[Ranks], Any], machines: Machines, device: str, time_limit: float
    ) -> None:
        self.ended = True  # until it has begun
        self._seats: list[_Seat] = []
        key = secrets.token_bytes(32)
        with ExitStack() as doors:
            listener = doors.enter_context(Listener((machines.host, 0), backlog=64, authkey=key))
            meeting = Meeting(secrets.token_hex(8), machines.nodes, "", listener.address, key.hex())
            if machines.endpoint is not None:
                meeting = self._invite(machines.endpoint, meeting, doors)
            self._agent = Agent(
                meeting,
                machines.processes,
                machines.host,
                home=True,
                at_end=partial(_wake, listener.address, key),
            )
            self._agent.start()
            self.ended = False
            _teams.add(self)
            try:
                self._meet(listener)
                self._ask(self._starts(make, device, time_limit))
            except BaseException:
                self.close()
                raise

    def call(self, method: str, *args: Any) -> Any:
        """Let every member carry out a method; return what that of rank 0 returns.

        Raises:
            SchedplanError: of a member, as it is. If all members have answered, whatever they
                said, the team goes on; otherwise it has ended.
            OSError: the same, such as of a full disk.
            RankError: a rank has raised anything else, or died; with its number and the cause.
        """
        return self._ask([(method, args)] * len(self._seats))

    def stop(self) -> None:
        """Let all processes end, unless they have."""
        if self.ended:
            return
        for seat in self._seats:
            with suppress(OSError):
                send(seat.connection, None)
        self._agent.join(GRACE)
        self.close()

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        self.ended = True
        for seat in self._seats:
            seat.connection.close()
        if self._seats:  # if not, other machines may be waited for; who comes finds nobody
            self._agent.join(GRACE)

    def __del__(self) -> None:
        self.stop()

    def _invite(self, endpoint: str, meeting: Meeting, doors: ExitStack) -> Meeting:
        """Let other machines know of a meeting; return it with the place where they are to meet."""
        host, _ = meeting.driver
        self._store = TCPStore(host, 0, is_master=True, wait_for_workers=False)
        meeting = replace(meeting, rendezvous=f"{host}:{self._store.port}")
        doors.enter_context(closing(Announcement(endpoint, meeting)))
        log.info(
            "waiting for %d other machines: schedplan video join %s", meeting.nodes - 1, endpoint
        )
        return meeting

    def _starts(self, make: Callable[[Ranks], Any], device: str, time_limit: float) -> list[Start]:
        """Return the first request to each member."""
        size = len(self._seats)
        return [
            Start(make, Ranks(rank, size, hello.local, hello.neighbours), device, time_limit)
            for rank, hello in enumerate(seat.hello for seat in self._seats)
        ]

    def _meet(self, listener: Listener) -> None:
        """Let all members in; the first rank is on this machine."""
        seats: list[_Seat] = []
        while not seats or len(seats) < seats[0].hello.size:
            try:
                connection = listener.accept()
                hello = receive(connection)
            except (AuthenticationError, EOFError, OSError):  # a stranger, or one that has died
                continue
            if hello is None:
                error = self._agent.error("a process")
                error.hint = error.hint or 'a script must start below `if __name__ == "__main__"`'
                raise error
            seats.append(_Seat(hello, connection))
        first = min(seat.hello.number for seat in seats if seat.hello.home)
        self._seats = sorted(seats, key=lambda seat: (seat.hello.number - first) % len(seats))

    def _ask(self, requests: list[Any]) -> Any:
        """Send each member its request; return the answer of rank 0."""
        try:
            for seat, request in zip(self._seats, requests, strict=True):
                with suppress(OSError):  # who has died is found out by `_collect`
                    send(seat.connection, request)
            answers = self._collect()
        except BaseException:  # answers that are still to come would be taken for other ones
            self.close()
            raise
        errors = {rank: answer.error for rank, answer in answers.items() if answer.error}
        if not errors:
            return answers[0].value
        cause = self._cause(errors)
        silent = [self._name(rank) for rank in range(len(self._seats)) if rank not in answers]
        if silent and isinstance(cause, RankError):
            cause.hint = cause.hint or f"{', '.join(silent)} did not answer"
        if silent or any(isinstance(error, _Died) for error in errors.values()):
            self.close()
        raise cause

    def _collect(self) -> dict[int, Answer]:
        """Return the answers, in the order in which they came; after an error, those in time."""
        answers: dict[int, Answer] = {}
        deadline = math.inf
        waiting = {seat.connection: rank for rank, seat in enumerate(self._seats)}
        while waiting:
            patience = None if deadline == math.inf else max(deadline - time.monotonic(), 0)
            ready = wait(list(waiting), patience)
            if not ready:
                break
            for connection in ready:
                answer = _received(connection)
                answers[waiting.pop(connection)] = answer
                if answer.error:
                    deadline = min(deadline, time.monotonic() + GRACE)
        return answers

    def _cause(self, errors: Mapping[int, Exception]) -> SchedplanError | OSError:
        """Return the error to which the others are due."""
        for error in errors.values():
            if isinstance(error, SchedplanError):
                return error
        dead = [rank for rank, error in errors.items() if isinstance(error, _Died)]
        if not dead:  # what failed for want of another rank failed later
            rank, error = next(iter(errors.items()))
            if isinstance(error, OSError):
                return error
            failure = RankError(f"{self._name(rank)} failed: {type(error).__name__}: {error}")
            failure.__notes__ = error.__notes__
            return failure
        self._agent.join(GRACE)
        first = [
            rank
            for rank, seat in enumerate(self._seats)
            if seat.hello.number == self._agent.first_dead
        ]
        return self._agent.error(self._name(*(first or dead)[:1]))

    def _name(self, rank: int) -> str:
        return f"rank {rank} ({self._seats[rank].hello.name})"


class _Died(Exception):  # noqa: N818 - nothing has raised it
    """Stands for the answer of a process that has ended without one."""


def _received(connection: Connection) -> Answer:
    try:
        answer: Answer = receive(connection)
        return answer
    except (EOFError, OSError):
        return Answer(error=_Died())


def _wake(address: tuple[str, int], key: bytes) -> None:
    """Let a listener that may still wait for processes know that there will be none."""
    with suppress(OSError, EOFError, AuthenticationError), Client(address, authkey=key) as waiting:
        send(waiting, None)


_teams: WeakSet[Team] = WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop what is left, before multiprocessing waits for it to end by itself."""
    for team in list(_teams):
        team.stop()
