"""The columns of a run's CSV files, as data. docs/RECORDS.md is the long form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rnnlab.column import Column
from rnnlab.probes import DEFAULT_PROBES

if TYPE_CHECKING:
    from rnnlab.probes import Probe

AT_TIMESTEP = (
    Column("update", "count", "updates", "", "updates made before this gradient was taken, counted from 0"),
    Column("layer", "count", "1", "", "layer of the stack, 0 nearest the input"),
    Column(
        "state",
        "text",
        "",
        "h, c; a, a_clipped, h_unclipped, c_unclipped; h_attached, c_attached",
        "what the gradient is taken with respect to",
    ),
    Column("t", "count", "timesteps", "0 ... T-1", "position in the sequence"),
    Column("lag", "count", "timesteps", "T-1-t", "how far back from the last timestep of the longest sequence"),
    Column("norm", "number", "loss / state", "||dL/dh_t||_F", "size of the total gradient of the batch-mean loss"),
    Column("log10_norm", "log10", "decades", "log10 norm", "the same, right where a float64 cannot hold the norm"),
    Column("log10_p05", "log10", "decades", "log10 P05_b(B ||dL/dh_t,b||)", "5th percentile over samples"),
    Column("log10_median", "log10", "decades", "log10 P50_b(B ||dL/dh_t,b||)", "median over samples"),
    Column("log10_p95", "log10", "decades", "log10 P95_b(B ||dL/dh_t,b||)", "95th percentile over samples"),
    Column("log10_direct", "log10", "decades", "log10 ||dL/dh_t at t alone||_F", "size of the direct gradient"),
)
OWN_LAG = (
    Column("own_lag", "count", "timesteps", "max_b e_b - t", "lag k from each sample's own last read-out e_b"),
    Column("own_samples", "count", "samples", "#(e_b >= k)", "samples that have a timestep k before their read-out"),
    Column("own_log10_norm", "log10", "decades", "log10 N_k", "norm at k over them, chained where samples begin"),
    Column("own_log10_p05", "log10", "decades", "log10 P05_b(B ||dL/dh_{e_b-k,b}||)", "5th percentile over them"),
    Column("own_log10_median", "log10", "decades", "log10 P50_b(B ||dL/dh_{e_b-k,b}||)", "median over them"),
    Column("own_log10_p95", "log10", "decades", "log10 P95_b(B ||dL/dh_{e_b-k,b}||)", "95th percentile over them"),
    Column("own_log10_direct", "log10", "decades", "log10 ||direct at e_b-k||_F", "size of the direct gradient at k"),
)
"""The same figures by lag from where each sample's own error enters; files of older versions are without them."""
GRADIENTS = (*AT_TIMESTEP, *OWN_LAG)

TABLES = (
    Column("update", "count", "updates", "", "updates made before this was measured, counted from 0"),
    Column("probe", "text", "", "", "the probe that measured it"),
    Column("layer", "count", "1", "", "layer of the stack, 0 nearest the input"),
    Column("part", "text", "", "", "a gate, state or parameter; empty for all of the layer"),
    Column("at", "count", "", "", "what the probe counts: lags, timesteps, exponents"),
    Column("quantity", "text", "", "", "what was measured"),
    Column("value", "number", "", "", "its value; inf, -inf and nan as they are"),
)
"""Of probes.csv."""

_OF_AN_UPDATE = (
    Column("update", "count", "updates", "", "updates made before this one, counted from 0"),
    Column("epoch", "number", "epochs", "update * B / N", "passes over the N training sequences; empty without end"),
    Column("loss", "number", "loss", "mean over read-outs", "training loss of this batch, before the update"),
    Column("error", "number", "task", "mean of the task's mistakes", "training error of this batch"),
    Column("eval_loss", "number", "loss", "", "loss on the validation split; empty where not evaluated"),
    Column("eval_error", "number", "task", "", "error on the validation split; empty where not evaluated"),
    Column("grad_norm", "number", "loss / weight", "||dL/dW||_2", "global norm over all parameters, before the clip"),
    Column("grad_norm_clipped", "number", "loss / weight", "||clip(dL/dW)||_2", "the same after the clip"),
    Column("clipped", "number", "1", "share of updates or of entries, as the clip counts", "whether the clip acted"),
    Column("lr", "number", "optimizer", "", "learning rate of this update"),
)
_SECONDS = Column("seconds", "number", "s", "", "wall time since the run's start")
_OF_PROBES = tuple(column for probe in sorted(DEFAULT_PROBES, key=lambda probe: probe.rank) for column in probe.columns)

METRICS = (*_OF_AN_UPDATE, *_OF_PROBES, _SECONDS)
"""What every metrics.csv begins with, whichever probes a run has."""

PENALTY = Column("penalty", "number", "loss", "", "the penalty that is added to the loss; empty where it does not act")
"""Behind the others, where a run has a penalty."""


RESULTS = ("loss", "error", "eval_loss", "eval_error", "grad_norm", "grad_norm_clipped")
"""The columns of metrics.csv whose last values are the result in run.json."""


def metrics_columns(probes: Iterable[Probe], *, penalty: bool = False) -> tuple[Column, ...]:
    """The columns of a run with these probes: METRICS, that of a penalty, then those of probes that were added."""
    always = (*METRICS, PENALTY) if penalty else METRICS
    known = {column.name for column in always}
    return (*always, *(column for probe in probes for column in probe.columns if column.name not in known))


# The average size of one row on disk; the plan of a run is computed with it.
GRADIENT_ROW_BYTES = 180
METRICS_ROW_BYTES = 250
TABLE_ROW_BYTES = 60


def metrics_row_bytes(probes: Iterable[Probe], *, penalty: bool = False) -> int:
    """The average size of one row of metrics.csv in a run with these probes."""
    return METRICS_ROW_BYTES + 20 * (len(metrics_columns(probes, penalty=penalty)) - len(METRICS))
