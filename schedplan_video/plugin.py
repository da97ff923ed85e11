"""What this package adds to schedplan, as hook implementations.

Everything is named, not imported, so that loading the plug-in needs no torch and takes no time.
"""

from __future__ import annotations

from schedplan.hookspecs import hookimpl


@hookimpl
def schedplan_trainers() -> dict[str, str]:
    """Offer the trainer of video networks."""
    return {"video": "schedplan_video.trainer:VideoTrainer"}


@hookimpl
def schedplan_commands() -> dict[str, str]:
    """Offer `schedplan video ...`."""
    return {"video": "schedplan_video.commands:app"}
