"""Trackers: they pass on every epoch of a run, to where people look at numbers and curves.

A tracker is a context manager made for a run folder; it gives a function that is told every event.
What it writes is a copy: the journal of the run is what counts.
"""

from schedplan.trackers.base import Epoch, Track, each_epoch
from schedplan.trackers.csv_file import csv_tracker
from schedplan.trackers.tensorboard import tensorboard_tracker

__all__ = ["Epoch", "Track", "csv_tracker", "each_epoch", "tensorboard_tracker"]
