"""One run on disk, read back: its settings, how it went, and its records as pandas frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnlab.analysis.verdict import Verdict, verdict_of
from rnnlab.config.facts import ADDED
from rnnlab.display import InNotebook
from rnnlab.errors import UsageError
from rnnlab.runs.columns import OWN_LAG
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.readers import as_frame, gradients_of, metrics_of, tables_of
from rnnlab.runs.run_config import read_config
from rnnlab.runs.run_json import status_of

if TYPE_CHECKING:
    import pandas as pd


class Run(InNotebook):
    """One run: its settings, how it went, and its records. A file is read when it is first needed.

    `config` and `info`, the content of run.json, are given where they were read already. With `trust` files are read
    that were changed since the run ended. Raises RunFolderError where the folder is not a run, or the file that is
    needed is missing, broken or changed.

    >>> import rnnlab
    >>> run = rnnlab.Run("runs/lstm-T40-s0")
    >>> run.status, run.settings["model.cell"], run.updates()
    ('completed', 'lstm', [0, 10])
    >>> run.curve(update=10)[["lag", "log10_norm"]].head(3).values.tolist()
    [[0.0, 0.0], [1.0, -0.02], [2.0, -0.04]]
    >>> run.verdict().word
    'stable'
    """

    def __init__(
        self,
        path: str | Path,
        config: dict[str, Any] | None = None,
        *,
        info: dict[str, Any] | None = None,
        trust: bool = False,
    ) -> None:
        self.dir = RunFolder(path, trust=trust)
        self.info = self.dir.read_run() if info is None else info
        self._config = config

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.status})"

    @property
    def path(self) -> Path:
        return self.dir.path

    @property
    def name(self) -> str:
        return self.dir.name

    @property
    def status(self) -> str:
        """running, completed, diverged, failed or interrupted, as it was when the run was opened."""
        return status_of(self.info)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config, every default written out."""
        return read_config(self.dir) if self._config is None else self._config

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The config as one level of dotted keys, such as `model.cell`."""
        settings = dict(dotted_settings(self.config))
        if "watch" not in self.info:
            # A run of an older version had no other value.
            settings |= {key: value for key, value in dotted_settings(ADDED) if key not in settings}
        return settings

    @property
    def facts(self) -> dict[str, Any]:
        """The values that conditions can test: the settings, `status`, `name` and `sweep`."""
        return {**self.settings, "status": self.status, "name": self.name, "sweep": self.info.get("sweep")}

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv (see docs/RECORDS.md)."""
        return as_frame(metrics_of(self.dir))

    @cached_property
    def gradients(self) -> pd.DataFrame:
        """gradients.csv (see docs/RECORDS.md)."""
        return as_frame(gradients_of(self.dir))

    @cached_property
    def tables(self) -> pd.DataFrame:
        """probes.csv (see docs/RECORDS.md): only in a run of which a probe has a table."""
        return as_frame(tables_of(self.dir))

    def table(self, probe: str, update: int | None = None) -> pd.DataFrame:
        """What a probe measured at one update (the last one), a column a quantity. Raises UsageError."""
        rows = self.tables[self.tables["probe"] == probe]
        if rows.empty:
            recorded = ", ".join(sorted(set(self.tables["probe"])))
            raise UsageError(f"{self.name} has no table of the probe {probe!r}; it has {recorded or 'none'}")
        rows = rows[rows["update"] == (rows["update"].max() if update is None else update)]
        wide = rows.pivot(index=["layer", "part", "at"], columns="quantity", values="value")
        return wide[list(dict.fromkeys(rows["quantity"]))].reset_index().rename_axis(columns=None)

    def states(self, layer: int = -1) -> list[str]:
        """The states whose gradients were recorded in this layer."""
        return list(self._of_layer(layer)["state"].unique())

    def updates(self, layer: int = -1, state: str = "h") -> list[int]:
        """The updates at which this layer's gradients were recorded, in order."""
        return [int(update) for update in self._rows(layer, state)["update"].drop_duplicates()]

    def curve(self, update: int | None = None, layer: int = -1, state: str = "h") -> pd.DataFrame:
        """The rows of one update (the last one recorded), by lag. Layer -1 is the top one; raises UsageError."""
        rows = self._rows(layer, state)
        if update is None:
            update = int(rows["update"].max())
        curve = rows[rows["update"] == update]
        if curve.empty:
            recorded = ", ".join(map(str, self.updates(layer, state)))
            raise UsageError(f"{self.name} recorded no gradient at update {update}; it did at {recorded}")
        return curve.sort_values("lag", ignore_index=True)

    def own_curve(self, update: int | None = None, layer: int = -1, state: str = "h") -> pd.DataFrame:
        """The log10 columns of one update by `lag` from each sample's own read-out, and its `samples`."""
        curve = self.curve(update, layer, state)
        names = ["update", "layer", "state", *(column.name for column in OWN_LAG)]
        own = curve[names].rename(columns=lambda name: name.removeprefix("own_"))
        return own[(own["lag"] >= 0) & (own["samples"] != 0)].sort_values("lag", ignore_index=True)

    def last_finite_update(self, layer: int = -1, state: str = "h") -> int:
        """The last update whose recorded gradient is finite at every timestep, or the first one recorded."""
        rows = self._rows(layer, state)
        broken = set(rows["update"][np.isposinf(rows["log10_norm"])])
        updates = self.updates(layer, state)
        return next((update for update in reversed(updates) if update not in broken), updates[0])

    def verdict(self, update: int | None = None, layer: int = -1, state: str = "h") -> Verdict:
        """What the curve of that update says: vanishing, exploding or stable (see docs/RECORDS.md)."""
        curve = self.own_curve(update, layer, state)
        figures = (curve[name] for name in ("lag", "log10_norm", "log10_direct", "log10_median"))
        return verdict_of(*figures, own_lags=not (curve["samples"] < 0).any())

    def _layer(self, layer: int) -> int:
        layers = sorted(int(index) for index in self.gradients["layer"].unique())
        if not layers:
            raise UsageError(f"{self.name} recorded no gradients")
        try:
            return layers[layer] if layer < 0 else layers[layers.index(layer)]
        except (IndexError, ValueError):
            raise UsageError(f"{self.name} recorded no layer {layer}; it has {', '.join(map(str, layers))}") from None

    def _rows(self, layer: int, state: str) -> pd.DataFrame:
        if state not in (states := self.states(layer)):
            raise UsageError(f"{self.name} recorded no state {state!r}; it has {', '.join(states)}")
        rows = self._of_layer(layer)
        return rows[rows["state"] == state]

    def _of_layer(self, layer: int) -> pd.DataFrame:
        return self.gradients[self.gradients["layer"] == self._layer(layer)]


def dotted_settings(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The nested settings as pairs of a dotted key and a value."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from dotted_settings(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value
