"""What this package adds to schedplan, as hook implementations.

What needs torch is named, not imported, so that the plug-in loads without it and in no time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from schedplan.hookspecs import hookimpl
from schedplan.plan import Plan
from schedplan_video import presets


@hookimpl
def schedplan_trainers() -> dict[str, str]:
    """Offer the trainer of video networks."""
    return {"video": "schedplan_video.trainer:VideoTrainer"}


@hookimpl
def schedplan_configs() -> dict[str, Callable[[], str]]:
    """Offer the paper's settings for its datasets."""
    return {name: partial(presets.config_text, name) for name in presets.DATASETS}


@hookimpl
def schedplan_plans() -> dict[str, Callable[[], Plan]]:
    """Offer the paper's published schedules."""
    return {name: partial(presets.plan, name) for name in presets.SCHEDULES}


@hookimpl
def schedplan_commands() -> dict[str, str]:
    """Offer `schedplan video ...`."""
    return {"video": "schedplan_video.commands:app"}
