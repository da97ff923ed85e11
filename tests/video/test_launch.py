"""Teams of processes: their calls, and their ends, whoever is to blame."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from members import Member

from schedplan.errors import NotFiniteError, UsageError
from schedplan_video.launch import Machines, RankError, Team, join
from schedplan_video.launch import joining as joining_module
from schedplan_video.launch import team as team_module
from schedplan_video.ranks import Ranks

TWO = Machines(processes=2)


def make_team(machines: Machines = TWO, time_limit: float = 60) -> Team:
    return Team(Member, machines, "cpu", time_limit)


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    made = make_team()
    yield made
    made.stop()


def alive(process: int) -> bool:
    """Return whether a process runs, and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_all_ranks_carry_out_a_call_and_rank_0_answers(team: Team) -> None:
    assert team.call("add", 2) == [6]
    assert team.call("told") == 0
    assert [ranks for ranks, _ in team.call("everyone")] == [Ranks(0, 2, 0, 2), Ranks(1, 2, 1, 2)]


def test_an_error_of_all_leaves_the_team_as_it_is(team: Team) -> None:
    with pytest.raises(NotFiniteError, match="the loss became nan"):
        team.call("fail")
    assert team.call("add", 1) == [3]


def test_another_error_is_told_with_rank_and_traceback(team: Team) -> None:
    with pytest.raises(
        RankError, match=r"^rank 1 \(process .*\) failed: ValueError: mine"
    ) as caught:
        team.call("break_down", 1)
    assert "in break_down" in caught.value.__notes__[0]
    assert not team.ended


def test_an_error_of_the_system_stays_what_it_is(team: Team) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        team.call("open", 0, Path("nowhere"))
    assert caught.value.filename == "nowhere"
    assert "in open" in caught.value.__notes__[0]
    assert not team.ended


def test_an_error_for_which_the_others_wait_ends_the_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_module, "GRACE", 1.0)
    team = make_team()
    processes = [process for _, process in team.call("everyone")]
    with pytest.raises(UsageError, match=r"it\.mp4: it is broken"):
        team.call("refuse", 1)
    assert team.ended
    assert not any(map(alive, processes))


def test_a_team_that_nobody_refers_to_ends() -> None:
    team = make_team()
    processes = [process for _, process in team.call("everyone")]
    assert all(map(alive, processes))
    del team
    assert not any(map(alive, processes))


def test_a_killed_rank_is_named_and_takes_the_others_along() -> None:
    team = make_team()
    processes = [process for _, process in team.call("everyone")]
    with pytest.raises(RankError, match=rf"^rank 1 \(process {processes[1]} .* ended by SIGKILL"):
        team.call("die", 1)
    assert team.ended
    assert not any(map(alive, processes))


def test_a_rank_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_module, "GRACE", 1.0)
    team = make_team(time_limit=1)
    processes = [process for _, process in team.call("everyone")]
    with pytest.raises(
        RankError, match=r"^rank 0 .* failed: .*; rank 1 \(process .*\) did not answer"
    ):
        team.call("hang", 1)
    assert not any(map(alive, processes))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_another_machine_takes_part_and_again_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(team_module, "GRACE", 2.0)
    endpoint = f"127.0.0.1:{free_port()}"
    machines = Machines(processes=1, nodes=2, endpoint=endpoint)
    command = [sys.executable, "-m", "schedplan", "video", "join", endpoint, "--processes", "1"]
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as other:
        team = make_team(machines)
        (one, mine), (two, theirs) = team.call("everyone")
        assert (one, two) == (Ranks(0, 2, 0, 1), Ranks(1, 2, 0, 1))
        with pytest.raises(RankError, match=rf"^rank 1 \(process {theirs} .*\) was lost"):
            team.call("die", 1)
        assert not alive(mine) and not alive(theirs)
        team = make_team(machines)
        assert team.call("add", 1) == [3]
        team.stop()
        _, told = other.communicate(timeout=60)
    assert other.returncode == 0
    assert told.count("taking part with 1 process") == 2
    assert "a process has failed, the run says why" in told


def test_nobody_at_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining_module, "PATIENCE", 0.1)
    with pytest.raises(UsageError, match=r"nobody waits for other machines there, 0\.1 seconds"):
        join(f"127.0.0.1:{free_port()}")


def test_an_endpoint_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UsageError, match=rf"{endpoint}: cannot wait .*a port that is free"):
            make_team(Machines(nodes=2, endpoint=endpoint))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "processes is 0; allowed: 1 or more"),
        ({"nodes": 0}, "nodes is 0; allowed: 1 or more"),
        ({"nodes": 2}, "nodes is 2, but the endpoint is None"),
        ({"endpoint": "gpu1:29400"}, "nodes is 1, but the endpoint is gpu1:29400"),
        ({"nodes": 2, "endpoint": "gpu1"}, "the endpoint is 'gpu1'; allowed: HOST:PORT"),
        ({"nodes": 2, "endpoint": "gpu1:0"}, "the endpoint is 'gpu1:0'"),
    ],
)
def test_machines_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Machines(**options)
