# pip install ./examples/diary
# schedplan run examples/simulated.yaml --plugin diary --track diary
#
# A tracker of your own: it keeps `diary.md` in the run folder, a line for every training that ends.
# What it does instead of writing a line, such as telling a server, is up to you; it is told every
# epoch, too (`schedplan.transition.EpochEvent`). Beside the example's plan, it writes:
#
# - S0__consecutive_16_0.04: done, 0.5038; peak of the exponential fit at epoch 11, 8 epochs ago
# - S0__uniform_16_0.04: done, 0.4966; peak of the exponential fit at epoch 13, 8 epochs ago
#
# and 34 lines more.
from contextlib import contextmanager

from schedplan.hookspecs import hookimpl
from schedplan.transition import TransitionEvent


@contextmanager
def diary(folder):
    with (folder / "diary.md").open("a", encoding="utf-8") as file:

        def track(event):
            if isinstance(event, TransitionEvent) and event.outcome and not event.known:
                outcome = event.outcome
                score = "no score" if outcome.score is None else f"{outcome.score:.4g}"
                file.write(f"- {event.key}: {outcome.status}, {score}; {outcome.reason}\n")
                file.flush()

        yield track


@hookimpl
def schedplan_trackers():
    return {"diary": diary}
