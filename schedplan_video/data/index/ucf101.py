"""UCF101: the official class list and the lists of three folds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ..text_files import number_of, read_lines
from .annotations import AnnotationError, Annotations, Row, collect, find_files, pick_file
from .locate import may_be_video

_GROUP = re.compile(r"_(g\d+)_c\d+$")


def read_ucf101(paths: Iterable[Path], fold: int = 1) -> Annotations:
    """Read `classInd.txt`, whose numbers start at 1, `trainlist01.txt` and `testlist01.txt`.

    A group is what was cut from one recording, the `g08` of `v_ApplyEyeMakeup_g08_c01.avi`; groups
    of two classes are never the same recording.

    Args:
        paths: the folder of these files, or the files.
        fold: 1, 2 or 3.

    Raises:
        UsageError: annotations that cannot be used, with file and line.
    """
    files = find_files(paths, ".txt")
    classes = _read_classes(pick_file(files, "classind"))
    train = pick_file(files, f"trainlist{fold:02d}")
    test = pick_file(files, f"testlist{fold:02d}")
    rows = [*_rows(train, "train", classes), *_rows(test, "test", classes)]
    return collect(rows, classes)


def _read_classes(file: Path) -> list[str]:
    names: dict[int, str] = {}
    for where, line in read_lines(file):
        digits, _, name = line.partition(" ")
        number = number_of(digits)
        if number is None or not name.strip():
            raise AnnotationError(f"{line!r} is no class", where=where, allowed="NUMBER NAME")
        if names.setdefault(number, name.strip()) != name.strip():
            raise AnnotationError(f"class {number} is there twice", where=where)
    if sorted(names) != list(range(1, len(names) + 1)) or len(set(names.values())) < len(names):
        raise AnnotationError(
            "the classes are not numbered", where=str(file), allowed="1, 2, 3, ... once each"
        )
    return [names[number] for number in sorted(names)]


def _rows(file: Path, split: str, classes: list[str]) -> Iterator[Row]:
    for where, line in read_lines(file):
        path, _, digits = line.rpartition(" ")
        number = number_of(digits)
        if number is None:  # the lists of tests have none
            path = line
        path = path.strip()
        if not may_be_video(PurePosixPath(path).name):
            raise AnnotationError(
                f"{line!r} is no video", where=where, allowed="CLASS/NAME.avi, or with a NUMBER"
            )
        name = PurePosixPath(path).parent.name
        if number is not None and classes[number - 1 : number] != [name]:
            raise AnnotationError(
                f"the folder is {name!r}, but the class is {number}",
                where=where,
                hint="classes are numbered from 1, as in classInd.txt",
            )
        found = _GROUP.search(PurePosixPath(path).stem)
        yield Row(path, name, split, where, group=found and f"{name}_{found[1]}")
