"""Laws of the store: a value is read once for a stamp, and no state of the file changes what is read."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rnnlab.errors import RunFolderError
from rnnlab.runs import store
from rnnlab.runs.store import Store, stamp_of


class Reader:
    """Reads a value from a mapping, and remembers of which runs."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values, self.asked = values, list[str]()

    def __call__(self, name: str) -> Any:
        self.asked.append(name)
        return self.values[name]


def refreshed(root: Path, values: Mapping[str, Any], stamp: str = "1", kind: str = "run") -> list[str]:
    """Refresh with these values, of equal stamp; check that they are known, and return which were read."""
    reader = Reader(values)
    with Store(root, kind) as kept:
        assert kept.refresh(dict.fromkeys(values, stamp), reader) == {}
        assert dict(kept.values) == dict(values)
        assert dict(kept.stamps) == dict.fromkeys(values, stamp)
    return reader.asked


def file_of(root: Path) -> Path:
    return root / ".rnnlab" / "store.sqlite"


def executed(root: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file_of(root))) as file, file:
        return file.execute(statement).fetchall()


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    def stamps() -> Iterator[str | None]:
        path = tmp_path / "file"
        yield stamp_of(path)
        path.write_text("one")
        os.utime(path, ns=(0, 10))
        yield stamp_of(path)
        path.write_text("longer")
        os.utime(path, ns=(0, 10))
        yield stamp_of(path)
        os.utime(path, ns=(0, 11))
        yield stamp_of(path)
        (tmp_path / "draft").write_text("LONGER")
        os.utime(tmp_path / "draft", ns=(0, 11))
        (tmp_path / "draft").replace(path)
        yield stamp_of(path)

    first, *others = stamps()
    assert first is None
    assert len(set(others)) == 4
    assert stamp_of(tmp_path / "file") == others[-1]


def test_a_version_is_part_of_the_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stamp_of(tmp_path)
    monkeypatch.setattr(store, "_VERSION", 99)
    assert stamp_of(tmp_path) != before


def test_a_value_is_read_once_for_a_stamp(tmp_path: Path) -> None:
    values = {"a": {"x": [1, None, "é", 0.1]}, "b": 2}
    assert refreshed(tmp_path, values) == ["a", "b"]
    assert refreshed(tmp_path, values) == []
    assert refreshed(tmp_path, values, stamp="2") == ["a", "b"]


def test_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    refreshed(tmp_path, {"a": 1, "b": 2})
    refreshed(tmp_path, {"b": 2})
    assert executed(tmp_path, "SELECT name FROM run") == [("b",)]
    assert refreshed(tmp_path, {"a": 1, "b": 2}) == ["a"]


def test_kinds_are_apart(tmp_path: Path) -> None:
    refreshed(tmp_path, {"a": "run"})
    assert refreshed(tmp_path, {"a": "config"}, kind="config") == ["a"]
    refreshed(tmp_path, {}, kind="config")
    assert refreshed(tmp_path, {"a": "run"}) == []


def test_what_cannot_be_read_is_named_not_known_and_asked_again(tmp_path: Path) -> None:
    def refuse(name: str) -> Any:
        raise RunFolderError(f"{name} is broken")

    refreshed(tmp_path, {"a": 1})
    for _ in range(2):
        with Store(tmp_path, "run") as kept:
            assert kept.refresh({"a": "2"}, refuse) == {"a": "a is broken"}
            assert not kept.values
    assert refreshed(tmp_path, {"a": 1}) == ["a"]


def emptied(root: Path) -> None:
    file_of(root).write_bytes(b"")


def deleted(root: Path) -> None:
    file_of(root).unlink()


def no_database(root: Path) -> None:
    file_of(root).write_bytes(b"this is no database" * 1000)


def cut_off(root: Path) -> None:
    file_of(root).write_bytes(file_of(root).read_bytes()[:5000])


def spoiled_inside(root: Path) -> None:
    """The first page, which opening looks at, is whole."""
    data = file_of(root).read_bytes()
    file_of(root).write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def of_another_version(root: Path) -> None:
    executed(root, "PRAGMA user_version = 99")


