"""What a check of readings found, and how it prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 1e-5
"""The largest relative deviation of an adjoint from central differences; their rounding stays some digits below it."""


@dataclass(frozen=True)
class CheckedLayer:
    """One layer and direction of one call of a module, read at a few timesteps; norms are log10, over the whole batch.

    retained: dL/dh_t as `retain_grad` on the module's output has it, the direct part alone; None for a lower layer,
    whose states the output does not hold. total: what rnnlab reads. of_readings: between the total and the norm of the
    adjoint in float64; of_differences: between this adjoint and central differences; both relative, and nan beyond what
    float64 holds. of_states: between the module's output and that of the loop, or of rnnlab's scan.
    """

    module: str
    layer: int
    reverse: bool
    call: int
    timesteps: tuple[int, ...]
    retained: tuple[float, ...] | None
    total: tuple[float, ...]
    of_readings: tuple[float, ...]
    of_differences: tuple[float, ...]
    of_states: float
    tolerance: float
    """Of readings and states, by the number format of the weights."""

    @property
    def held(self) -> int:
        """How many of the timesteps could be compared."""
        return sum(not math.isnan(value) for value in self.of_readings)

    @property
    def agrees(self) -> bool:
        """Whether every deviation is within its tolerance, and at least one timestep could be compared."""
        far = any(value > self.tolerance for value in (*self.of_readings, self.of_states))
        return self.held > 0 and not far and not any(value > TOLERANCE for value in self.of_differences)

    @property
    def words(self) -> str:
        """What came out, in words."""
        worst = max((value for value in self.of_readings if not math.isnan(value)), default=math.nan)
        differences = max((value for value in self.of_differences if not math.isnan(value)), default=math.nan)
        figures = f"readings {worst:.0e}, differences {differences:.0e}"
        if self.agrees:
            beyond = len(self.timesteps) - self.held
            return f"agrees ({figures})" + (f"; {beyond} beyond float64" if beyond else "")
        if not self.held:
            return "not compared: beyond float64"
        # Along a chaotic sequence rounding grows as the gradient does; a shorter one tells that from a fault.
        hint = "; rounding may have grown: try model.double() or fewer timesteps"
        if self.of_states > self.tolerance:
            return f"DIFFERS (already the states, by {self.of_states:.0e}){hint}"
        return f"DIFFERS ({figures})" + (hint if differences <= TOLERANCE else "")


@dataclass(frozen=True)
class Check:
    """What `rnnlab.check` found, a line for each module, layer and direction.

    >>> import rnnlab, torch
    >>> check = rnnlab.check(torch.nn.RNN(1, 4), torch.ones(30, 2, 1), lambda given: given[0][-1].sum())
    >>> check.agrees, check.layers[0].timesteps, check.layers[0].retained[:2]
    (True, (0, 15, 29), (-inf, -inf))
    """

    layers: tuple[CheckedLayer, ...]

    @property
    def agrees(self) -> bool:
        """Whether every layer's readings agree with finite differences."""
        return all(layer.agrees for layer in self.layers)

    def __str__(self) -> str:
        head = ("module", "t", "log10 retain_grad", "log10 total", "against finite differences in float64")
        rows = [head, *(_row(layer) for layer in self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)


def _row(layer: CheckedLayer) -> tuple[str, ...]:
    name = f"{layer.module}, layer {layer.layer}" + (", reverse" if layer.reverse else "")
    name += f", call {layer.call}" if layer.call else ""
    retained = "not in the output" if layer.retained is None else _log10s(layer.retained)
    return name, " ".join(map(str, layer.timesteps)), retained, _log10s(layer.total), layer.words


def _log10s(values: Sequence[float]) -> str:
    return " ".join("zero" if value == -math.inf else f"{value:.2f}" for value in values)
