"""Laws of the claims: one live holder for a run, whatever races, dies, or falls silent."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnlab.errors import RunFolderError
from rnnlab.runs.claims import Claims

RUNS = [f"run{k}" for k in range(50)]

TAKER = """
import json, sys
from rnnlab.runs.claims import Claims
with Claims(sys.argv[1]) as claims:
    mine = set()
    for identity in json.loads(sys.argv[2]):
        mine |= claims.take([identity])
    print(json.dumps(sorted(mine)), flush=True)
    sys.stdin.read()
"""


class Clock:
    """A time that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def taker(root: Path, runs: list[str]) -> subprocess.Popen[str]:
    given = [sys.executable, "-c", TAKER, str(root), json.dumps(runs)]
    return subprocess.Popen(given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def taken_by(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    mine: list[str] = json.loads(process.stdout.readline())
    return mine


@pytest.fixture
def takers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes = [taker(tmp_path, RUNS[k * 10 :] + RUNS[: k * 10]) for k in range(3)]
    yield processes
    for process in processes:
        process.communicate("")


def test_processes_that_race_share_the_runs_out(takers: list[subprocess.Popen[str]]) -> None:
    taken = [taken_by(process) for process in takers]
    assert sorted(run for one in taken for run in one) == sorted(RUNS)


def test_a_killed_holder_holds_nothing(takers: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    taken = [taken_by(process) for process in takers]
    takers[0].send_signal(signal.SIGKILL)
    takers[0].wait()
    with Claims(tmp_path) as claims:
        assert claims.take(RUNS) == set(taken[0])
        assert set(claims.holders(RUNS)) == set(taken[1] + taken[2])


def test_a_run_is_held_until_it_is_released(tmp_path: Path) -> None:
    with Claims(tmp_path) as one, Claims(tmp_path) as other:
        assert one.take(["a", "b"]) == {"a", "b"}
        assert other.take(["b", "c"]) == {"c"}
        assert one.take(["a"]) == {"a"}
        other.release(["a", "c"])
        assert other.take(["a", "c"]) == {"c"}
        one.release(["b"])
        assert other.take(["a", "b"]) == {"b"}
        assert set(other.holders(["a", "b", "c"])) == {"a"}


def test_who_leaves_releases_all(tmp_path: Path) -> None:
    with Claims(tmp_path) as other:
        with Claims(tmp_path) as one:
            one.take(["a"])
            assert other.take(["a"]) == set()
        assert other.take(["a"]) == {"a"}


def test_a_silent_lease_of_another_host_is_taken_over_after_a_while(tmp_path: Path) -> None:
    clock = Clock()
    with Claims(tmp_path, every=3600, clock=clock) as one, Claims(tmp_path, every=3600, clock=clock) as other:
        one.take(["a"])
        file = sqlite3.connect(tmp_path / ".rnnlab" / "claims.sqlite")
        with file:
            file.execute("UPDATE leases SET process = ?", (json.dumps({"pid": 1, "host": "elsewhere"}),))
        file.close()
        clock.now += 29
        assert other.take(["a"]) == set()
        one.beat()
        clock.now += 29
        assert other.take(["a"]) == set()
        clock.now += 2
        assert other.take(["a"]) == {"a"}
        one.beat()
        assert one.take(["a"]) == set()


def test_claims_outlive_their_file(tmp_path: Path) -> None:
    with Claims(tmp_path) as one, Claims(tmp_path) as other:
        one.take(["a"])
        (tmp_path / ".rnnlab" / "claims.sqlite").unlink()
        one.beat()
        assert other.take(["a", "b"]) == {"b"}


def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / ".rnnlab").touch()
    with pytest.raises(RunFolderError, match="cannot be made"), Claims(tmp_path):
        pass
    (tmp_path / ".rnnlab").unlink()
    (tmp_path / ".rnnlab").mkdir()
    (tmp_path / ".rnnlab" / "claims.sqlite").write_text("no database, whatever its name says" * 100)
    with pytest.raises(RunFolderError, match=r"cannot be used: .*--out"), Claims(tmp_path):
        pass
