"""What happened in a run, durably: one folder, one file per fact, readable by a person.

    RUN/config.yaml                             what was asked for, with its fingerprint
    RUN/transitions/KEY/ATTEMPT/epochs.jsonl    a line per epoch, written by one process alone
    RUN/transitions/KEY/ATTEMPT/snapshots/      models of epochs that may still be chosen
    RUN/transitions/KEY/result.json             how the transition ended, published once
    RUN/snapshots/KEY.EPOCH/                    models that a later step may still need
    RUN/plan.yaml, RUN/model/, RUN/report.html  the answer, and how it was found

An attempt writes into its own folder alone; all else is written by the run's holder. A fact is
published by writing a neighbour, making sure that it is on the disk, and renaming it, so no reader
ever sees half of it.
"""

from schedplan.journal.attempt import Attempt, EpochRecord
from schedplan.journal.files import (
    copy_folder,
    fingerprint,
    identity,
    publish_folder,
    remove_folder,
    write_bytes,
    write_text,
)
from schedplan.journal.references import KeepSnapshots, SnapshotReferences
from schedplan.journal.run import RunFolder, essence
from schedplan.journal.snapshots import hash_folder, is_sound
from schedplan.journal.transition import (
    Outcome,
    Progress,
    Status,
    TrainingStatus,
    TransitionFolder,
    transition_key,
)

__all__ = [
    "Attempt",
    "EpochRecord",
    "KeepSnapshots",
    "Outcome",
    "Progress",
    "RunFolder",
    "SnapshotReferences",
    "Status",
    "TrainingStatus",
    "TransitionFolder",
    "copy_folder",
    "essence",
    "fingerprint",
    "hash_folder",
    "identity",
    "is_sound",
    "publish_folder",
    "remove_folder",
    "transition_key",
    "write_bytes",
    "write_text",
]
