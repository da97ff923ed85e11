"""Trackers: they pass on every epoch of a run, to where people look at numbers and curves.

A tracker is a context manager made for a run folder; it gives a function that is told every event,
of a search or of training along a plan. What it writes is a copy: the journal of the run is what
counts. So one that raises while the run goes on is told no more, with a warning, and may catch up
when the same command is given again: a finished run, too, is told of by a `RunEvent`.
"""

from schedplan.trackers.base import Epoch, Track, each_epoch
from schedplan.trackers.csv_file import csv_tracker
from schedplan.trackers.tensorboard import tensorboard_tracker

__all__ = ["Epoch", "Track", "csv_tracker", "each_epoch", "tensorboard_tracker"]
