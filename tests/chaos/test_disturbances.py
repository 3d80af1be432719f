"""Nothing is lost whatever happens to the process, the disk or the power: the short form of `chaos.disturbances`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chaos.campaign import PARTS, Part
from chaos.disturbances import table
from chaos.faulting import Bench, Outcome
from chaos.forks import Warm
from chaos.outages import PowerBench
from chaos.power import Disk, File, Folder
from chaos.scenarios import PAGE, SCENARIOS
from chaos.watched import WATCH
from fakes import fake_group

from rnnlab.compare.collection import load_runs
from rnnlab.report.findings import Findings
from rnnlab.report.page import page

pytestmark = [
    pytest.mark.xdist_group("chaos"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the shim finds names in Linux's /proc"),
]


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as started:
        yield started


@pytest.mark.long
@pytest.mark.parametrize("part", PARTS, ids=str)
def test_whatever_happens_it_ends_as_if_nothing_had(part: Part, warm: Warm) -> None:
    outcomes = list(part.run(warm, long=False))
    assert len(outcomes) == part.short
    assert [str(outcome) for outcome in outcomes if not outcome.good] == []


@pytest.mark.long
@pytest.mark.parametrize("name", ["train", "resume", "sweep", "report"])
def test_no_operation_is_missed(name: str, warm: Warm) -> None:
    """What is recorded, done again, gives each file that is there."""
    with contextlib.closing(PowerBench(SCENARIOS[name], warm)) as bench:
        disk = Disk.of(bench.bench.start)
        for entry in bench.entries:
            disk.apply(entry)
        there = dict(bench.bench.recorded)
    rebuilt = {path: content for path, content in disk.image("all").items() if content is not None}
    for files in (rebuilt, there):  # what SQLite writes is not seen
        for path in [path for path in files if path.endswith(".sqlite")]:
            del files[path]
    assert rebuilt == there


def _is(op: str, ending: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda entry: entry.get("op") == op and entry["path"].endswith(ending)


LEFT_OUT = {
    "rows are not synced": _is("fsync", ".csv"),
    "no name is synced": _is("syncdir", ""),
    "drafts are not synced": lambda entry: entry.get("op") == "fsync" and ".csv" not in entry["path"],
}


@pytest.mark.long
@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_a_sync_that_is_left_out_is_noticed(left_out: str, warm: Warm) -> None:
    with contextlib.closing(PowerBench(SCENARIOS["train"], warm, without=LEFT_OUT[left_out])) as bench:
        assert not all(bench.judge(outage).good for outage in bench.outages(mixed=0))


def test_a_wrong_byte_is_noticed(warm: Warm) -> None:
    with contextlib.closing(Bench(SCENARIOS["train"], warm)) as bench:
        right = bench.expected["r"]
        bench.expected["r"] = type(right)("completed", {**right.contents, "gradients.csv": b"other rows"})
        assert "r differs: gradients.csv" in str(bench.case(40, "kill"))


def test_a_training_killed_at_its_probes_rows_ends_in_the_same_rows(warm: Warm) -> None:
    """SIGKILL before a write to probes.csv and in the middle of it, at each measured update, and --resume."""
    with contextlib.closing(Bench(SCENARIOS["probes"], warm)) as bench:
        whole = bench.expected["r"].contents["probes.csv"].splitlines()
        assert {line.split(b",")[1] for line in whole[1:]} == {b"gates", b"jacobian", b"contributions", b"directions"}
        assert {line.split(b",")[0] for line in whole[1:]} == {b"0", b"2", b"4"}
        writes = [at for at, entry in enumerate(bench.operations) if _is("write", "probes.csv")(entry)]
        assert len(writes) >= 4  # its heading, and an update each
        outcomes = [bench.case(at, fault) for at in writes[::5] for fault in ("kill", "torn")]
        assert [str(outcome) for outcome in outcomes if not outcome.good] == []
        assert {outcome.how for outcome in outcomes} == {"SIGKILL"}
        # The law sees these rows.
        right = bench.expected["r"]
        bench.expected["r"] = replace(right, contents={**right.contents, "probes.csv": b"other rows"})
        assert "r differs: probes.csv" in str(bench.case(writes[-1], "kill"))


def test_a_watched_training_that_is_changed_and_rows_of_another_are_noticed(warm: Warm) -> None:
    with contextlib.closing(Bench(WATCH, warm)) as bench:
        right = bench.expected["r"]
        bench.undisturbed = replace(bench.undisturbed, out="other weights")
        assert "the user's training is changed" in str(bench.case(25, "clock+"))
        bench.expected["r"] = replace(right, contents={**right.contents, "gradients.csv": b"other rows"})
        assert "gradients.csv is no beginning of the undisturbed one" in str(bench.case(25, "kill"))


def test_only_its_minute_tells_two_equal_pages_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_group(tmp_path / "runs", {0: -10.0, 1: -12.0})
    pages, results = set(), []
    for minute in ("2026-11-25T10:59:59.999", "2026-11-25T11:00:00.000"):
        monkeypatch.setattr("rnnlab.report.page.payload.now", lambda minute=minute: minute)
        (tmp_path / PAGE).write_text(page(Findings(load_runs(tmp_path / "runs").group_by())), encoding="utf-8")
        pages.add((tmp_path / PAGE).read_bytes())
        results.append(SCENARIOS["report"].result(tmp_path))
    assert len(pages) == 2
    assert results[0] == results[1]


def test_a_disk_keeps_what_the_model_says() -> None:
    disk = Disk(Folder({"a": File(b"old")}))
    steps: list[dict[str, Any]] = [
        {"op": "create", "path": "b"},
        {"opened": "1", "path": "b"},
        {"op": "write", "path": "b", "handle": "1", "offset": 0, "data": "bmV3"},
        {"op": "fsync", "path": "b", "handle": "1"},
        {"op": "write", "path": "b", "handle": "1", "offset": 3, "data": "ZXI="},
        {"op": "rename", "path": "b", "to": "a"},
    ]
    for step in steps:
        disk.apply(step)
    images = {name: disk.image(name) for name in ("nothing", "names", "data", "zeros", "all")}
    assert images["nothing"] == images["data"] == {"a": b"old"}
    assert (images["names"], images["zeros"]) == ({"a": b"new"}, {"a": b"new\0\0"})
    assert images["all"] == {"a": b"newer"}
    disk.apply({"op": "syncdir", "path": "."})
    assert {tuple(disk.image("mixed", seed)) for seed in range(20)} == {("a",)}
    assert {bytes(disk.image("mixed", seed)["a"] or b"")[:3] for seed in range(20)} == {b"new"}


def test_the_table_counts_what_became_of_the_cases() -> None:
    outcomes = [
        Outcome("train", "kill", "1", "SIGKILL", "at once", ()),
        Outcome("train", "kill", "2", "exit 1", "", ("x",)),
    ]
    assert table(outcomes).splitlines()[2] == "| train | kill | 2 | SIGKILL (1), exit 1 (1) | 2 | 0 | 1 |"
