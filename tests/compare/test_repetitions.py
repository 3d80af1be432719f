"""Of two runs of the same settings and seed one counts, and never a damaged one that hides a whole one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import Call
from fakes import fake_group

from rnnlab.compare.collection import Runs, load_runs
from rnnlab.compare.select import choose
from rnnlab.runs.folder import RunFolder

ROWS = ("gradients.csv", "metrics.csv")


def figures(runs: Runs) -> list[list[object]]:
    """The seed and rate of every run that counts."""
    return [
        [reading.seed, reading.rate, reading.error]
        for group in runs.group_by("model.cell").measure()
        for reading in group.measured
    ]


@pytest.fixture
def twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Three seeds in a/ and again, later, in b/."""
    monkeypatch.chdir(tmp_path)
    fake_group(Path("a"), {0: -10.0, 1: -11.0, 2: -12.0})
    shutil.copytree("a", "b")
    for path in Path("b").iterdir():
        RunFolder(path).update(started="2999-01-01T00:00:00.000+00:00")
    return choose(["a", "b"])


def spoil(folder: str, *names: str) -> str:
    """Damage these files of seed 1 in a folder; the name of the run."""
    (path,) = Path(folder).glob("*-s1")
    for name in names:
        (path / name).write_text("nonsense\n")
    return path.name


def test_the_later_one_counts(twice: Runs) -> None:
    groups = twice.group_by()
    assert {run.path.parent.name for run in groups.runs} == {"b"}
    assert (groups.repeated, groups.left_out) == (3, {})


@pytest.mark.parametrize("names", [ROWS[:1], ROWS[1:], ROWS])
def test_a_damaged_one_does_not_hide_a_whole_one(names: tuple[str, ...], twice: Runs, rnn: Call) -> None:
    name = spoil("b", *names)
    groups = choose(["a", "b"]).group_by()
    assert figures(choose(["a", "b"])) == figures(load_runs("a"))
    assert {run.path.parent.name for run in groups.runs if run.name == name} == {"a"}
    assert (groups.repeated, [*groups.left_out]) == (2, [f"b/{name}"])
    assert f"{names[0]} " in groups.left_out[f"b/{name}"]
    assert f"; a/{name}, of the same settings and seed, counts in its place" in groups.left_out[f"b/{name}"]
    assert f"a/{name}, of the same" in " ".join(rnn("report", "a", "b").out.split())


@pytest.mark.parametrize("name", ROWS)
def test_damage_of_one_that_does_not_count_changes_nothing(name: str, twice: Runs) -> None:
    before = figures(twice)
    spoil("a", name)
    assert figures(choose(["a", "b"])) == before
    assert choose(["a", "b"]).group_by().repeated == 3


def test_where_both_are_damaged_the_one_that_would_count_is_named(twice: Runs) -> None:
    spoil("a", "gradients.csv")
    name = spoil("b", "gradients.csv")
    groups = choose(["a", "b"]).group_by()
    assert groups.repeated == 3
    assert [*groups.measure().left_out] == [f"b/{name}"]
    assert len(figures(choose(["a", "b"]))) == 2


def test_an_end_without_its_metrics_counts_before_a_run_without_an_end(twice: Runs) -> None:
    name = spoil("b", "metrics.csv")
    RunFolder(Path("a") / name).update(status="interrupted")
    assert {run.path.parent.name for run in choose(["a", "b"]).group_by().runs} == {"b"}
    spoil("b", "gradients.csv")
    assert dict(choose(["a", "b"]).group_by()[0].statuses) == {"completed": 2, "interrupted": 1}
