"""Probing in processes: what a file does to one costs that file alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schedplan_video.data.decode import DecodeError, VideoInfo
from schedplan_video.data.manifest import read_manifest
from schedplan_video.data.probing import probe_files
from schedplan_video.data.toy import make_toy


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    toy = make_toy(tmp_path / "toy", per_class=(1, 0, 0), frames=16, size=32)
    return [toy.parent / video.path for video in read_manifest(toy).videos][:3]


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """Return a file that nobody writes to, which cannot be opened before somebody does."""
    file = tmp_path / "hanging.mp4"
    os.mkfifo(file)
    return file


@pytest.mark.parametrize("workers", [0, 3])
def test_every_file_is_probed_once(files, tmp_path, workers):
    files.append(tmp_path / "no video.mp4")
    files[-1].write_text("none")
    found = list(probe_files(files, workers))
    assert sorted(file for file, _ in found) == sorted(files)
    kinds = {file: type(result) for file, result in found}
    assert [kinds[file] for file in files] == [VideoInfo, VideoInfo, VideoInfo, DecodeError]
    assert multiprocessing.active_children() == []


def test_no_files_need_no_process():
    assert list(probe_files([], workers=2)) == []


def test_a_file_that_ends_its_process_is_named_and_the_next_one_is_probed(files, hanging):
    results = probe_files([files[0], hanging, files[1]], workers=1)
    assert next(results)[0] == files[0]
    (process,) = multiprocessing.active_children()
    process.kill()
    (first, lost), (second, info) = results
    assert (first, second) == (hanging, files[1])
    assert isinstance(lost, DecodeError)
    assert lost.reason == "the process at work on it ended (exit code -9)"
    assert isinstance(info, VideoInfo)


def test_a_file_that_takes_too_long_is_given_up(hanging):
    ((_, lost),) = probe_files([hanging], workers=1, time_limit=0.5)
    assert isinstance(lost, DecodeError)
    assert lost.reason == "not done after 0.5 seconds"
    assert multiprocessing.active_children() == []


def test_no_process_outlives_results_that_nobody_wants(files, hanging):
    results = probe_files([files[0], hanging], workers=2)
    next(results)
    results.close()
    assert multiprocessing.active_children() == []


def test_no_process_outlives_the_one_that_started_it(files, hanging, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from schedplan_video.data.probing import probe_files\n"
        "if __name__ == '__main__':\n"
        f"    for file, found in probe_files([*map(Path, {[str(files[0]), str(hanging)]})], 1):\n"
        "        print(file, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout.readline() == f"{files[0]}\n"
        running.terminate()
        assert running.communicate(timeout=60) == ("", "")  # at the end of all that hold the pipes


def test_a_process_that_cannot_be_started_is_no_fault_of_the_files(files, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from schedplan_video.data.probing import probe_files\n"
        f"list(probe_files([Path({str(files[0])!r})], workers=1))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert (
        "SchedplanError: a process to work on videos could not be started; a script" in done.stderr
    )


ASKS_FOR_THE_MASK = """
import signal
from pathlib import Path

from schedplan_video.data.processes import for_each


def blocked(file, about, alive):
    return [number.name for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])]


if __name__ == "__main__":
    files = [Path("a"), Path("b")]
    print([result for _, result in for_each(dict.fromkeys(files), blocked, workers=2)])
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked here")
def test_ctrl_c_does_not_reach_the_first_process_either(tmp_path: Path) -> None:
    script = tmp_path / "asks.py"
    script.write_text(ASKS_FOR_THE_MASK)
    asked = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert asked.stdout == "[['SIGINT'], ['SIGINT']]\n"
