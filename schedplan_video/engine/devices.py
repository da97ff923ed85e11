"""Where networks compute, and in which precision and layout."""

from __future__ import annotations

import os

import torch

from schedplan.errors import UsageError, did_you_mean

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

PRECISIONS = ("auto", *_DTYPES)


def find_device(name: str) -> torch.device:
    """Return the device called `name`: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:N`.

    Nothing is allocated on it: this may be asked by a process that is to leave it alone.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if name != "cpu" and (kind != "cuda" or not (number or "0").isdecimal()):
        raise UsageError(
            f"cannot use the device {name!r}",
            allowed="auto, cpu, cuda or cuda:N",
            path=("device",),
        )
    count = torch.cuda.device_count()
    if kind == "cuda" and int(number or 0) >= count:
        raise UsageError(
            f"cannot use the device {name!r}: torch finds {count} GPUs",
            allowed="auto, cpu, or a GPU counted from cuda:0",
            path=("device",),
        )
    return torch.device(name)


def find_devices(name: str, processes: int) -> str:
    """Return the kind of device of which each of some processes has its own: `cpu` or `cuda`.

    Raises:
        UsageError: one device for all, or fewer GPUs than processes.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(
            f"the device is {name!r}, but there are several processes",
            allowed="auto, cpu or cuda, for one each",
            path=("device",),
        )
    count = torch.cuda.device_count()
    if name == "cuda" and processes > count:
        raise UsageError(
            f"processes is {processes}, but this machine has {count} GPUs",
            allowed="one for each GPU",
            path=("processes",),
        )
    return name


def find_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type that the bulk of a network computes in; weights are float32 in any case.

    Args:
        name: one of `PRECISIONS`; `auto` is bfloat16 on a GPU that has it, and float32 elsewhere.
        device: where it computes.

    Raises:
        UsageError: an unknown name.

    Example:
        >>> find_precision("auto", torch.device("cpu"))
        torch.float32
    """
    if name == "auto":
        has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(False)
        return torch.bfloat16 if has_bfloat16 else torch.float32
    if name not in _DTYPES:
        raise UsageError(
            f"unknown precision {name!r}",
            allowed=PRECISIONS,
            hint=did_you_mean(name, PRECISIONS),
            path=("precision",),
        )
    return _DTYPES[name]


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the layout of networks and clips: channels last on a GPU, whose cores ask for it.

    On a CPU the two have measured alike.
    """
    return torch.channels_last_3d if device.type == "cuda" else torch.contiguous_format


def share_cores(workers: int, processes: int = 1) -> None:
    """Leave a core to each decoding process, for training on the CPU.

    OpenMP's threads wait by spinning: with more of them than free cores they slow training tenfold.

    Args:
        workers: processes that decode for this one.
        processes: those that train on this machine.
    """
    if workers or processes > 1:
        free = max((os.cpu_count() or 1) // processes - workers, 1)
        torch.set_num_threads(min(torch.get_num_threads(), free))
