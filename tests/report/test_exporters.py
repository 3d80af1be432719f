"""What exports hold, read back by the tools' own readers: each number is that of the run's CSV files."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from commands import Call
from fakes import fake_group, fake_run

import rnnlab
from rnnlab.errors import UsageError
from rnnlab.report.exporters import EXPORTERS, Exporter, export_runs, exporter_of
from rnnlab.report.exporters.content import RunContent
from rnnlab.report.exporters.new_folder import MARK
from rnnlab.runs.run import Run


def needs(name: str) -> pytest.MarkDecorator:
    missing = [package for package in EXPORTERS[name].packages if importlib.util.find_spec(package) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)}: not installed (the extra `{name}`)")


NAMES = [pytest.param(name, marks=needs(name)) for name in EXPORTERS]


pytestmark = pytest.mark.long


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for cell, rate in (("rnn", -15.0), ("lstm", -2.0)):
        fake_group(tmp_path / "runs", {seed: rate + seed for seed in range(2)}, model__cell=cell, spread=0.1)
    return tmp_path / "runs"


def exported(root: Path, name: str) -> Path:
    folder = root.parent / f"exported-{name}"
    export_runs(rnnlab.load_runs(root), exporter_of(name), folder)
    return folder


def cells(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file as texts, read apart from the package."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def in_csv(run: Run, name: str) -> dict[int, float]:
    """A column of metrics.csv by update, without empty cells."""
    return {int(row["update"]): float(row[name]) for row in cells(run.dir.metrics) if row[name]}


def scalar_names(run: Run) -> list[str]:
    header = list(cells(run.dir.metrics)[0])
    return [name for name in header if name not in ("update", "seconds") and in_csv(run, name)]


@needs("tensorboard")
def test_tensorboard_reads_the_numbers_of_the_csv_files(root: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = exported(root, "tensorboard")
    for run in rnnlab.load_runs(root):
        events = EventAccumulator(str(folder / run.name)).Reload()
        for name in scalar_names(run):
            read = {scalar.step: scalar.value for scalar in events.Scalars(name)}
            assert read == {update: np.float32(value) for update, value in in_csv(run, name).items()}
        rates = {scalar.step: scalar.value for scalar in events.Scalars("gradient/layer0/h/rate")}
        assert rates == {update: np.float32(rate_of(run, update)) for update in (0, 10)}


@needs("tensorboard")
def test_tensorboard_has_curves_as_images_and_no_metric_a_timestep(root: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    folder = exported(root, "tensorboard")
    events = EventAccumulator(str(folder / "cell=lstm-T40-s1")).Reload()
    assert sorted(events.Tags()["images"]) == ["gradient/layer0/c", "gradient/layer0/h"]
    (image,) = events.Images("gradient/layer0/h")
    assert image.encoded_image_string[:4] == b"\x89PNG"
    assert (image.width, image.height) == pixels(image.encoded_image_string)
    assert len(events.Tags()["scalars"]) < 40
    held = HParamsPluginData.FromString(events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    assert held.session_start_info.hparams["model.cell"].string_value == "lstm"
    assert held.session_start_info.hparams["task.length"].number_value == 40


def rate_of(run: Run, update: int) -> float:
    fit = run.verdict(update).fit
    assert fit is not None
    return fit.rate


def pixels(png: bytes) -> tuple[int, int]:
    import io

    from matplotlib import image

    height, width = image.imread(io.BytesIO(png)).shape[:2]
    return width, height


@needs("mlflow")
def test_mlflow_reads_the_numbers_of_the_csv_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    folder = exported(root, "mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    import warnings

    # SQLAlchemy warns of what this MLflow calls.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        (experiment,) = [one for one in client.search_experiments() if one.name == folder.name]
        stored = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
        runs = rnnlab.load_runs(root)
        assert set(stored) == {run.name for run in runs}
        for run in runs:
            read = stored[run.name]
            assert read.info.status == "FINISHED"
            assert read.data.params["model.cell"] == run.settings["model.cell"]
            assert read.data.tags["rnnlab.status"] == "completed"
            for name in scalar_names(run):
                history = client.get_metric_history(read.info.run_id, name)
                assert {one.step: one.value for one in history} == in_csv(run, name)
            rates = client.get_metric_history(read.info.run_id, "gradient/layer0/h/rate")
            assert {one.step: one.value for one in rates} == {update: rate_of(run, update) for update in (0, 10)}
            shown = [one.path for one in client.list_artifacts(read.info.run_id, "gradient/layer0")]
            states = ("c", "h") if run.settings["model.cell"] == "lstm" else ("h",)
            assert shown == [f"gradient/layer0/{state}.png" for state in states]
        client._tracking_client.store.engine.dispose()


@pytest.mark.parametrize("record", ["metrics", "gradients"])
def test_parquet_has_the_cells_of_the_csv_files_and_the_settings(root: Path, record: str) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(exported(root, "parquet") / f"{record}.parquet").to_pylist()
    for run in rnnlab.load_runs(root):
        rows = cells(getattr(run.dir, record))
        read = [row for row in table if row["run"] == run.name]
        assert len(read) == len(rows)
        for row, written in zip(read, rows, strict=True):
            assert all(is_the_cell(row[name], text) for name, text in written.items())
            assert {key: row[key] for key in run.settings} == run.settings
            assert row["status"] == "completed"


def is_the_cell(value: object, text: str) -> bool:
    """Whether a value is what a cell of a CSV file says; an empty cell is NaN."""
    if isinstance(value, str):
        return value == text
    assert isinstance(value, int | float)
    return math.isnan(value) if not text else value == float(text)


def test_settings_of_unlike_kinds_share_a_column(tmp_path: Path) -> None:
    import pandas as pd

    settings: dict[str, dict[str, Any]] = {
        "a": {"speed": 1, "window": None, "update": "x", "deep": [1, 2]},
        "b": {"speed": 0.5, "window": 3, "on": True},
        "c": {"speed": 2, "window": "all", "on": False},
    }
    for name, config in settings.items():
        fake_run(tmp_path / "runs", name, {**config, "seed": 0})
    frame = pd.read_parquet(exported(tmp_path / "runs", "parquet") / "metrics.parquet")
    first = frame.groupby("run", observed=True).first()
    assert first["speed"].tolist() == [1.0, 0.5, 2.0]
    assert first["window"].tolist()[1:] == ["3", "all"]
    assert first["on"].tolist()[1:] == [True, False]
    assert first.loc["a", "setting.update"] == "x"
    assert first.loc["a", "deep"] == "[1, 2]"
    assert frame["update"].tolist() == [0, 10] * 3


@pytest.mark.parametrize("name", NAMES)
def test_damaged_and_unfinished_runs_are_named_and_the_others_exported(root: Path, name: str) -> None:
    names = sorted(run.name for run in rnnlab.load_runs(root))
    (root / names[0] / "config.yaml").unlink()
    (root / names[1] / "gradients.csv").write_text("rubbish\n1\n")
    Run(root / names[2]).dir.finish("interrupted", "Ctrl-C")
    (root / names[3] / "metrics.csv").unlink()
    folder = root.parent / "out"
    done = export_runs(rnnlab.load_runs(root), exporter_of(name), folder)
    assert done.runs == 3
    notes = "\n".join(done.notes)
    assert f"left out: {names[0]}" in notes
    assert f"{names[1]}: without its gradients" in notes
    assert f"{names[3]}: without its metrics" in notes
    assert names[2] not in notes


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_there_is_kept_unless_it_is_an_export_and_force_is_given(root: Path, name: str) -> None:
    runs, exporter = rnnlab.load_runs(root), exporter_of(name)
    mine = root.parent / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"mine is there and is not an export, so it is never replaced"):
        export_runs(runs, exporter, mine, force=True)
    folder = exported(root, name)
    with pytest.raises(UsageError, match=r"is there already; choose another DIR, or replace it with --force"):
        export_runs(runs, exporter, folder)
    export_runs(runs[:1], exporter, folder, force=True)
    assert json.loads((folder / MARK).read_text())["runs"] == 1
    assert sorted(path.name for path in root.parent.iterdir()) == [folder.name, "mine", "runs"]
    assert (mine / "thesis.tex").read_text() == "years of work"


class Failing(Exporter):
    """Stops in the middle."""

    name: ClassVar[str] = "failing"
    error: ClassVar[BaseException]

    def write(self, runs: Iterable[RunContent], folder: Path, place: Path) -> None:
        (folder / "half").write_text("half")
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_nothing_half_written_stays(root: Path, error: BaseException) -> None:
    runs, folder = rnnlab.load_runs(root), exported(root, "parquet")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    Failing.error = error
    for target, force in ((root.parent / "new", False), (folder, True)):
        with pytest.raises(
            (KeyboardInterrupt, UsageError), match=r"^$|No space left on device; nothing of it is there"
        ):
            export_runs(runs, Failing(), target, force=force)
    assert sorted(path.name for path in root.parent.iterdir()) == [folder.name, "runs"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_a_killed_export_left_is_cleared_and_a_living_ones_is_not(root: Path) -> None:
    from rnnlab.provenance import this_process

    alive = this_process()
    for name, process in (("00000000", alive), ("11111111", alive | {"pid": 2**22 - 1})):
        draft = root.parent / f".exported-parquet.new-{name}"
        draft.mkdir()
        (draft / MARK).write_text(json.dumps({"process": process}))
    exported(root, "parquet")
    hidden = [path.name for path in root.parent.iterdir() if path.name.startswith(".")]
    assert hidden == [".exported-parquet.new-00000000"]


def test_a_replaced_export_comes_back_when_its_successor_never_came(root: Path) -> None:
    folder = exported(root, "parquet")
    folder.rename(folder.with_name(f".{folder.name}.old-00000000"))
    with pytest.raises(UsageError, match=r"is there already"):
        exported(root, "parquet")
    assert (folder / "metrics.parquet").is_file()


class Names(Exporter):
    """A text file with the names of the runs."""

    name: ClassVar[str] = "names"

    def write(self, runs: Iterable[RunContent], folder: Path, place: Path) -> None:
        (folder / "names.txt").write_text("\n".join(run.name for run in runs))


def test_an_exporter_of_ones_own_is_a_class_and_a_line(root: Path, rnn: Call) -> None:
    EXPORTERS["names"] = Names
    try:
        done = rnn("export", "runs", "--where", "model.cell=rnn", "--to", "names", "out")
        assert (done.code, done.out) == (0, "")
        assert Path("out/names.txt").read_text().split() == ["cell=rnn-T40-s0", "cell=rnn-T40-s1"]
        assert "wrote 2 runs to out" in done.err
        assert "|names" in rnn("export", "--help").out.replace("\n", "")
        assert "did you mean 'names'" in rnn("export", "--to", "name", "out2").err
    finally:
        del EXPORTERS["names"]


def test_wrong_arguments_are_answered(root: Path, rnn: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    done = rnn("export", "runs", "--to", "parket", "out")
    assert done.code == 2
    assert "did you mean 'parquet'? (choices: tensorboard, mlflow, parquet)" in done.err
    assert "there is no folder nowhere" in rnn("export", "--to", "parquet", "nowhere/out").err
    assert "is not an export" in rnn("export", "--to", "parquet", "runs").err
    assert "there is no run to export" in rnn("export", "--where", "seed=9", "--to", "parquet", "out").err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("tensorboard", "mlflow"):
        done = rnn("export", "--to", name, "out")
        assert done.code == 2
        assert f"pip install 'rnnlab[{name}]'" in done.err
    assert not Path("out").exists()
