"""Models that an earlier search of a run removed, and that another one needs after all."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from schedplan.errors import RunFolderError
from schedplan.frontier import Label
from schedplan.journal import Outcome, RunFolder, TransitionFolder

_AGAIN = "@again"


def find_lost(run: RunFolder, label: Label) -> Label | None:
    """Return the first label to train again so that in the end `label`'s model is there again;
    None if it is there."""
    lost = None
    while label.previous is not None and not _is_there(run, label):
        if label.snapshot != label.previous.snapshot:  # else it is its predecessor's model
            lost = label
        label = label.previous
    return lost


def training_again(run: RunFolder, key: str) -> TransitionFolder:
    """Return where the training called `key` is repeated.

    That is where a session that was cut short has begun to, or has it ready to be put back.
    """
    folders = (run.transition(f"{key}{_AGAIN}{number}") for number in count(1))
    return next(folder for folder in folders if not _is_over(run, folder.outcome()))


class Diverged(Exception):  # noqa: N818 - no error, but a reason to search anew
    """Training again has given another model than at first, which is the result from now on."""


def put_back(run: RunFolder, label: Label, key: str, again: Outcome) -> None:
    """Give `label` the model that came out of training it again, recorded as `key`.

    Raises:
        RunFolderError: it failed; nothing has changed then.
        Diverged: the trainer does not repeat itself, as is usual on GPUs. What came out is the
            transition's result now, and what was trained from the first one is no longer valid.
    """
    assert label.snapshot is not None
    if again.status == "failed":
        raise RunFolderError(
            f"a model that an earlier search removed cannot be trained again, as {key}: "
            f"{again.reason}",
            where=str(run.path),
            hint="run again to try once more, or go back to the earlier search",
        )
    assert label.previous is not None
    if replace(again, snapshot=label.snapshot).identity != label.identity or not again.snapshot:
        training = run.training(key.partition("@")[0], label.previous.identity)
        # Its model follows when the search begins anew, and finds it missing.
        snapshot = again.snapshot and again.snapshot.replace(f"/{key}.", f"/{training.key}.")
        training.publish(replace(again, snapshot=snapshot))
        raise Diverged(training.key)
    run.move(again.snapshot, to=label.snapshot)


def restored(run: RunFolder) -> set[str]:
    """Return the models put back so far, by this session and others; some may be gone again."""
    names = (training.key.rpartition(_AGAIN) for training in run.trainings() if training.outcome())
    outcomes = (run.transition(name).outcome() for name, again, _ in names if again)
    return {outcome.snapshot for outcome in outcomes if outcome and outcome.snapshot}


def _is_over(run: RunFolder, again: Outcome | None) -> bool:
    """Return whether a repetition has failed, or its model was put back."""
    return again is not None and not (again.snapshot and (run.path / again.snapshot).is_dir())


def _is_there(run: RunFolder, label: Label) -> bool:
    return label.snapshot is not None and (run.path / label.snapshot).is_dir()
