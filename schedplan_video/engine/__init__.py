"""The training of one epoch, on whatever device there is."""

from schedplan_video.engine.devices import (
    PRECISIONS,
    find_device,
    find_devices,
    find_precision,
    memory_format,
    share_cores,
)
from schedplan_video.engine.epoch import train_epoch
from schedplan_video.engine.objective import (
    Objective,
    forward,
    mixing,
    summed_loss,
)
from schedplan_video.engine.updates import MAX_GRADIENT_NORM, Updates

__all__ = [
    "MAX_GRADIENT_NORM",
    "PRECISIONS",
    "Objective",
    "Updates",
    "find_device",
    "find_devices",
    "find_precision",
    "forward",
    "memory_format",
    "mixing",
    "share_cores",
    "summed_loss",
    "train_epoch",
]
