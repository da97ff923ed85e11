"""HMDB51: a list for each class and fold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..text_files import read_lines
from .annotations import AnnotationError, Annotations, Row, collect, find_files

_LIST = re.compile(r"(?P<name>.+)_test_split(?P<fold>\d+)\.txt")
_SPLITS = {"1": "train", "2": "test"}
_UNUSED = "not in this fold"

# SOURCE_ACTION, then visible parts, camera motion, number of people, viewpoint, quality, number.
_CLIP = re.compile(r"(?P<source>.+)_[a-z]_(cm|nm)_np\d_(fr|ba|le|ri)_(bad|med|goo)_\d+")


def read_hmdb51(paths: Iterable[Path], fold: int = 1) -> Annotations:
    """Read `CLASS_test_split1.txt` files, whose lines are `NAME.avi 0|1|2`.

    1 is training, 2 testing, and 0 not in this fold. A group is what was cut from one source, such
    as a film, as far as the clips' names tell.

    Args:
        paths: the folder of these files, or the files.
        fold: 1, 2 or 3.

    Raises:
        UsageError: annotations that cannot be used, with file and line.
    """
    lists = [(file, _LIST.fullmatch(file.name)) for file in find_files(paths, ".txt")]
    wanted = [
        (file, match["name"]) for file, match in lists if match and int(match["fold"]) == fold
    ]
    if not wanted:
        raise AnnotationError(
            f"no annotation file is named *_test_split{fold}.txt",
            hint=f"found: {', '.join(file.name for file, _ in lists[:3])}",
        )
    rows, left_out = [], []
    for file, name in wanted:
        for where, line in read_lines(file):
            clip, _, number = line.rpartition(" ")
            if number == "0":
                left_out.append(_UNUSED)
            elif number in _SPLITS and clip.strip():
                path = f"{name}/{clip.strip()}"
                rows.append(Row(path, name, _SPLITS[number], where, group=_source(clip, name)))
            else:
                raise AnnotationError(f"{line!r} is no clip", where=where, allowed="NAME 0|1|2")
    return collect(rows, [name for _, name in wanted], left_out=left_out)


def _source(clip: str, class_name: str) -> str | None:
    found = _CLIP.fullmatch(Path(clip.strip()).stem)
    return found and found["source"].removesuffix(f"_{class_name}")
