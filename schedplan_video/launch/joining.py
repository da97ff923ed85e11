"""Taking part from another machine."""

from __future__ import annotations

import logging
import multiprocessing

import torch

from schedplan_video.launch.agent import PATIENCE, Agent
from schedplan_video.launch.machines import find_meeting

log = logging.getLogger("schedplan")


def join(endpoint: str, processes: int | None = None) -> None:
    """Lend this machine's devices to the run with this endpoint, until it is done.

    What the processes are to do, they learn from there; the videos must lie in the same place here.
    When a process anywhere has failed, all of them end, and this waits for the run to go on.

    Args:
        endpoint: HOST:PORT, as the run's trainer has it.
        processes: how many train here; by default one for each GPU, or one on the CPU.

    Raises:
        UsageError: no run waits for other machines there.
    """
    processes = processes or max(torch.cuda.device_count(), 1)
    past = None
    while True:
        meeting, address = find_meeting(endpoint, past, PATIENCE)
        past = meeting.name
        agent = Agent(meeting, processes, address, home=False)
        agent.start()
        log.info("taking part with %d process%s", processes, "es" if processes > 1 else "")
        try:
            agent.join()
        except BaseException:
            for process in multiprocessing.active_children():
                process.kill()
            raise
        if agent.done.is_set():
            return
        log.warning("a process has failed, the run says why; waiting for it to go on")
