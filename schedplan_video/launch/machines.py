"""Which processes there are on which machines, and how machines find each other."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from threading import Thread

from schedplan.errors import UsageError


@dataclass(frozen=True)
class Machines:
    """Where processes are started.

    Args:
        processes: how many on this machine.
        nodes: machines, this one included; on each of the others somebody runs `join`.
        endpoint: HOST:PORT of this machine, at which the others find it; only if there are any.
            Whoever can reach it can take part, so it belongs into a network that is trusted.

    Raises:
        UsageError: a number below 1, or an endpoint that is none, is missing or has no use.

    Example:
        >>> Machines(processes=4, nodes=2, endpoint="gpu1:29400").host
        'gpu1'
    """

    processes: int = 1
    nodes: int = 1
    endpoint: str | None = None

    def __post_init__(self) -> None:
        for name, number in {"processes": self.processes, "nodes": self.nodes}.items():
            if number < 1:
                raise UsageError(f"{name} is {number}", allowed="1 or more", path=(name,))
        if (self.nodes > 1) != (self.endpoint is not None):
            raise UsageError(
                f"nodes is {self.nodes}, but the endpoint is {self.endpoint}",
                allowed="an endpoint if there are several machines, and only then",
                path=("endpoint",),
            )
        if self.endpoint is not None:
            split_endpoint(self.endpoint)

    @property
    def alone(self) -> bool:
        """Whether there is one process only."""
        return self.processes == self.nodes == 1

    @property
    def host(self) -> str:
        """The address at which this machine is reached by all that take part."""
        return split_endpoint(self.endpoint)[0] if self.endpoint else "127.0.0.1"


@dataclass(frozen=True)
class Meeting:
    """What the agents of all machines must know to start processes that belong together.

    Attributes:
        name: of this meeting alone.
        nodes: machines.
        rendezvous: HOST:PORT of the store through which agents meet; empty if there is one only.
        driver: host and port at which the driver waits for the processes.
        key: with which it lets them in, hexadecimal.
    """

    name: str
    nodes: int
    rendezvous: str
    driver: tuple[str, int]
    key: str


class Announcement:
    """Tells a meeting to whoever asks at an endpoint, until it is closed.

    Raises:
        UsageError: the endpoint is not this machine's, or in use.
    """

    def __init__(self, endpoint: str, meeting: Meeting) -> None:
        self._text = json.dumps(asdict(meeting)).encode()
        try:
            self._server = socket.create_server(split_endpoint(endpoint))
        except OSError as error:
            raise UsageError(
                f"cannot wait for other machines there: {error.strerror or error}",
                where=endpoint,
                allowed="an address of this machine, and a port that is free",
            ) from None
        Thread(target=self._tell, daemon=True).start()

    def _tell(self) -> None:
        with suppress(OSError):  # when it is closed
            while True:
                asking, _ = self._server.accept()
                with asking, suppress(OSError):
                    asking.sendall(self._text)

    def close(self) -> None:
        """Wake the thread up, and let the endpoint go."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def find_meeting(endpoint: str, past: str | None, patience: float) -> tuple[Meeting, str]:
    """Return the meeting announced at `endpoint`, and this machine's address as seen from there.

    Args:
        endpoint: HOST:PORT.
        past: the name of a meeting that is over.
        patience: seconds to wait for one.

    Raises:
        UsageError: none came, or the endpoint is no HOST:PORT.
    """
    place, deadline = split_endpoint(endpoint), time.monotonic() + patience
    while time.monotonic() < deadline:
        with suppress(OSError, ValueError), socket.create_connection(place, timeout=10) as asked:
            facts = json.load(asked.makefile())
            if facts["name"] != past:
                meeting = Meeting(**facts | {"driver": tuple(facts["driver"])})
                return meeting, asked.getsockname()[0]
        time.sleep(1)
    raise UsageError(
        f"nobody waits for other machines there, {patience:g} seconds long",
        where=endpoint,
        hint="start the run whose trainer has this endpoint",
    )


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Return host and port; raise `UsageError` if these are not both there.

    Example:
        >>> split_endpoint("gpu1:29400")
        ('gpu1', 29400)
    """
    host, _, port = endpoint.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise UsageError(f"the endpoint is {endpoint!r}", allowed="HOST:PORT", path=("endpoint",))
    return host, int(port)