def with_a_broken_value(root: Path) -> None:
    executed(root, "UPDATE run SET value = '{' WHERE name = 'run7'")


def with_two_values_for_one(root: Path) -> None:
    executed(root, "UPDATE run SET value = '1, 2' WHERE name = 'run7'")


@pytest.mark.parametrize(
    "harm",
    [
        emptied,
        deleted,
        no_database,
        cut_off,
        spoiled_inside,
        of_another_version,
        with_a_broken_value,
        with_two_values_for_one,
    ],
    ids=lambda harm: harm.__name__,
)
def test_a_file_that_is_lost_or_foreign_is_made_again(harm: Callable[[Path], None], tmp_path: Path) -> None:
    values = {f"run{k}": "x" * 200 for k in range(100)}
    refreshed(tmp_path, values)
    harm(tmp_path)
    assert refreshed(tmp_path, values) == list(values)
    assert refreshed(tmp_path, values) == []


def in_the_way(root: Path) -> None:
    (root / ".rnnlab").touch()


def a_folder(root: Path) -> None:
    file_of(root).mkdir(parents=True)


@pytest.mark.parametrize("hindrance", [in_the_way, a_folder], ids=lambda hindrance: hindrance.__name__)
def test_where_nothing_can_be_written_it_lives_in_memory(hindrance: Callable[[Path], None], tmp_path: Path) -> None:
    hindrance(tmp_path)
    reader = Reader({"a": 1})
    with Store(tmp_path, "run") as kept:
        for _ in range(2):
            assert kept.refresh({"a": "1"}, reader) == {}
            assert dict(kept.values) == {"a": 1}
    assert reader.asked == ["a"]


def test_a_file_that_another_process_will_not_let_go_of_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_WAIT", 0.0)
    refreshed(tmp_path, {"a": 1})
    with closing(sqlite3.connect(file_of(tmp_path), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refreshed(tmp_path, {"a": 1, "b": 2}) == ["b"]
        other.execute("COMMIT")
        other.execute("BEGIN EXCLUSIVE")
        assert refreshed(tmp_path, {"a": 1, "b": 2}) == ["a", "b"]
    assert refreshed(tmp_path, {"a": 1}) == []


def test_a_value_that_json_cannot_hold_is_known_for_now(tmp_path: Path) -> None:
    values = {"a": {1, 2}, "b": 3}
    assert refreshed(tmp_path, values) == ["a", "b"]
    assert refreshed(tmp_path, values) == ["a"]


def test_a_folder_that_is_made_later_gets_its_file_then(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with Store(root, "run") as kept:
        kept.refresh({}, Reader({}))
        root.mkdir()
        kept.refresh({"a": "1"}, Reader({"a": 1}))
    assert refreshed(root, {"a": 1}) == []


def _refresh_often(root: Path) -> None:
    values = {f"run{k}": k for k in range(50)}
    for turn in range(20):
        refreshed(root, values, stamp=str(turn))


def test_processes_at_once_do_not_hinder_each_other(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_refresh_often, [tmp_path] * 4, chunksize=1)
    rows = executed(tmp_path, "SELECT name, stamp, value FROM run")
    assert sorted(rows) == sorted((f"run{k}", "19", json.dumps(k)) for k in range(50))


def test_what_is_handed_out_cannot_be_written_to(tmp_path: Path) -> None:
    with Store(tmp_path, "run") as kept, pytest.raises(TypeError, match="does not support item assignment"):
        kept.values["a"] = 1  # type: ignore[index]


@pytest.mark.parametrize("column", ["name", "stamp", "value"])
def test_a_changed_text_is_not_believed(column: str, tmp_path: Path) -> None:
    values = {"run1": {"updates": 10}, "run2": {"updates": 20}}
    assert refreshed(tmp_path, values) == ["run1", "run2"]
    executed(tmp_path, f"UPDATE run SET {column} = replace({column}, '1', '3')")
    stamp = "3" if column == "stamp" else "1"
    assert refreshed(tmp_path, values, stamp) == ["run1", "run2"]
    assert refreshed(tmp_path, values, stamp) == []
