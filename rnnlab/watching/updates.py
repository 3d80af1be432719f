"""The updates that somebody's optimizer makes: gradient norms before and after what the user does to the gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rnnlab.errors import UsageError
from rnnlab.probes.schedules import At, Every, Schedule

_CHANGED = 1e-9
"""A relative difference of two norms that rounding does not make: the same numbers are summed in the same order."""


@dataclass
class UpdateFigures:
    """What is known of one update until its row is written."""

    update: int
    norm: float | None = None
    norm_clipped: float | None = None
    lr: float | None = None
    backwards: int = 0
    offset: int = 0
    cut: int = 0
    deviation: float | None = None
    verified: bool | None = None
    logged: dict[str, float] = field(default_factory=dict)

    def add_check(self, deviation: float, tolerance: float) -> None:
        """Count one more check of this update; a deviation that is not a number is none that was verified."""
        known = -math.inf if self.deviation is None else self.deviation
        self.deviation = deviation if not deviation <= known else known
        self.verified = self.verified is not False and deviation <= tolerance

    def row(self, seconds: float) -> dict[str, float | None]:
        """The row of metrics.csv."""
        changed = None
        if self.norm is not None and self.norm_clipped is not None:
            changed = float(not math.isclose(self.norm, self.norm_clipped, rel_tol=_CHANGED))
        return {
            **self.logged,
            "update": self.update,
            "grad_norm": self.norm,
            "grad_norm_clipped": self.norm_clipped,
            "clipped": changed,
            "lr": self.lr,
            "backwards": self.backwards,
            "offset": self.offset,
            "cut": self.cut,
            "deviation": self.deviation,
            "verified": None if self.verified is None else float(self.verified),
            "seconds": seconds,
        }


def schedule_of(every: int | Sequence[int] | Schedule) -> Schedule:
    """Which updates are recorded: every n-th, those listed, or those of a schedule. Raises UsageError."""
    if isinstance(every, Schedule):
        return every
    if isinstance(every, int) and not isinstance(every, bool) and every > 0:
        return Every(n=every)
    if isinstance(every, (list, tuple)) and every and all(isinstance(n, int) and n >= 0 for n in every):
        return At(updates=tuple(every))
    raise UsageError(f"every={every!r} is none of: a whole number from 1 on, a list of updates, a schedule")


def name_of_column(name: str) -> str:
    """The name of a figure that the user logs, if it can head a column. Raises UsageError."""
    if not name or any(sign in name for sign in ',"\n\r'):
        raise UsageError(f"log: {name!r} cannot head a column of metrics.csv; leave out commas, quotes and line breaks")
    return name


@torch.no_grad()
def gradient_norm(optimizer: torch.optim.Optimizer) -> float | None:
    """The L2 norm over the gradients of all parameters, in float64; None where there is no gradient."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norms = [torch.linalg.vector_norm(_dense(gradient), dtype=torch.float64) for gradient in gradients]
    return float(torch.stack([norm.cpu() for norm in norms]).square().sum().sqrt()) if norms else None


def learning_rate(optimizer: torch.optim.Optimizer) -> float | None:
    """That of the first group of parameters."""
    rate: Any = optimizer.param_groups[0].get("lr")
    return None if rate is None else float(rate)


def number_of(value: float | Tensor) -> float:
    """A figure that the user logs."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def _dense(gradient: Tensor) -> Tensor:
    return gradient.coalesce().values() if gradient.is_sparse else gradient
