"""Runs as other tools read them. An exporter is a class with one method, `write`, and a line in the table here.

file_names      names of runs as names of folders
new_folder      a folder that is made whole or not at all
content         what is exported of a run
curve_figures   its curves as pictures
base            the base class of exporters
to_tensorboard  an event file a run, for TensorBoard
to_mlflow       a SQLite store, for MLflow
to_parquet      records with settings as columns, for pandas, Arrow and DuckDB
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnnlab import __version__
from rnnlab.compare.collection import Runs
from rnnlab.errors import RunFolderError, UsageError, nearest
from rnnlab.parts import Table, table
from rnnlab.report.exporters.base import Exporter
from rnnlab.report.exporters.content import RunContent
from rnnlab.report.exporters.new_folder import check_free, new_folder
from rnnlab.report.exporters.to_mlflow import MLflow
from rnnlab.report.exporters.to_parquet import Parquet
from rnnlab.report.exporters.to_tensorboard import TensorBoard
from rnnlab.wording import shortened

EXPORTERS: Table[Exporter] = table(TensorBoard, MLflow, Parquet)

__all__ = ["EXPORTERS", "Exported", "Exporter", "check_free", "export_runs", "exporter_of"]


@dataclass(frozen=True)
class Exported:
    """How many runs were exported, and what was left out, a note each.

    >>> from rnnlab.report.exporters import Exported
    >>> Exported(2, ("left out: a: its config.yaml is missing",)).runs
    2
    """

    runs: int
    notes: tuple[str, ...]


def exporter_of(name: str) -> Exporter:
    """The exporter of that name. Raises UsageError with the choices, and where its packages are not installed."""
    if name not in EXPORTERS:
        near = nearest(name, EXPORTERS)
        hint = f"; did you mean {near!r}?" if near else ""
        raise UsageError(f"--to {shortened(name)}: there is no such format{hint} (choices: {', '.join(EXPORTERS)})")
    exporter = EXPORTERS[name]()
    exporter.check_ready()
    return exporter


def export_runs(runs: Runs, exporter: Exporter, folder: Path, *, force: bool = False) -> Exported:
    """Write the runs into a new folder, whole or not at all.

    Runs whose settings cannot be read are left out; records that cannot be read are left out of their run.

    Raises UsageError where there is no run, where the folder is taken, and where it cannot be written.
    """
    check_free(folder, force=force)
    notes = [f"left out: {name}: {reason}" for name, reason in runs.left_out.items()]
    contents = []
    for run in runs:
        content = RunContent(runs.name_of(run), run)
        try:
            _ = content.settings
        except RunFolderError as error:
            notes.append(f"left out: {content.name}: {error}")
            continue
        contents.append(content)
        notes += [f"{content.name}: {note}" for note in content.notes]
    if not contents:
        left = "".join(f"; {note}" for note in notes[:3])
        raise UsageError(f"there is no run to export{left or (f': {runs.unmet}' if runs.unmet else '')}")
    about = {"rnnlab": __version__, "to": exporter.name, "runs": len(contents)}
    with new_folder(folder, about, force=force) as draft:
        exporter.write((RunContent(content.name, content.run) for content in contents), draft, folder)
    return Exported(len(contents), tuple(notes))
