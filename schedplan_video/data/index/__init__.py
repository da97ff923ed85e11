"""Indexing: from a dataset's annotations and files to a manifest."""

from .activitynet import read_activitynet
from .annotations import AnnotationError, Annotations, Row
from .build import index_videos, split_rows
from .folders import read_folders, read_groups
from .hmdb51 import read_hmdb51
from .kinetics import read_kinetics
from .probe_log import ProbeLog
from .something import read_ssv1, read_ssv2
from .table import read_csv
from .ucf101 import read_ucf101

__all__ = [
    "AnnotationError",
    "Annotations",
    "ProbeLog",
    "Row",
    "index_videos",
    "read_activitynet",
    "read_csv",
    "read_folders",
    "read_groups",
    "read_hmdb51",
    "read_kinetics",
    "read_ssv1",
    "read_ssv2",
    "read_ucf101",
    "split_rows",
]
