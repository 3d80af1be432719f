"""The columns of a run's two CSV files, as data. docs/RECORDS.md is the long form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column: its name, how it is written, its unit, its formula and what it says."""

    name: str
    kind: Literal["count", "text", "number", "log10"]
    unit: str
    formula: str
    meaning: str

    @property
    def dtype(self) -> str:
        """The column's type in a frame."""
        return {"count": "int64", "text": "str"}.get(self.kind, "float64")


GRADIENTS = (
    Column("update", "count", "updates", "", "updates made before this gradient was taken, counted from 0"),
    Column("layer", "count", "1", "", "layer of the stack, 0 nearest the input"),
    Column("state", "text", "", "h, c, a, a_clipped", "what the gradient is taken with respect to"),
    Column("t", "count", "timesteps", "0 ... T-1", "position in the sequence"),
    Column("lag", "count", "timesteps", "T-1-t", "how far back from the last timestep of the longest sequence"),
    Column("norm", "number", "loss / state", "||dL/dh_t||_F", "size of the total gradient of the batch-mean loss"),
    Column("log10_norm", "log10", "decades", "log10 norm", "the same, right where a float64 cannot hold the norm"),
    Column("log10_p05", "log10", "decades", "log10 P05_b(B ||dL/dh_t,b||)", "5th percentile over samples"),
    Column("log10_median", "log10", "decades", "log10 P50_b(B ||dL/dh_t,b||)", "median over samples"),
    Column("log10_p95", "log10", "decades", "log10 P95_b(B ||dL/dh_t,b||)", "95th percentile over samples"),
    Column("log10_direct", "log10", "decades", "log10 ||dL/dh_t at t alone||_F", "size of the direct gradient"),
)

METRICS = (
    Column("update", "count", "updates", "", "updates made before this one, counted from 0"),
    Column("epoch", "number", "epochs", "update * B / N", "passes over the N training sequences; empty without end"),
    Column("loss", "number", "loss", "mean_b loss_b", "training loss of this batch, before the update"),
    Column("error", "number", "task", "mean of the task's mistakes", "training error of this batch"),
    Column("eval_loss", "number", "loss", "", "loss on the validation split; empty where not evaluated"),
    Column("eval_error", "number", "task", "", "error on the validation split; empty where not evaluated"),
    Column("grad_norm", "number", "loss / weight", "||dL/dW||_2", "global norm over all parameters, before the clip"),
    Column("grad_norm_clipped", "number", "loss / weight", "||clip(dL/dW)||_2", "the same after the clip"),
    Column("clipped", "number", "1", "share of updates or of entries, as the clip counts", "whether the clip acted"),
    Column("lr", "number", "optimizer", "", "learning rate of this update"),
    Column("weight_norm", "number", "weight", "||W||_2", "global norm of all parameters after the update"),
    Column("update_norm", "number", "weight", "||W_after - W_before||_2", "size of the change that this update made"),
    Column("recurrent_radius", "number", "1", "max |eigenvalue(W_hh)|", "largest over layers and gate blocks"),
    Column("recurrent_sigma_max", "number", "1", "max sigma(W_hh)", "largest over layers and gate blocks"),
    Column("saturation", "number", "1", "share of phi' < 0.36 max phi'", "activations whose slope is nearly gone"),
    Column("seconds", "number", "s", "", "wall time since the run's start"),
)

# What one row takes on disk, on average; a plan of a run may count on it.
GRADIENT_ROW_BYTES = 110
METRICS_ROW_BYTES = 250
