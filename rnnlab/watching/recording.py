"""The run folder of a watched model: its rows, written while somebody else's loop trains."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from rnnlab.analysis.verdict import verdict_of
from rnnlab.atomic import atomic
from rnnlab.column import Column
from rnnlab.errors import RnnlabError, UsageError
from rnnlab.gradients.readings import Curve
from rnnlab.provenance import git_state, machine, versions
from rnnlab.runs.columns import METRICS, RESULTS
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run_config import fault_of_config
from rnnlab.runs.seals import Seal, fields_of
from rnnlab.runs.writers import GradientLog, MetricsLog

OWN_COLUMNS = (
    Column("backwards", "count", "1", "", "backward passes of this update that were recorded"),
    Column("offset", "count", "timesteps", "", "timesteps of the same sequence before this window"),
    Column("cut", "count", "timesteps", "", "timesteps that no gradient came back to, because the graph was cut"),
    Column("deviation", "number", "1", "|replay - autograd| / |autograd|", "largest of this update's checks"),
    Column("verified", "count", "1", "0 or 1", "whether the deviation is within the tolerance of the number format"),
)


class Series(NamedTuple):
    """What one number in the column `layer` of gradients.csv stands for."""

    module: str
    depth: int
    """Layer inside the module."""
    reverse: bool
    call: int
    """Of the module, in one update."""
    backward: int
    """Backward pass, in one update."""


class Recording:
    """Writes one run; opened when it is made, closed by `finish`.

    Raises UsageError, RunExistsError and RunFolderError before anything is written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], about: Mapping[str, Any], *, force: bool) -> None:
        config = {"seed": 0, **nested(settings)}
        if fault := fault_of_config(config):
            raise UsageError(f"settings: {fault}")
        info = {"versions": versions(), "machine": machine(), "git": git_state(), "command": sys.argv, **about}
        self.dir = RunFolder.create(path.parent, path.name, info, force=force)
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode()
        with atomic(self.dir.config) as file:
            file.write(text)
        self._config = Seal.of(text)
        self._gradients: GradientLog = GradientLog(self.dir.gradients)
        self._metrics: MetricsLog | None = None
        self._columns: tuple[Column, ...] = (*METRICS, *OWN_COLUMNS)
        self.series: dict[Series, int] = {}
        self.latest: dict[str, float] = {}
        self._updates, self._rows = 0, 0
        self.records, self.unverified, self.clipped, self.nonfinite = 0, 0, 0, 0
        self._curves: dict[int, tuple[Any, ...]] = {}

    def number_of(self, series: Series) -> int:
        """The number of a series in the column `layer`; new ones come after those that there are."""
        return self.series.setdefault(series, len(self.series))

    def write_rows(self, update: int, series: Series, state: str, t: Any, lag: Any, columns: Mapping[str, Any]) -> None:
        """The rows of one series and state of one update."""
        number = self.number_of(series)
        self._rows += len(t)
        curve = Curve(number, state, t, lag, dict(columns))
        self._gradients.write(update, number, state, curve.named)
        if state == "h" and (curve.is_finite or number not in self._curves):
            lags, norms, direct, median = curve.by_own_lag()
            # Of a user's own cell the direct part is not known, and every entry is masked.
            known = not np.ma.getmaskarray(columns["log10_direct"]).all()
            self._curves[number] = lags, norms, direct if known else None, median

    def write_metrics(self, row: Mapping[str, float | None]) -> None:
        """A row of metrics.csv. The first one decides which columns of the user's own there are."""
        if self._metrics is None:
            known = {column.name for column in self._columns}
            added = [Column(name, "number", "", "", "") for name in row if name not in known]
            self._columns = (*self._columns, *added)
            self._metrics = MetricsLog(self.dir.metrics, self._columns)
        names = {column.name for column in self._columns}
        self._metrics.write({name: value for name, value in row.items() if name in names})
        self.latest |= {name: value for name, value in row.items() if value is not None}
        self._updates += 1
        self.records += row.get("verified") is not None
        self.unverified += row.get("verified") == 0
        self.clipped += bool(row.get("clipped"))

    @property
    def is_empty(self) -> bool:
        """Whether updates were recorded, and no gradient in any of them."""
        return self._updates > 0 and not self._rows

    def warning(self, reason: str) -> str:
        """What the user has to know at the end; empty where all is well. reason: why the run ended."""
        if self.unverified:
            return (
                f"{self.unverified} of {self.records} records are not verified: the replay and autograd differ by more "
                "than the number format explains (see deviation in metrics.csv)"
            )
        return reason if self.is_empty else ""

    def finish(self, status: str, reason: str, updates: int, seconds: float) -> None:
        """Close the files, and write how the run ended, with the length and hash of each of them."""
        metrics = self._metrics or MetricsLog(self.dir.metrics, self._columns)
        seals = {self.dir.config.name: self._config}
        for path, log in ((self.dir.gradients, self._gradients), (self.dir.metrics, metrics)):
            with contextlib.suppress(RnnlabError):
                seals[path.name] = log.sync()
            log.close()
        result = {name: self.latest.get(name) for name in RESULTS} | {"nonfinite_updates": self.nonfinite}
        end: dict[str, Any] = {
            "updates": updates,
            "updates_per_second": updates / seconds,
            "result": result | {"clip_rate": self.clipped / self.records if self.records else None},
            "layers": [{"layer": number, **series._asdict()} for series, number in self.series.items()],
            "watch": {"records": self.records, "not_verified": self.unverified},
            "files": fields_of(seals),
        }
        if self._curves:
            end["verdict"] = verdict_of(*self._curves[max(self._curves)]).as_dict()
        self.dir.finish(status, reason, **end)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with dotted keys, such as `model.cell`, as the sections of a config. Raises UsageError."""
    config: dict[str, Any] = {}
    for key, value in settings.items():
        section, inner = config, str(key).split(".")
        for name in inner[:-1]:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise UsageError(f"settings: {key} is inside {name}, which has a value of its own")
        if isinstance(section.get(inner[-1]), dict):
            raise UsageError(f"settings: {key} has a value, and settings inside it")
        section[inner[-1]] = value
    return config
