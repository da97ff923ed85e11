"""torch's elastic agent: it starts the processes of one machine, and ends all if one ends."""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousTimeoutError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from schedplan.errors import SchedplanError, UsageError
from schedplan_video.data.processes import interrupts_blocked
from schedplan_video.launch.machines import Meeting
from schedplan_video.launch.member import serve

PATIENCE = 600
"""Seconds that machines wait for each other."""

START_METHOD = "forkserver"

PRELOADED = "schedplan_video.replica"
"""What processes are going to need; a server imports it once, and they are forked from there."""


class RankError(SchedplanError):
    """A process that trains together with others has failed or died; so its transition fails."""


class Agent(Thread):
    """Runs the processes of this machine, until they have all ended.

    Args:
        meeting: of the machines.
        processes: how many this one has.
        address: this machine's, as seen by the others.
        home: whether this is the driver's machine.
        at_end: called when they have ended.

    Attributes:
        done: set once a process was told to end, as all are then.
        failure: what torch says about why they have ended otherwise.
    """

    def __init__(
        self,
        meeting: Meeting,
        processes: int,
        address: str,
        *,
        home: bool,
        at_end: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(daemon=True)
        self.done = multiprocessing.get_context(START_METHOD).Event()
        self.failure: Exception | None = None
        self._meeting, self._processes, self._address = meeting, processes, address
        self._home, self._at_end = home, at_end

    def run(self) -> None:
        _hush()
        multiprocessing.set_forkserver_preload([PRELOADED])
        try:
            with tempfile.TemporaryDirectory() as folder, interrupts_blocked():
                launch = elastic_launch(self._config(Path(folder)), serve)
                launch(self._meeting.driver, self._meeting.key, self._home, self.done)
        except Exception as error:
            self.failure = error
        finally:
            self._at_end()

    @property
    def first_dead(self) -> int | None:
        """The process that ended first, as numbered by torch; None if that is not known."""
        if isinstance(self.failure, ChildFailedError):
            return self.failure.get_first_failure()[0]
        return None

    def error(self, process: str) -> SchedplanError:
        """Return the failure in this project's words; `process` names the one that ended first."""
        if isinstance(self.failure, RendezvousTimeoutError):
            return UsageError(
                f"{self._meeting.nodes} machines have not met within {PATIENCE} seconds",
                hint="run `schedplan video join` on each of the others",
            )
        if not isinstance(self.failure, ChildFailedError):
            return RankError(f"{process} was lost" + (f": {self.failure}" if self.failure else ""))
        ended = self.failure.get_first_failure()[1]
        if ended.exitcode < 0:
            killed = ended.signal_name() == "SIGKILL"
            hint = "the system does so where memory runs short" if killed else None
            return RankError(f"{process} was ended by {ended.signal_name()}", hint=hint)
        told = f": {ended.message['message']}" if isinstance(ended.message, dict) else ""
        return RankError(f"{process} ended with exit code {ended.exitcode}{told}")

    def _config(self, folder: Path) -> LaunchConfig:
        """Return what torch needs to know; what it writes goes into `folder`."""
        meeting = self._meeting
        return LaunchConfig(
            min_nodes=meeting.nodes,
            max_nodes=meeting.nodes,
            nproc_per_node=self._processes,
            run_id=meeting.name,
            rdzv_backend="c10d",
            rdzv_endpoint=meeting.rendezvous or str(folder / "rendezvous"),
            rdzv_configs={
                "store_type": "tcp" if meeting.rendezvous else "file",
                "is_host": False,
                "join_timeout": PATIENCE,
            },
            local_addr=self._address,
            max_restarts=0,
            start_method=START_METHOD,
            logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
        )


def _hush() -> None:
    """Keep torch's launcher from reporting what is told in this project's words."""
    for name in (
        "torch.distributed.elastic",
        "torch.distributed.launcher",
        "torch.multiprocessing",
    ):
        logger = logging.getLogger(name)
        if logger.propagate:
            logger.propagate = False
            logger.addHandler(logging.NullHandler())
