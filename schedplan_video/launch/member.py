"""What a started process does: what it is told, until it is told to end or loses its driver."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import parent_process
from multiprocessing.connection import Client, Connection, wait
from multiprocessing.synchronize import Event
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch
from torch import distributed

from schedplan.errors import portable
from schedplan_video.ranks import Ranks


@dataclass(frozen=True)
class Hello:
    """How a process introduces itself to the driver.

    Attributes:
        number: by torch's count, from 0.
        size: how many there are.
        local: its number among those of its machine.
        neighbours: how many that has.
        home: whether that is the driver's.
        name: of the process, for messages.
    """

    number: int
    size: int
    local: int
    neighbours: int
    home: bool
    name: str


@dataclass(frozen=True)
class Start:
    """The first request: who the process is among the others, and what makes its member.

    Attributes:
        make: called with `ranks`; its methods are what the further requests name.
        ranks: joined by a process group of torch when it is called.
        device: `cpu`, or `cuda` for the GPU of its local number.
        time_limit: seconds that ranks may wait for each other.
    """

    make: Callable[[Ranks], Any]
    ranks: Ranks
    device: str
    time_limit: float


@dataclass(frozen=True)
class Answer:
    """What came of a request: a value, from rank 0 alone, or an error."""

    value: Any = None
    error: Exception | None = None


def send(connection: Connection, message: object) -> None:
    """Send a copy; by `Connection.send`, tensors would share their memory with the receiver."""
    connection.send_bytes(pickle.dumps(message))


def receive(connection: Connection) -> Any:
    """Return what the other end has sent; raise `EOFError` or `OSError` if it has gone."""
    return pickle.loads(connection.recv_bytes())


def serve(driver: tuple[str, int], key: str, home: bool, done: Event) -> None:
    """Carry out the driver's requests, in a process that torch's elastic agent has started.

    Args:
        driver: host and port.
        key: lets this process in.
        home: whether the driver is on this machine.
        done: to be set when the driver says that this is the end.
    """
    os.dup2(2, 1)  # what is printed here is no data of the driver's
    store, number, size = next(distributed.rendezvous("env://"))
    local, neighbours = (int(os.environ[f"LOCAL_{each}"]) for each in ("RANK", "WORLD_SIZE"))
    name = f"process {os.getpid()} on {socket.gethostname()}"
    connection = Client(driver, authkey=bytes.fromhex(key))
    send(connection, Hello(number, size, local, neighbours, home, name))
    requests: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_listen, args=(connection, requests), daemon=True).start()
    member: Any = None
    while request := requests.get():
        try:
            if isinstance(request, Start):
                member = _start(request, store)
                answer = Answer()
            else:
                method, args = request
                value = getattr(member, method)(*args)
                answer = Answer(value if distributed.get_rank() == 0 else None)
        except Exception as error:
            answer = Answer(error=portable(error))
        send(connection, answer)
    done.set()
    distributed.destroy_process_group()


def _listen(connection: Connection, requests: SimpleQueue[Any]) -> None:
    """Pass requests on; end this process when the driver, or who started this, has gone.

    It may be waiting for other processes then, so nothing less than the end would do.
    """
    parent = parent_process()
    try:
        while parent and parent.sentinel not in wait([connection, parent.sentinel]):
            requests.put(receive(connection))
    except (EOFError, OSError):
        pass
    except Exception as error:  # what was sent is not known here
        send(connection, Answer(error=portable(error)))
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(1)


def _start(start: Start, store: distributed.Store) -> Any:
    """Return this rank's member, in a process group."""
    gpu = start.device == "cuda"
    if gpu:
        torch.cuda.set_device(start.ranks.local)
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if gpu else "gloo",
        store=store,
        rank=start.ranks.rank,
        world_size=start.ranks.size,
        timeout=timedelta(seconds=start.time_limit),
    )
    return start.make(start.ranks)
