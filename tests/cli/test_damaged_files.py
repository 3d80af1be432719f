"""A file that is not the one that the run ended with is named and left out, wherever runs are read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import Call
from fakes import fake_group
from trainings import fleet_config

from rnnlab.compare.collection import load_runs
from rnnlab.errors import RunFolderError
from rnnlab.report.findings import Findings
from rnnlab.report.page.payload import payload
from rnnlab.report.page.run import Thinned
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.grids import GradientGrids
from rnnlab.runs.readers import read_gradients, read_metrics
from rnnlab.runs.run import Run
from rnnlab.runs.seals import Seal, seal_of_file
from rnnlab.training.loop import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs that have ended."""
    root = tmp_path_factory.mktemp("trained")
    for seed in range(3):
        train(fleet_config(name=f"s{seed}", seed=seed), out=root)
    return root


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them in runs/, in a folder of their own."""
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.fixture
def call(rnn: Call) -> Call:
    return rnn


def cut_at_a_line(data: bytes) -> bytes:
    return data[: data.rindex(b"\n", 0, len(data) // 2) + 1]


def without_a_middle_row(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[: len(lines) // 2] + lines[len(lines) // 2 + 1 :])


def with_another_digit(data: bytes) -> bytes:
    rng, digits = np.random.default_rng(0), bytearray(data)
    places = [place for place in range(data.index(b"\n"), len(data)) if data[place : place + 1].isdigit()]
    place = int(rng.choice(places))
    digits[place] = ord("0") + (digits[place] - ord("0") + 3) % 10
    return bytes(digits)


def with_its_last_row_twice(data: bytes) -> bytes:
    return data + data.splitlines(keepends=True)[-1]


DAMAGES = [cut_at_a_line, without_a_middle_row, with_another_digit, with_its_last_row_twice]


def words(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


def test_run_json_has_the_length_and_hash_of_each_file(runs: Path) -> None:
    run = Run(runs / "s0")
    others = [path for path in run.dir.files if path.exists() and path != run.dir.run]
    assert run.info["files"] == {path.name: seal_of_file(path).as_dict() for path in others}
    assert set(run.info["files"]) == {"config.yaml", "metrics.csv", "gradients.csv", "checkpoint.pt"}


@pytest.mark.parametrize("damage", DAMAGES)
def test_changed_gradients_are_left_out_and_named(damage: Callable[[bytes], bytes], runs: Path, call: Call) -> None:
    path = runs / "s1" / "gradients.csv"
    path.write_bytes(damage(path.read_bytes()))
    fault = r"gradients\.csv (is cut|was changed|has grown).*`rnnlab verify`.*--trust"
    with pytest.raises(RunFolderError, match=fault):
        _ = Run(path.parent).gradients
    with pytest.raises(RunFolderError, match=fault):
        GradientGrids(Run(path.parent).dir)
    assert list(load_runs(runs).readable().left_out) == ["s1"]
    left_out = json.loads(call("report", "--json").out)["left_out"]
    assert list(left_out) == ["s1"]
    assert "gradients.csv" in left_out["s1"]
    assert "left out: s1: " in words(call("report").out)


@pytest.mark.parametrize("damage", DAMAGES)
def test_changed_metrics_are_named_on_page_and_terminal(
    damage: Callable[[bytes], bytes], runs: Path, call: Call
) -> None:
    path = runs / "s1" / "metrics.csv"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunFolderError, match="metrics"):
        _ = Run(path.parent).metrics
    assert "without its metrics: s1: " in words(call("report").out)
    assert "without its metrics: runs/s1/metrics.csv" in words(call("show", "s1").out)
    groups = load_runs(runs).group_by("seed")
    thinned = Thinned(groups)
    shown, _ = payload(Findings(groups, on_readings=thinned.add), thinned)
    reasons = {run["name"]: run["metrics_reason"] for run in shown["runs"]}
    assert [name for name, reason in reasons.items() if reason] == ["s1"]
    assert "metrics.csv" in reasons["s1"]


def test_a_missing_metrics_file_is_named(runs: Path, call: Call) -> None:
    (runs / "s2" / "metrics.csv").unlink()
    assert "without its metrics: s2: " in words(call("report").out)
    assert "without its metrics: " in call("show", "s2").out


def test_changed_settings_are_left_out_and_named(runs: Path, call: Call) -> None:
    path = runs / "s1" / "config.yaml"
    path.write_bytes(path.read_bytes().replace(b"hidden: ", b"hidden: 1"))
    with pytest.raises(RunFolderError, match=r"config\.yaml has grown"):
        _ = Run(path.parent).settings
    assert "left out: s1: " in words(call("report").out)
    assert "left out: s1: " in words(call("ls", "--where", "seed<5").err)


def test_trust_reads_them_all_the_same_and_nobody_else_does(runs: Path, call: Call) -> None:
    path = runs / "s1" / "gradients.csv"
    path.write_bytes(cut_at_a_line(path.read_bytes()))
    assert len(Run(path.parent, trust=True).gradients) == len(read_gradients(path))
    assert json.loads(call("report", "--json", "--trust").out)["left_out"] == {}
    assert list(json.loads(call("report", "--json").out)["left_out"]) == ["s1"]


def test_a_run_without_lengths_and_hashes_is_read_as_before(tmp_path: Path) -> None:
    (run,) = fake_group(tmp_path, {0: -1.0})
    assert "files" not in run.info
    assert len(run.gradients)


@pytest.mark.parametrize("name", ["gradients.csv", "metrics.csv"])
def test_doubled_rows_are_refused_also_without_a_hash(name: str, runs: Path) -> None:
    path, read = runs / "s0" / name, {"gradients.csv": read_gradients, "metrics.csv": read_metrics}[name]
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(whole + lines[-1])
    with pytest.raises(RunFolderError, match=r"line \d+: it is there twice, on line \d+ as well"):
        read(path)
    path.write_bytes(whole + lines[1])
    with pytest.raises(RunFolderError, match="comes after update"):
        read(path)


def test_rows_of_one_update_may_have_any_order(runs: Path) -> None:
    path = runs / "s0" / "gradients.csv"
    header, *rows = path.read_bytes().splitlines(keepends=True)
    first = [row for row in rows if row.startswith(b"0,")]
    path.write_bytes(header + b"".join([*reversed(first), *rows[len(first) :]]))
    assert len(read_gradients(path)) == len(rows)


def test_a_run_that_goes_on_while_it_is_read_is_no_damaged_one(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process resumes it after this one has read run.json, and before it reads the rows."""
    run, asked = Run(runs / "s0"), list[Path]()
    seal_of = RunFolder.seal_of

    def then_resumed(self: RunFolder, path: Path) -> Seal | None:
        seal = seal_of(self, path)
        if not asked:
            self.update(files=None, status="running")
            path.write_bytes(path.read_bytes() + b"half a row")
        asked.append(path)
        return seal

    monkeypatch.setattr(RunFolder, "seal_of", then_resumed)
    assert len(run.gradients)
    assert len(asked) == 2


