"""What a plan is compared with: hand-tuned strategies, variants of the plan, and PBT."""

from schedplan.baselines.compare import Compared, ResultEvent, compare
from schedplan.baselines.courses import STAIRS
from schedplan.baselines.grid import check_lengths, check_size, hand_tuned
from schedplan.baselines.job import Result
from schedplan.baselines.population import Evolved, Population, evolve, require_ray
from schedplan.baselines.selection import best, held_out, scores, spread
from schedplan.baselines.strategy import HAND_TUNED, Kind, Strategy
from schedplan.baselines.variants import variants

__all__ = [
    "HAND_TUNED",
    "STAIRS",
    "Compared",
    "Evolved",
    "Kind",
    "Population",
    "Result",
    "ResultEvent",
    "Strategy",
    "best",
    "check_lengths",
    "check_size",
    "compare",
    "evolve",
    "hand_tuned",
    "held_out",
    "require_ray",
    "scores",
    "spread",
    "variants",
]
