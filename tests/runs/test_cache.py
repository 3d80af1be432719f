"""What is kept beside the runs is the runs' own, or is not used."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fakes import even_columns, fake_run

from rnnlab.compare import collection
from rnnlab.compare.collection import load_runs
from rnnlab.errors import RunFolderError
from rnnlab.runs import cache
from rnnlab.runs.cache import CACHED_COLUMNS, cached_configs, cached_gradients
from rnnlab.runs.columns import GRADIENTS
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.readers import as_frame, read_table
from rnnlab.runs.run import Run
from rnnlab.runs.seals import Seal
from rnnlab.runs.writers import GradientLog


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(cache, "_SMALLEST_CSV", 0)
    made = fake_run(tmp_path, "one", layers=2, states=("h", "c"))
    sentinels = np.array([-np.inf, np.inf, np.nan, -1.0])
    masked = np.ma.masked_array(sentinels, [False, False, False, True])
    with GradientLog(made.dir.gradients) as log:
        figures = 10 ** np.abs(sentinels), masked, masked, sentinels, masked, masked
        log.write(20, 0, "h", even_columns(range(4), range(4), *figures))
    return Run(made.path)


def kept(run: Run) -> Path:
    return run.path.parent / ".rnnlab" / "gradients" / f"{run.name}.parquet"


def test_what_is_kept_is_what_is_read(run: Run) -> None:
    fresh = cached_gradients(run.dir)
    assert kept(run).exists()
    again = cached_gradients(run.dir)
    theirs = run.gradients[list(CACHED_COLUMNS)]
    for table in (fresh, again):
        assert as_frame(table).equals(theirs)


def test_a_file_that_has_changed_is_read_anew(run: Run) -> None:
    cached_gradients(run.dir)
    with GradientLog(run.dir.gradients) as log:
        y = np.full(2, -3.0)
        log.write(30, 0, "h", even_columns(range(2), range(2), 10**y, y, y, y, y, y))
    assert cached_gradients(run.dir)["update"].to_pylist()[-2:] == [30, 30]
    assert as_frame(cached_gradients(run.dir)).equals(Run(run.path).gradients[list(CACHED_COLUMNS)])


@pytest.mark.parametrize("spoiled", [b"", b"PAR1 and then nothing", b"\x00" * 100])
def test_a_broken_file_is_made_again(run: Run, spoiled: bytes) -> None:
    cached_gradients(run.dir)
    kept(run).write_bytes(spoiled)
    assert as_frame(cached_gradients(run.dir)).equals(run.gradients[list(CACHED_COLUMNS)])
    assert kept(run).stat().st_size > 100


@pytest.mark.long
def test_a_flipped_bit_is_no_other_number(run: Run) -> None:
    cached_gradients(run.dir)
    whole = kept(run).read_bytes()
    for at in range(0, len(whole), 7):
        kept(run).write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        assert as_frame(cached_gradients(run.dir)).equals(run.gradients[list(CACHED_COLUMNS)])


def test_where_nothing_can_be_kept_it_is_read_all_the_same(run: Run) -> None:
    (run.path.parent / ".rnnlab").mkdir(exist_ok=True)
    (run.path.parent / ".rnnlab" / "gradients").write_text("in the way")
    (run.path.parent / ".rnnlab" / "store.sqlite").mkdir()
    assert as_frame(cached_gradients(run.dir)).equals(run.gradients[list(CACHED_COLUMNS)])
    assert cached_configs(run.path.parent, [run.dir]) == {"one": run.config}


def test_a_broken_csv_is_an_error_and_nothing_is_kept(run: Run) -> None:
    with run.dir.gradients.open("a") as file:
        file.write("1,2\n")
    with pytest.raises(RunFolderError, match=r"gradients.csv is broken: Row #\d+: Expected 18 columns, got 2"):
        cached_gradients(run.dir)
    assert not kept(run).exists()


def test_what_was_kept_of_a_run_that_is_gone_goes_too(run: Run) -> None:
    cached_gradients(run.dir)
    other = fake_run(run.path.parent, "other")
    shutil.rmtree(run.path)
    cache._delete_stale.cache_clear()
    cached_gradients(other.dir)
    assert [path.name for path in kept(run).parent.iterdir()] == ["other.parquet"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\n", r"line \d+: its update is empty"),
        (",0,h,0,0,1,0,0,0,0,0,0,1,0,0,0,0,0\n", r"line \d+: its update is empty"),
        ("x,0,h,0,0,1,0,0,0,0,0,0,1,0,0,0,0,0\n", "invalid value 'x'"),
        ("1,0,h,0,0,1,0,0,0,0,0,0,1,0,0,0,0,0,9\n", "Expected 18 columns, got 19"),
        ('1,0,"h,h",0,0,1,0,0,0,0,0,0,1,0,0,0,0\n', "invalid value"),
    ],
)
def test_a_broken_line_is_reported(run: Run, line: str, message: str) -> None:
    with run.dir.gradients.open("a") as file:
        file.write(line)
    with pytest.raises(RunFolderError, match=message):
        read_table(run.dir.gradients, GRADIENTS)


def test_configs_are_kept_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_CACHE_FROM", 1)
    for seed in range(3):
        fake_run(tmp_path, f"run{seed}", {"seed": seed, "name": f"run{seed}"})
    assert [run.config["seed"] for run in load_runs(tmp_path)] == [0, 1, 2]
    # Read from what is kept: the parser is not needed any more.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "read_config", None)
        assert [run.config["seed"] for run in load_runs(tmp_path)] == [0, 1, 2]
    (tmp_path / "run1" / "config.yaml").write_text("seed: 11\nname: run1\n")
    (tmp_path / "run2" / "config.yaml").write_text("[")
    loaded = load_runs(tmp_path)
    assert [run.config["seed"] for run in loaded[:2]] == [0, 11]
    with pytest.raises(RunFolderError, match=r"config.yaml cannot be read"):
        _ = loaded["run2"].config
    (tmp_path / ".rnnlab" / "store.sqlite").write_text("[1]")
    assert cached_configs(tmp_path, [RunFolder(tmp_path / "run0")])["run0"]["seed"] == 0


@pytest.mark.parametrize("kept_from", [1, 100])
def test_a_config_that_is_kept_is_held_to_run_json(
    kept_from: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of one size, whose run.json are exchanged after the configs were kept."""
    monkeypatch.setattr(collection, "_CACHE_FROM", kept_from)
    for seed in range(3):
        folder = fake_run(tmp_path, f"run{seed}", {"seed": seed, "name": f"run{seed}"}).dir
        folder.update(files={"config.yaml": Seal.of(folder.config.read_bytes()).as_dict()})
    assert [run.config["seed"] for run in load_runs(tmp_path)] == [0, 1, 2]
    first, second = (tmp_path / name / "run.json" for name in ("run0", "run1"))
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])
    loaded = load_runs(tmp_path)
    for run in loaded[:2]:
        with pytest.raises(RunFolderError, match=r"config\.yaml was changed"):
            _ = run.config
    assert loaded[2].config["seed"] == 2
