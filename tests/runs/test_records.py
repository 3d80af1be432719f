"""What is written is what is read, sentinel for sentinel, and a half-written line is never read as a number."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import even_columns
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.column import Column
from rnnlab.errors import RunFailedError, RunFolderError
from rnnlab.runs.columns import AT_TIMESTEP, GRADIENT_ROW_BYTES, GRADIENTS, METRICS
from rnnlab.runs.readers import read_gradients, read_metrics
from rnnlab.runs.seals import Seal, seal_of_file
from rnnlab.runs.writers import GradientLog, MetricsLog

LOGS = [column.name for column in GRADIENTS if column.kind == "log10"]
DOCS = Path(__file__).parents[2] / "docs" / "RECORDS.md"
UNDERFLOW = None
FOUR_ROWS = even_columns(*([np.arange(4)] * 8))

cell = st.one_of(
    st.floats(-4000, 4000), st.just(-np.inf), st.just(np.inf), st.just(np.nan), st.just(UNDERFLOW), st.just(0.0)
)
norms = st.floats(min_value=0) | st.just(np.nan)


def marked(cells: list[float | None]) -> np.ma.MaskedArray:
    return np.ma.masked_array([0.0 if one is UNDERFLOW else one for one in cells], [one is UNDERFLOW for one in cells])


def in_a_frame(one: float | None) -> float:
    """The documented reading of a log10 cell."""
    return np.nan if one is UNDERFLOW else np.inf if np.isnan(one) else one


def write(path: Path, updates: int = 3, timesteps: int = 4, state: str = "h", first: int = 0) -> None:
    with GradientLog(path) as log:
        for update in range(first, first + updates):
            t = np.arange(timesteps)
            y = np.linspace(-1, -300 - update, timesteps)
            figures = 10**y, y, y - 1, y, y + 1, np.where(t == 3, y, -np.inf)
            log.write(update, 0, state, even_columns(t, timesteps - 1 - t, *figures))


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """A disk that is full once a file has this many bytes; what fits of a write is written, as on a real one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@given(rows=st.lists(st.tuples(norms, cell, cell, cell, cell, cell), max_size=8))
def test_gradients_read_as_they_were_written(
    rows: list[tuple[float | None, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("run") / "gradients.csv"
    norm, *logs = (list(column) for column in zip(*rows, strict=True)) if rows else [[]] * 6
    t = np.arange(len(rows))
    with GradientLog(path) as log:
        log.write(5, 1, "a_clipped", even_columns(t, t[::-1], norm, *map(marked, logs)))
    frame = read_gradients(path)
    np.testing.assert_array_equal(frame["norm"], np.array(norm, float))
    for name, cells in zip(LOGS, [*logs, *logs], strict=True):
        np.testing.assert_allclose(frame[name], [in_a_frame(one) for one in cells], rtol=0, atol=1e-9)
    assert frame["t"].tolist() == t.tolist()
    assert frame["lag"].tolist() == t[::-1].tolist()
    assert frame.dtypes.astype(str).tolist() == [column.dtype for column in GRADIENTS]


@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from([column.name for column in METRICS[1:]]), st.none() | st.floats()), max_size=5
    )
)
def test_metrics_read_as_they_were_written(
    rows: list[dict[str, float | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("run") / "metrics.csv"
    with MetricsLog(path) as log:
        for update, row in enumerate(rows):
            log.write({"update": update, **row})
    frame = read_metrics(path)
    assert frame["update"].tolist() == list(range(len(rows)))
    for column in METRICS[1:]:
        expected = [np.nan if (one := row.get(column.name)) is None else one for row in rows]
        np.testing.assert_array_equal(frame[column.name], np.array(expected, float))


def test_columns_of_other_probes_stand_behind_and_are_read_as_numbers(tmp_path: Path) -> None:
    """Whether the probe is known here or not; without them the file is what it always was."""
    path = tmp_path / "metrics.csv"
    with MetricsLog(path, (*METRICS, Column("sparsity", "number", "1", "", ""))) as log:
        log.write({"update": 0, "loss": 1.5, "sparsity": 0.25})
        log.write({"update": 1, "sparsity": None})
    frame = read_metrics(path)
    assert [*frame.columns] == [*(column.name for column in METRICS), "sparsity"]
    np.testing.assert_array_equal(frame["sparsity"], [0.25, np.nan])
    with pytest.raises(RunFolderError, match="does not begin with the columns"):
        MetricsLog(path)
    plain = b"\n".join(line.rpartition(b",")[0] for line in path.read_bytes().splitlines()) + b"\n"
    with MetricsLog(tmp_path / "plain.csv") as log:
        log.write({"update": 0, "loss": 1.5})
        log.write({"update": 1})
    assert (tmp_path / "plain.csv").read_bytes() == plain


@pytest.mark.parametrize("names", ["sparsity,sparsity", "loss", "", "sparsity,"])
def test_further_columns_have_names_of_their_own(names: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(",".join(column.name for column in METRICS) + f",{names}\n")
    with pytest.raises(RunFolderError, match="does not begin with the columns"):
        read_metrics(path)


def test_the_marks_differ_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    with GradientLog(path) as log:
        figures = [0.0], [-np.inf], [np.inf], [np.nan], marked([UNDERFLOW]), [-44.5]
        log.write(0, 0, "h", even_columns([0], [0], *figures))
    logs = "-inf,inf,nan,,-44.500000000"
    assert path.read_text().splitlines()[1] == f"0,0,h,0,0,0.0,{logs},0,20,{logs}"


@pytest.mark.parametrize("read", [read_gradients, read_metrics])
def test_a_file_without_rows_is_an_empty_frame_of_the_right_types(
    read: Callable[[Path], pd.DataFrame], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    frame = read(tmp_path / "file")
    columns = GRADIENTS if read is read_gradients else METRICS
    assert frame.dtypes.astype(str).to_dict() == {column.name: column.dtype for column in columns}
    assert frame.empty


@pytest.mark.long
def test_a_file_cut_at_any_byte_is_read_up_to_its_last_newline_and_gone_on_with(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    write(whole, updates=2, timesteps=2)
    data, frame = whole.read_bytes(), read_gradients(whole)
    for size in range(len(data) + 1):
        cut.write_bytes(data[:size])
        rows = max(0, data[:size].count(b"\n") - 1)
        pd.testing.assert_frame_equal(read_gradients(cut), frame[:rows])
        write(cut, updates=1, timesteps=1, first=2)
        again = read_gradients(cut)
        pd.testing.assert_frame_equal(again[:rows], frame[:rows])
        assert again["update"].tolist()[rows:] == [2]


def test_a_resumed_file_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
    write(whole, updates=6)
    write(resumed, updates=4)
    kept = seal_of_file(resumed)
    write(resumed, updates=1, first=4)
    resumed.write_bytes(resumed.read_bytes() + b"5,0,h,0,3,1.2")
    GradientLog(resumed, kept).close()
    assert read_gradients(resumed)["update"].max() == 3
    write(resumed, updates=2, first=4)
    assert resumed.read_bytes() == whole.read_bytes()


def test_a_log_knows_the_length_and_hash_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    write(path, updates=2)
    with GradientLog(path) as log:
        assert log.sync() == seal_of_file(path)
        log.write(2, 0, "h", FOUR_ROWS)
        assert log.sync() == seal_of_file(path) == Seal.of(path.read_bytes())


def test_a_log_goes_on_only_from_the_bytes_that_were_kept(tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    write(path)
    kept, whole = seal_of_file(path), path.read_bytes()
    for data, fault in (
        (b"", "is cut: 0 of the"),
        (whole[: len(whole) // 2], "is cut"),
        (whole.replace(b"1", b"2", 1), "was changed"),
    ):
        path.write_bytes(data)
        with pytest.raises(RunFolderError, match=fault):
            GradientLog(path, kept)
        assert path.read_bytes() == data
    path.unlink()
    with pytest.raises(RunFolderError, match="is missing"):
        GradientLog(path, kept)


@pytest.mark.parametrize("spare", [0, 1, 30, 150])
def test_a_full_disk_keeps_whole_updates_and_says_so(spare: int, tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    write(path, updates=2)
    before = path.read_bytes()
    log = GradientLog(path)
    with room_for(len(before) + spare), pytest.raises(RunFailedError, match=r"File too large.*make room on the disk"):
        log.write(2, 0, "h", FOUR_ROWS)
    assert path.read_bytes() == before
    log.write(2, 0, "h", FOUR_ROWS)
    log.close()
    assert read_gradients(path)["update"].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_a_full_disk_names_the_last_update_that_is_kept(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv")
    log.write({"update": 40})
    with room_for(10), pytest.raises(RunFailedError, match="its rows up to update 40 are kept"):
        log.write({"update": 41})
    log.close()


def test_a_disk_that_is_full_at_the_start_is_said(tmp_path: Path) -> None:
    with room_for(20), pytest.raises(RunFailedError, match="File too large; nothing was added to it"):
        GradientLog(tmp_path / "gradients.csv")
    assert (tmp_path / "gradients.csv").read_bytes() == b""


def test_rows_are_on_disk_as_soon_as_they_are_written(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv")
    log.write({"update": 0, "loss": 0.5})
    assert read_metrics(tmp_path / "metrics.csv")["loss"].tolist() == [0.5]
    log.close()


def test_columns_of_unequal_length_are_refused_whole(tmp_path: Path) -> None:
    with GradientLog(tmp_path / "gradients.csv") as log, pytest.raises(ValueError, match="is shorter than"):
        log.write(0, 0, "h", even_columns([0, 1], [1], *([[0.0]] * 6)))
    assert read_gradients(tmp_path / "gradients.csv").empty


def test_a_metric_that_is_no_column_is_refused(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "metrics.csv") as log, pytest.raises(ValueError, match="has no column los"):
        log.write({"update": 0, "los": 1.0})


@pytest.mark.parametrize("data", [b"mine\n1,2\n", b"mine", b"update,epoch\n"])
def test_another_table_is_neither_gone_on_with_nor_read(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    path.write_bytes(data)
    with pytest.raises(RunFolderError, match="does not begin with the columns"):
        GradientLog(path)
    assert path.read_bytes() == data
    path.write_bytes(data + b"\n")
    with pytest.raises(RunFolderError, match="does not begin with the columns"):
        read_gradients(path)


@pytest.mark.parametrize(
    "line",
    [b"0,0,h,0,0,1.0,,,,,,0,1,,,,\n", b"0,0,h,0,0,1.0,,,,,,0,1,,,,,,\n", b"\n", b"0,0,h,0,0,one,,,,,,0,1,,,,,\n"],
)
def test_a_broken_line_is_said(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    write(path, updates=1, timesteps=1)
    path.write_bytes(path.read_bytes() + line + b"1,0,h,0,0,1.0,,,,,,0,1,,,,,\n")
    with pytest.raises(RunFolderError, match="is broken"):
        read_gradients(path)


def test_lines_that_an_editor_ended_its_own_way_are_read(tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    write(path)
    frame = read_gradients(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(read_gradients(path), frame)


def test_a_missing_file_and_an_impossible_place_are_said(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="cannot be read: No such file"):
        read_metrics(tmp_path / "metrics.csv")
    with pytest.raises(RunFolderError, match="cannot be written: No such file"):
        MetricsLog(tmp_path / "missing" / "metrics.csv")


@pytest.mark.parametrize("heading", ["gradients.csv", "metrics.csv"])
def test_the_docs_describe_every_column_with_its_unit(heading: str) -> None:
    columns: tuple[Column, ...] = GRADIENTS if heading == "gradients.csv" else METRICS
    section = re.split(r"^## ", DOCS.read_text(), flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(heading))
    rows = [re.split(r"(?<!\\)\|", line) for line in text.splitlines() if line.startswith("| `")]
    described = [(row[1].strip(" `"), row[2].strip()) for row in rows if len(row) == 6]
    assert described == [(column.name, column.unit) for column in columns]


def test_a_file_of_an_older_version_is_read_with_lag_from_the_last_timestep(tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    write(path)
    frame = read_gradients(path)
    names = [column.name for column in AT_TIMESTEP]
    frame[names].to_csv(path, index=False)
    old = read_gradients(path)
    assert [*old.columns] == [*frame.columns]
    assert set(old["own_samples"]) == {-1}
    pd.testing.assert_frame_equal(old.drop(columns="own_samples"), frame.drop(columns="own_samples"))
    with pytest.raises(RunFolderError, match="does not begin with the columns"):
        GradientLog(path)


def test_a_row_takes_about_what_a_plan_counts_on(tmp_path: Path) -> None:
    path = tmp_path / "gradients.csv"
    write(path, updates=1000, timesteps=2)
    assert path.stat().st_size / 2000 == pytest.approx(GRADIENT_ROW_BYTES, rel=0.3)
