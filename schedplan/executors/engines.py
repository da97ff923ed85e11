"""Executors by name, for `schedplan run --engine NAME`."""

from __future__ import annotations

from concurrent.futures import Executor

from schedplan.checks import require_whole
from schedplan.errors import UsageError
from schedplan.executors.dask import DaskExecutor
from schedplan.executors.processes import ProcessExecutor
from schedplan.executors.serial import SerialExecutor


def local(
    workers: int | None = None, devices: str | None = None, scheduler: str | None = None
) -> Executor:
    """Return what trains in this process, or in others on this machine, if so many are asked for.

    Args:
        workers: how many transitions at a time.
        devices: their names, with commas between.
        scheduler: of no use here.

    Raises:
        UsageError: fewer than 1 worker, no device's name, or a scheduler.
    """
    if scheduler is not None:
        raise UsageError("--scheduler is of no use here", allowed="with --engine dask only")
    if workers is not None:
        require_whole("--workers", workers, at_least=1, error=UsageError)
    if devices is None:
        return SerialExecutor() if workers is None else ProcessExecutor(workers)
    names = [name.strip() for name in devices.split(",")]
    if not all(names):
        raise UsageError(f"--devices is {devices!r}", allowed="names and commas, such as 0,1")
    return ProcessExecutor(names, workers)


def dask(
    workers: int | None = None, devices: str | None = None, scheduler: str | None = None
) -> Executor:
    """Return what trains on a Dask cluster.

    Args:
        workers, devices: of no use here, the cluster's workers say what they have.
        scheduler: its address.

    Raises:
        UsageError: no address, no answer there, or what is of no use is given.
    """
    if workers is not None or devices is not None:
        raise UsageError(
            "--workers and --devices are of no use with --engine dask",
            hint="the cluster's workers say what they have: dask worker ADDRESS --resources "
            "device=N, with CUDA_VISIBLE_DEVICES",
        )
    if scheduler is None:
        raise UsageError("--engine dask needs --scheduler", allowed="such as tcp://head:8786")
    return DaskExecutor(scheduler)