@pytest.mark.parametrize("key", ["updates", "updates_per_second", "parameters"])
def test_a_changed_run_json_is_left_out_and_named(key: str, runs: Path, call: Call) -> None:
    path = runs / "s1" / "run.json"
    path.write_bytes(path.read_bytes().replace(f'"{key}": '.encode(), f'"{key}": 1'.encode()))
    with pytest.raises(RunFolderError, match=r"run\.json was changed: .*checksum.*`rnnlab verify`.*--trust"):
        Run(path.parent)
    assert "left out: s1: " in words(call("ls").err)
    assert "left out: s1: " in words(call("report").out)
    assert Run(path.parent, trust=True).info["name"] == "s1"
    assert "s1" in call("ls", "--trust").out


@pytest.mark.parametrize("damage", [*DAMAGES, lambda _: b"no table\n"])
@pytest.mark.parametrize("name", ["config.yaml", "gradients.csv", "metrics.csv"])
def test_show_names_what_is_damaged_and_ends_as_verify_does(
    name: str, damage: Callable[[bytes], bytes], runs: Path, call: Call
) -> None:
    assert call("show", "s1").code == 0
    path = runs / "s1" / name
    path.write_bytes(damage(path.read_bytes()))
    shown = call("show", "s1")
    assert (shown.code, shown.err) == (3, f"rnnlab: runs/s1 has damaged files: {name}\n")
    assert f"runs/s1/{name}" in words(shown.out)
    assert call("verify", "s1").code == 3


def test_what_is_trusted_is_not_named_as_damaged(runs: Path, call: Call) -> None:
    path = runs / "s1" / "gradients.csv"
    path.write_bytes(without_a_middle_row(path.read_bytes()))
    shown = call("show", "s1", "--trust")
    assert (shown.code, shown.err) == (0, "")


def test_a_run_json_without_a_checksum_is_named(runs: Path, call: Call) -> None:
    """Its figures count, since an earlier version wrote none; who reads them knows that nothing vouches for them."""
    assert "checksum" not in call("report").out + call("show", "s1").out
    path = runs / "s1" / "run.json"
    info = json.loads(path.read_text())
    del info["checksum"]
    path.write_text(json.dumps(info))
    named = "not verified: {}run.json has no checksum: an earlier version wrote it, or somebody else"
    assert named.format("s1: ") in words(call("report").out)
    assert named.format("") in words(call("show", "s1").out)
    assert call("show", "s1").code == 0
