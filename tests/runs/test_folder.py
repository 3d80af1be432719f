"""A run folder is there whole or not at all, and nothing finished is lost."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import resource
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.atomic import atomic
from rnnlab.errors import RunExistsError, RunFailedError, RunFolderError, UsageError
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run_json import STATUSES


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name.startswith("."))


def test_a_name_that_cannot_be_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    for refuse in (RunFolder.check, RunFolder.create):
        with pytest.raises(UsageError, match="a name is not a path"):
            refuse(tmp_path, "../x")
    assert not list(tmp_path.iterdir())


def test_create_makes_the_parents_and_a_running_run(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "a" / "b", "one", {"seed": 7})
    assert run.path == tmp_path / "a" / "b" / "one"
    assert run.is_run
    assert (run.name, run.status, run.read_run()["seed"]) == ("one", "running", 7)
    assert not leftovers(tmp_path / "a" / "b")


@pytest.mark.parametrize("status", STATUSES)
def test_a_run_is_never_replaced_without_force(status: str, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "one", {"mark": "old"})
    run.update(status=status)
    for refuse in (RunFolder.check, RunFolder.create):
        with pytest.raises(RunExistsError, match=r"--name.*--force"):
            refuse(tmp_path, "one")
    assert run.read_run()["mark"] == "old"


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "running"])
def test_force_replaces_all_of_a_run_that_is_over(status: str, tmp_path: Path) -> None:
    old = RunFolder.create(tmp_path, "one")
    old.gradients.write_text("old rows\n")
    old.finish(status)
    new = RunFolder.create(tmp_path, "one", force=True)
    assert new.status == "running"
    assert not new.gradients.exists()
    assert not leftovers(tmp_path)


def test_force_does_not_replace_a_run_that_is_being_written(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "one")
    with pytest.raises(RunExistsError, match=rf"trained by process {os.getpid()} on .*; wait .* choose another --name"):
        RunFolder.create(tmp_path, "one", force=True)


def test_the_old_run_comes_back_when_the_new_one_cannot_be_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = RunFolder.create(tmp_path, "one", {"mark": "old"})
    old.finish("completed")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if ".new-" in self.name:
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(RunFolderError, match="cannot be made"):
        RunFolder.create(tmp_path, "one", force=True)
    assert old.read_run()["mark"] == "old"
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_run_is_never_replaced(force: bool, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "work.py").write_text("mine")
    (tmp_path / "file").write_text("mine")
    RunFolder.create(tmp_path, "run").finish("completed")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    for name in ("src", "file", "link"):
        with pytest.raises(RunExistsError, match="is not a run, so it is never replaced"):
            RunFolder.create(tmp_path, name, force=force)
    assert (tmp_path / "src" / "work.py").read_text() == (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    assert RunFolder.create(tmp_path, "one").is_run


def test_a_broken_run_is_replaced_by_force_alone(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "one")
    run.run.write_text("{")
    with pytest.raises(RunExistsError, match=r"\(broken\)"):
        RunFolder.create(tmp_path, "one")
    assert RunFolder.create(tmp_path, "one", force=True).status == "running"


def test_numbered_names_go_on_from_two(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, "one", numbered=True).name for _ in range(3)]
    assert names == ["one", "one-2", "one-3"]


def _create(root: Path) -> str:
    return RunFolder.create(root, "one", numbered=True).name


def test_processes_that_start_at_once_get_a_folder_each(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        names = pool.map(_create, [tmp_path] * 40)
    assert len(set(names)) == 40
    assert not leftovers(tmp_path)


def test_a_run_made_meanwhile_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = RunFolder.create(tmp_path, "one", {"mark": "theirs"})
    monkeypatch.setattr("rnnlab.runs.folder._check_free", lambda run, force, dead: None)
    with pytest.raises(RunExistsError, match="made by another process"):
        RunFolder.create(tmp_path, "one")
    assert theirs.read_run()["mark"] == "theirs"
    assert not leftovers(tmp_path)


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(RunFolderError, match=r"is a file.*--out"):
            RunFolder.check(root, "one")


def test_a_root_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere, so the system's answer is played.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunFolderError, match=r"cannot be written.*--out"):
        RunFolder.create(tmp_path, "one")


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a read-only file system")
def test_a_root_where_nothing_can_be_made_is_refused() -> None:
    with pytest.raises(RunFolderError, match=r"(cannot be made|cannot be written).*--out"):
        RunFolder.create("/proc", "one")


def test_check_touches_nothing(tmp_path: Path) -> None:
    RunFolder.check(tmp_path / "new", "one")
    assert not list(tmp_path.iterdir())


def test_a_running_run_whose_process_is_gone_is_interrupted(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "one")
    process = run.read_run()["process"]
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(signal.SIGKILL)
    child.wait()
    for change, status in [
        ({"pid": child.pid}, "interrupted"),
        ({"start": process["start"] - 3600}, "interrupted"),
        ({"host": "elsewhere", "pid": child.pid}, "running"),
    ]:
        run.update(process={**process, **change})
        assert run.status == status


def test_finish_writes_the_end(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "one")
    run.finish("diverged", "the loss was nan", result={"loss": math.nan})
    info = run.read_run()
    assert (info["status"], info["reason"], info["result"]) == ("diverged", "the loss was nan", {"loss": "nan"})
    assert info["started"] <= info["ended"]
    with pytest.raises(ValueError, match="'done' is not one of running"):
        run.finish("done")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,  # a hundred take four times as long to draw, and hold nothing that ten do not
)


# A key that `run_keys` does not know may have any value.
@given(info=st.dictionaries(st.text().map("+{}".format), plain))
def test_run_json_reads_as_it_was_written(info: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> None:
    run = RunFolder(tmp_path_factory.mktemp("run"))
    run.write_run(info)
    assert run.read_run() == info


def test_run_json_is_strict_and_takes_numbers_and_paths_of_any_kind(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_run({"a": [math.inf, -math.inf, np.float32("nan")], "b": np.arange(2), "c": Path("x"), "d": "\udcff"})

    def refuse(literal: str) -> None:
        raise AssertionError(literal)

    info = json.loads(run.run.read_text(), parse_constant=refuse)
    assert len(info.pop("checksum")) == 64
    assert info == {"a": ["inf", "-inf", "nan"], "b": [0, 1], "c": "x", "d": "\udcff"}
    assert float(info["a"][1]) == -math.inf


@pytest.mark.parametrize("bit", range(8 * len("checksum")))
def test_a_changed_run_json_is_not_believed_where_the_key_of_its_checksum_is_changed_too(
    bit: int, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path)
    run.write_run({"identity": "a" * 64, "result": {"loss": 0.5}})
    changed = bytearray(run.run.read_bytes().replace(b"0.5", b"0.4"))
    changed[changed.index(b"checksum") + bit // 8] ^= 1 << bit % 8
    run.run.write_bytes(changed)
    with pytest.raises(RunFolderError, match=r"run\.json (was changed|cannot be read)"):
        run.read_run()


def test_a_run_json_of_an_earlier_version_has_no_checksum(tmp_path: Path) -> None:
    run, info = RunFolder(tmp_path), {"name": "one", "identity": "a" * 64}
    run.run.write_text(json.dumps(info))
    assert run.read_run() == info


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"a": '])
def test_a_broken_run_json_is_said(text: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.run.write_text(text)
    with pytest.raises(RunFolderError, match=r"run\.json cannot be read"):
        run.read_run()


def test_a_missing_run_json_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"is not a run: it has no run\.json"):
        RunFolder(tmp_path).read_run()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_run({"a": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RunFailedError, match=r"cannot be written: File too large; what was there is kept"):
            run.write_run({"a": "x" * 5000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert run.read_run() == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_an_exception_of_the_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def write() -> None:
        with atomic(target) as file:
            file.write(b"new")
            raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        write()
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("force", [False, True])
def test_a_run_travels_as_its_files(force: bool, tmp_path: Path) -> None:
    there = RunFolder.create(tmp_path / "there", "one", {"mark": "there"})
    there.gradients.write_bytes(b"rows\r\n")
    here = RunFolder.create(tmp_path / "here", "one")
    here.metrics.write_text("of the older one")
    files = there.contents()
    if not force:
        with pytest.raises(RunExistsError, match=r"is there already \(running\)"):
            RunFolder.create_from_files(tmp_path / "here", "one", files, force=False)
        assert here.metrics.exists()
        return
    made = RunFolder.create_from_files(tmp_path / "here", "one", {**files, "../stray": b"x", "stray": b"x"}, force=True)
    assert made.contents() == files
    assert {path.name for path in made.path.iterdir()} == {"run.json", "gradients.csv"}
    assert not leftovers(tmp_path / "here")


def test_the_name_is_the_folder_however_it_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create(tmp_path, "one")
    monkeypatch.chdir(run.path)
    assert RunFolder(".").name == RunFolder(run.path / ".." / "one").name == "one"
