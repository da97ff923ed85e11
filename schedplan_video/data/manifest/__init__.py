"""Manifests: which videos there are, their labels and splits, as a CSV file beside them."""

from .file import COLUMNS, check_output, lies_above, read_manifest, write_manifest
from .rows import (
    MODALITIES,
    STATUSES,
    Manifest,
    ManifestError,
    Video,
    check_text,
    corrupt,
    count_problems,
    log_skipped,
    plain_path,
)

__all__ = [
    "COLUMNS",
    "MODALITIES",
    "STATUSES",
    "Manifest",
    "ManifestError",
    "Video",
    "check_output",
    "check_text",
    "corrupt",
    "count_problems",
    "lies_above",
    "log_skipped",
    "plain_path",
    "read_manifest",
    "write_manifest",
]
