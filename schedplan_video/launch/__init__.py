"""Processes that train together, one for each device, on one machine or several."""

from schedplan_video.launch.joining import join
from schedplan_video.launch.machines import Machines
from schedplan_video.launch.team import Alone, RankError, Team

__all__ = ["Alone", "Machines", "RankError", "Team", "join"]
