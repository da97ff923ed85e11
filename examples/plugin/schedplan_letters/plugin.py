"""What this package adds to schedplan; loaded by `--plugin letters`.

The names are those that configurations use; `schedplan plugins` shows them with their options.
"""

from schedplan.hookspecs import hookimpl
from schedplan_letters.doubling import doubling
from schedplan_letters.plateau import Plateau
from schedplan_letters.product import ProductAtMost


@hookimpl
def schedplan_axis_kinds():
    return {"doubling": doubling}


@hookimpl
def schedplan_rules():
    return {"product_at_most": ProductAtMost}


@hookimpl
def schedplan_estimators():
    return {"plateau": Plateau}


@hookimpl
def schedplan_trainers():
    return {"letters": "schedplan_letters.trainer:LettersTrainer"}  # imported when it is used
