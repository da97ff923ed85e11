"""What happened in a run, durably: one folder, one file per fact, readable by a person.

    RUN/config.yaml                             what was asked for, with its fingerprint
    RUN/transitions/KEY/ATTEMPT/epochs.jsonl    a line per epoch, written by one process alone
    RUN/transitions/KEY/result.json             how the transition ended, published once
    RUN/snapshots/KEY.EPOCH/                    models that a later step may still need
    RUN/plan.yaml, RUN/model/                   the answer

A fact is published by writing a neighbour and renaming it, so no reader ever sees half of it.
"""

from schedplan.journal.files import (
    fingerprint,
    hash_folder,
    identity,
    publish_folder,
    write_bytes,
    write_text,
)
from schedplan.journal.run import RunFolder
from schedplan.journal.snapshots import KeepSnapshots, SnapshotReferences
from schedplan.journal.transition import (
    Attempt,
    EpochRecord,
    Outcome,
    Status,
    TransitionFolder,
    transition_key,
)

__all__ = [
    "Attempt",
    "EpochRecord",
    "KeepSnapshots",
    "Outcome",
    "RunFolder",
    "SnapshotReferences",
    "Status",
    "TransitionFolder",
    "fingerprint",
    "hash_folder",
    "identity",
    "publish_folder",
    "transition_key",
    "write_bytes",
    "write_text",
]
