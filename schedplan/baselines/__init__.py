"""What a plan is compared with: hand-tuned strategies, and variants of the plan itself."""

from schedplan.baselines.grid import hand_tuned
from schedplan.baselines.strategy import HAND_TUNED, Kind, Strategy
from schedplan.baselines.variants import variants

__all__ = ["HAND_TUNED", "Kind", "Strategy", "hand_tuned", "variants"]
