"""A run's readings as grids: for a layer and a state, the log10 norms by update and own lag, or timestep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.errors import UsageError
from rnnlab.runs.cache import cached_gradients

if TYPE_CHECKING:
    import pyarrow as pa

    from rnnlab.runs.folder import RunFolder

Floats = NDArray[np.float64]
LOG10_COLUMNS = ("log10_norm", "log10_p05", "log10_median", "log10_p95", "log10_direct")


@dataclass(frozen=True)
class Grid:
    """Readings [U, K] at U updates and K lags, with sentinel values: -inf zero, inf not finite, NaN underflow.

    Lags count from each sample's own read-out; `own_lags` is False where the file is of an older version, which has
    them from the last timestep of the longest sequence only. `recorded` says where there is a reading: sequences of
    different lengths have different lags.

    >>> from rnnlab.runs.folder import RunFolder
    >>> from rnnlab.runs.grids import GradientGrids
    >>> grid = GradientGrids(RunFolder("runs/lstm-T40-s0")).grid("h")
    >>> grid.updates.tolist(), grid.values["log10_norm"].shape
    ([0, 10], (2, 40))
    >>> lags, log10_norms = grid.curve(grid.at(update=10))
    >>> lags[:3].tolist(), log10_norms[:3].tolist()
    ([0, 1, 2], [0.0, -0.02, -0.04])
    """

    updates: NDArray[np.int64]
    lags: NDArray[np.int64]
    recorded: NDArray[np.bool_]
    values: dict[str, Floats]
    own_lags: bool = True
    samples: Floats | None = None
    """[U, K]: how many samples of the batch have that lag; NaN in files of an older version, which do not say."""

    def at(self, update: int | None = None) -> int:
        """The row of the recorded update nearest to `update`; by default of the last one that is finite everywhere."""
        if update is not None:
            return int(np.argmin(np.abs(self.updates - update)))
        whole = np.flatnonzero(~np.isposinf(self.values["log10_norm"]).any(1))
        # The update that a run diverges at has no finite curve; the one before it shows the explosion.
        return int(whole[-1]) if whole.size else 0

    def curve(self, row: int, column: str = "log10_norm") -> tuple[NDArray[np.int64], Floats]:
        """Lags, in order, and values of one update."""
        recorded = self.recorded[row]
        return self.lags[recorded], self.values[column][row, recorded]


class GradientGrids:
    """All grids of one run. Raises RunFolderError where its gradients.csv is missing or broken.

    >>> from rnnlab.runs.folder import RunFolder
    >>> from rnnlab.runs.grids import GradientGrids
    >>> grids = GradientGrids(RunFolder("runs/lstm-T40-s0"))
    >>> grids.layers, grids.states(), grids.rows
    ([0], ['h', 'c'], 160)
    """

    def __init__(self, run: RunFolder) -> None:
        self._name, self._table = run.name, cached_gradients(run)

    @cached_property
    def layers(self) -> list[int]:
        """The layers that were recorded, the top one last."""
        return [int(layer) for layer in np.unique(_column(self._table, "layer"))]

    @cached_property
    def _states(self) -> tuple[NDArray[np.int32], list[str]]:
        from rnnlab.runs.readers import codes_of

        codes, names = codes_of(self._table["state"])
        return codes, list(names)

    def states(self) -> list[str]:
        """The states that were recorded."""
        codes, names = self._states
        return [names[code] for code in np.unique(codes)]

    def cell_states(self) -> list[str]:
        """The cell's own states among them, without what the adjoint clip adds."""
        return [name for name in self.states() if name not in ("a", "a_clipped") and not name.endswith("_unclipped")]

    @property
    def rows(self) -> int:
        """Lines of gradients.csv."""
        return int(self._table.num_rows)

    def grid(self, state: str = "h", layer: int | None = None) -> Grid:
        """The grid of a state in a layer (the top one), by own lag. Raises UsageError where none was recorded."""
        chosen = self._chosen(state, layer)
        own, samples = (_column(self._table, name)[chosen] for name in ("own_lag", "own_samples"))
        known = (own >= 0) & (samples != 0)
        columns = {name: f"own_{name}" for name in LOG10_COLUMNS}
        rows = np.flatnonzero(chosen)[known]
        grid = self._grid(rows, "own_lag", columns | {"samples": "own_samples"}, own_lags=not (samples < 0).any())
        counts = grid.values.pop("samples")
        return replace(grid, samples=np.where(counts < 0, np.nan, counts))

    def by_timestep(self, state: str = "h", layer: int | None = None) -> Grid:
        """The log10 norms of a state in a layer (the top one), with lag T-1-t. Raises UsageError like `grid`."""
        return self._grid(np.flatnonzero(self._chosen(state, layer)), "lag", {"log10_norm": "log10_norm"})

    def _chosen(self, state: str, layer: int | None) -> NDArray[np.bool_]:
        codes, names = self._states
        if not self.rows or state not in names:
            has = ", ".join(self.states()) or "none"
            raise UsageError(f"{self._name} recorded no gradient of state {state!r} (it has: {has})")
        wanted = self.layers[-1] if layer is None else layer
        chosen: NDArray[np.bool_] = (codes == names.index(state)) & (_column(self._table, "layer") == wanted)
        return chosen

    def _grid(self, rows_of: NDArray[np.int64], by: str, named: dict[str, str], *, own_lags: bool = True) -> Grid:
        update, lag = (_column(self._table, name)[rows_of] for name in ("update", by))
        updates, rows = np.unique(update, return_inverse=True)
        lags, columns = np.unique(lag, return_inverse=True)
        recorded = np.zeros((len(updates), len(lags)), bool)
        recorded[rows, columns] = True
        values = {}
        for name, column in named.items():
            values[name] = np.full(recorded.shape, np.nan)
            values[name][rows, columns] = _column(self._table, column)[rows_of]
        return Grid(updates, lags, recorded, values, own_lags)


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    values: NDArray[Any] = table[name].to_numpy()
    return values
