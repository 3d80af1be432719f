"""Whether the rows of a run's CSV files are those that its schedule gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from rnnlab.config import Config
from rnnlab.training.plan import is_evaluated, is_logged, updates_of

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 5


def faults_of_rows(
    config: Config, made: int, gradients: pd.DataFrame, metrics: pd.DataFrame, tables: pd.DataFrame | None
) -> Iterator[str]:
    """What is missing or too much in the rows of a run that has made so many updates.

    An update whose loss or gradient is not finite may have rows beside the schedule. Each recorded update has as many
    rows for every layer and state, one for each timestep.
    """
    updates = updates_of(config)
    due = {update for update in config.probe.schedule.due_updates(updates) if update < made}
    if any(probe.gradient_rows(config) for probe in config.probe.probes()):
        yield from _missing("gradients.csv", due, gradients["update"])
        yield from _uneven(gradients)
    if tables is not None:
        yield from _missing("probes.csv", due, tables["update"])
    # The schedule shows in metrics.csv as well; with few probes the rows are the logged ones.
    logged = {update for update in range(made) if is_logged(config, update, updates)} if made <= 10**6 else set()
    yield from _missing("metrics.csv", due | logged, metrics["update"])
    evaluated = metrics["eval_loss"].notna() & metrics["update"].map(lambda at: not is_evaluated(config, at, updates))
    if evaluated.any():
        first = metrics["update"][evaluated].iloc[0]
        yield f"metrics.csv has evaluations that the schedule does not have, first at update {first}"


def _missing(name: str, due: set[int], recorded: pd.Series[int]) -> Iterator[str]:
    if missing := sorted(due - set(recorded.unique().tolist())):
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield f"{name} has no rows of update {', '.join(map(str, missing[:_NAMED]))}{more}, which the schedule has"


def _uneven(gradients: pd.DataFrame) -> Iterator[str]:
    """Updates of which some layer or state has other timesteps than the rest."""
    if gradients.empty:
        return
    counts = gradients.groupby(["update", "layer", "state"], observed=True).size().unstack(["layer", "state"])
    values = counts.to_numpy()
    uneven = np.isnan(values).any(1) | (np.nanmax(values, 1) != np.nanmin(values, 1))
    if uneven.any():
        yield f"gradients.csv has parts of update {counts.index[uneven][0]} only"
