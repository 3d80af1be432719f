"""For MLflow: a SQLite store, with metrics by update, the config as params, and figures as artifacts."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnlab.report.exporters.base import Exporter
from rnnlab.report.exporters.content import RunContent
from rnnlab.report.exporters.curve_figures import curve_figures

if TYPE_CHECKING:
    from mlflow import MlflowClient

_AT_ONCE = 1000
"""Metrics that MLflow takes in one call; of params it takes 100."""
_PARAMS_AT_ONCE = 100
_TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
"""MLflow reports its use to its makers unless this is set when it is imported."""
_STATUS = {"completed": "FINISHED", "diverged": "FINISHED", "running": "RUNNING", "interrupted": "KILLED"}


class MLflow(Exporter):
    """mlflow.db, a SQLite store for MLflow, and artifacts/ with the figures.

    >>> from rnnlab.report.exporters import EXPORTERS
    >>> EXPORTERS["mlflow"].command
    'mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db'
    """

    name: ClassVar[str] = "mlflow"
    packages: ClassVar[tuple[str, ...]] = ("mlflow", "sqlalchemy", "alembic", "matplotlib")
    command: ClassVar[str] = "mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db"

    def write(self, runs: Iterable[RunContent], folder: Path, place: Path) -> None:
        """One experiment, called as the folder. MLflow keeps the absolute path of artifacts, that in `place`."""
        with _quiet_client(f"sqlite:///{folder.absolute()}/mlflow.db") as client:
            artifacts = place.absolute() / "artifacts"
            experiment = client.create_experiment(place.name, artifact_location=artifacts.as_uri())
            for run in runs:
                _write_run(client, experiment, run, folder / "artifacts")


@contextlib.contextmanager
def _quiet_client(uri: str) -> Iterator[MlflowClient]:
    """A client of this store, whose library neither logs nor warns; the connections are closed at the end."""
    before = os.environ.get(_TELEMETRY)
    os.environ[_TELEMETRY] = "true"
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mlflow import MlflowClient

            for logger in loggers:
                logger.setLevel(logging.ERROR)
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            yield client
            _close(client)
    finally:
        os.environ.pop(_TELEMETRY)
        if before is not None:
            os.environ[_TELEMETRY] = before
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _close(client: Any) -> None:
    """Close the file; MLflow has no public way, and an open SQLite file has its last rows beside it."""
    client._tracking_client.store.engine.dispose()


def _write_run(client: MlflowClient, experiment: str, run: RunContent, artifacts: Path) -> None:
    from mlflow.entities import Metric, Param, RunTag

    first, last = _span(run)
    tags = {f"rnnlab.{key}": value for key, value in run.tags.items()}
    made = client.create_run(experiment, start_time=first, tags=tags, run_name=run.name).info.run_id
    params = [Param(_key(key), _text(value)) for key, value in run.settings.items()]
    for part in _parts(params, _PARAMS_AT_ONCE):
        client.log_batch(made, params=part)
    metrics = [
        Metric(_key(scalars.name), value, at, update)
        for scalars in run.scalars
        for update, value, at in zip(
            scalars.updates.tolist(), scalars.values.tolist(), run.milliseconds(scalars.updates).tolist(), strict=True
        )
    ]
    for batch in _parts(metrics, _AT_ONCE):
        client.log_batch(made, metrics=batch)
    for name, png in curve_figures(run):
        path = artifacts / made / "artifacts" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)
    client.log_batch(made, tags=[RunTag("rnnlab.exported", "true")])
    client.set_terminated(made, _STATUS.get(run.run.status, "FAILED"), last)


def _span(run: RunContent) -> tuple[int, int]:
    import numpy as np

    updates = [scalars.updates[-1] for scalars in run.scalars if len(scalars.updates)]
    first, last = run.milliseconds(np.array([0, max(updates, default=0)])).tolist()
    return first, last


def _key(name: str) -> str:
    """The name with `_` for every character that MLflow does not take."""
    return re.sub(r"[^\w./ :-]", "_", name)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _parts(values: list[Any], most: int) -> Iterator[list[Any]]:
    yield from (values[at : at + most] for at in range(0, len(values), most))
