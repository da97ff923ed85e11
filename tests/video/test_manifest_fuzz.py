"""A manifest with anything in it is read or refused, and nothing else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_fuzz import mutated

from schedplan.errors import SchedplanError
from schedplan_video.data.manifest import Manifest, Video, read_manifest, write_manifest

ROWS = tuple(
    Video(f"{name}/{number}.mp4", label, name, split, frames=30, fps=25.0, width=64, height=48)
    for label, name in enumerate(("jump", "run"))
    for number, split in enumerate(("train", "val", "test"))
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_in_a_manifest_ends_in_a_result_or_a_named_error(tmp_path: Path, data):
    file = tmp_path / "manifest.csv"
    write_manifest(Manifest(tmp_path, ROWS), file)
    for _ in range(data.draw(st.integers(1, 2))):
        file.write_bytes(
            mutated(data, file.read_bytes().replace(b",", b" , ")).replace(b" , ", b",")
        )
    try:
        read_manifest(file)
    except SchedplanError as error:
        assert str(error)
