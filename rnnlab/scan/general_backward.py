"""The general scan, backward: one vector-Jacobian product a timestep, of rows with an exponent each.

    dL/d(state_{t-1}) = (d state_t / d state_{t-1})^T dL/d(state_t) + what reaches state_{t-1} from outside

The rows are kept near 1 and their powers of two beside them, so a gradient may vanish or explode as far as it will.
What one timestep alone takes out of the number format is lost, and marked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from rnnlab.scan.general import Step, Trace
from rnnlab.scan.layer import Layer
from rnnlab.scan.scaled import Scaled, add, sum_of_products
from rnnlab.scan.thresholds import UNDERFLOW_MARGIN


@dataclass(frozen=True)
class Arriving:
    """What reaches h from outside the layer: rows [R, S, B, H], and which of them each timestep takes, -1 for none.

    slots: int64 [R, T, B]; None where timestep t takes row t.
    """

    rows: Scaled
    slots: Tensor | None = None

    def timesteps(self, T: int) -> list[bool]:
        """At which timesteps anything arrives."""
        if self.slots is None:
            return [True] * T
        anything: list[bool] = (self.slots >= 0).any(2).any(0).tolist()
        return anything

    def at(self, t: int) -> Scaled:
        """The rows [R, B, H] of one timestep; zeros where nothing arrives."""
        mantissa, exponent = self.rows
        if self.slots is None:
            return Scaled(mantissa[:, t], exponent[:, t])
        there, slot = self.slots[:, t] >= 0, self.slots[:, t, None].clamp(min=0)
        rows = mantissa.gather(1, slot[..., None].expand(-1, -1, -1, mantissa.shape[-1]))[:, 0]
        return Scaled(rows.where(there[..., None], 0), exponent.gather(1, slot)[:, 0].where(there, 0))


@dataclass(frozen=True)
class Adjoint:
    """What one layer's way back gives.

    squares: by state, squared row norms, float64 [R, T, B], of rows that have these exponents, int64 [R, T, B]; with an
    adjoint clip those of dL/da_t as it came and as it went on as well, `a` and `a_clipped`.
    lost: whether a timestep took the row out of the number format, bool [R, T, B].
    sums: the gradients of the layer's parameters by name.
    dgx: dL/d(x_t W_ih + b), rows [R, T, B, G*H].
    clamped: how many entries of dL/da the clip clamped, [R]; None without one.
    """

    squares: dict[str, Tensor]
    exponents: Tensor
    lost: Tensor
    sums: dict[str, Scaled]
    dgx: Scaled
    clamped: Tensor | None


@torch.no_grad()
def backward(
    trace: Trace, layer: Layer, x: Tensor, arriving: Arriving, states: tuple[str, ...], bounds: Tensor | None
) -> Adjoint:
    """Go back through one layer, once.

    x [R, T, B, I]: what the layer read. states: their names. bounds: float64 [R]; dL/da_t is clamped to [-bound, bound]
    before it travels on to t-1, to the layer below and into the sums.
    """
    steps = [*trace.steps]
    trace.steps.clear()
    h_before = torch.stack([step.before[0] for step in steps], 1).detach()
    zero = torch.zeros_like(torch.cat(steps[0].before, -1))
    rows = Scaled(zero, torch.zeros(zero.shape[:2], dtype=torch.int64, device=zero.device))
    lost = torch.zeros_like(rows.exponent, dtype=torch.bool)
    kept, arrives = _Kept(), arriving.timesteps(len(steps))
    for t in reversed(range(len(steps))):
        rows, lost = _joined(rows, lost, arriving.at(t)) if arrives[t] else (Scaled.of(*rows), lost)
        kept.lost.append(lost)
        # A graph that has served takes memory.
        rows, gone = _through(steps.pop(), rows, layer.W_hh, bounds, kept)
        lost = lost | gone
    return kept.adjoint(states, layer, x, h_before, bounds)


@dataclass
class _Kept:
    """What is kept of each timestep, the last one first."""

    totals: list[Scaled] = field(default_factory=list)
    """The rows of all states beside each other."""
    came: list[Scaled] = field(default_factory=list)
    """dL/d(gx_t), before the clip."""
    dgx: list[Scaled] = field(default_factory=list)
    dgh: list[Scaled] = field(default_factory=list)
    lost: list[Tensor] = field(default_factory=list)

    def adjoint(
        self, states: tuple[str, ...], layer: Layer, x: Tensor, h_before: Tensor, bounds: Tensor | None
    ) -> Adjoint:
        totals, dgx, dgh = _over_time(self.totals), _over_time(self.dgx), _over_time(self.dgh)
        parts = totals.mantissa.chunk(len(states), -1)
        squares = {name: part.double().square().sum(-1) for name, part in zip(states, parts, strict=True)}
        clamped = None
        if bounds is not None:
            came = _over_time(self.came)
            squares |= {"a": _squares_at(came, totals.exponent), "a_clipped": _squares_at(dgx, totals.exponent)}
            clamped = (came.mantissa.abs() > came.limit(bounds)).sum((1, 2, 3))
        sums = {
            "W_ih": sum_of_products(x, dgx),
            "W_hh": sum_of_products(h_before, dgh),
            "b": sum_of_products(None, dgx),
        }
        if layer.b_hh is not None:
            sums["b_hh"] = sum_of_products(None, dgh)
        return Adjoint(squares, totals.exponent, torch.stack(self.lost[::-1], 1), sums, dgx, clamped)


def _joined(rows: Scaled, lost: Tensor, outside: Scaled) -> tuple[Scaled, Tensor]:
    """Rows [R, B, S*H] of all states with what reaches h from outside, [R, B, H]; beside it nothing counts as lost."""
    lost = lost & (outside.mantissa.abs().amax(-1) == 0)
    others = rows.mantissa.shape[-1] - outside.mantissa.shape[-1]
    return add(rows, Scaled(pad(outside.mantissa, (0, others)), outside.exponent)), lost


def _through(step: Step, rows: Scaled, W_hh: Tensor, bounds: Tensor | None, kept: _Kept) -> tuple[Scaled, Tensor]:
    """One timestep back: the rows of the states before, and which of them the number format has lost, [R, B]."""
    total, dgx, dgh, before = _vjp(step, rows.mantissa)
    kept.totals.append(Scaled(total, rows.exponent))
    of_gx, of_gh = Scaled(dgx, rows.exponent), Scaled(dgh, rows.exponent)
    if bounds is not None:
        kept.came.append(of_gx)
        of_gx, of_gh = (part.clamped(bounds).to(dgx.dtype) for part in (of_gx, of_gh))
    kept.dgx.append(of_gx)
    kept.dgh.append(of_gh)
    product = torch.bmm(of_gh.mantissa, W_hh.mT)
    through = pad(product, (0, before.shape[-1] - product.shape[-1]))
    if bounds is None:  # both have the one exponent
        previous = Scaled(before + through, rows.exponent)
        return previous, _is_lost(previous.mantissa.abs().amax(-1), dgh)
    largest = torch.maximum(before.abs().amax(-1), product.abs().amax(-1))
    return add(Scaled(before, rows.exponent), Scaled(through, of_gh.exponent)), _is_lost(largest, dgh)


def _vjp(step: Step, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """dL/d(state_t) by every path within the timestep, dL/d(gx), dL/d(gh), and dL/d(state_{t-1}) but for that of gh.

    The states stand beside each other in a row, [R, B, S*H]: of an LSTM h_t hangs on c_t.
    """
    parts = rows.chunk(len(step.after), -1)
    wanted = [step.gx, step.gh, *step.before, *step.after[1:]]
    dgx, dgh, *others = torch.autograd.grad(step.after, wanted, parts, allow_unused=True, materialize_grads=True)
    n = len(step.before)
    return torch.cat([parts[0], *others[n:]], -1), dgx, dgh, torch.cat(others[:n], -1)


def _is_lost(largest: Tensor, dgh: Tensor) -> Tensor:
    """From the largest entries of rows that one timestep gave from rows of size 1: whether the format ended on the way.

    A zero may be exact, as a dead relu's is; not if a factor was so small that its product with another can vanish.
    """
    tiny, of_gates = torch.finfo(dgh.dtype).tiny, dgh.abs().amax(-1)
    vanished = (largest == 0) & (of_gates > 0) & (of_gates < tiny**0.5)
    lost: Tensor = vanished | ((largest > 0) & (largest < UNDERFLOW_MARGIN * tiny))
    return lost


def _over_time(rows: list[Scaled]) -> Scaled:
    """Rows [R, B, N], the last timestep first, as [R, T, B, N]."""
    mantissas, exponents = zip(*reversed(rows), strict=True)
    return Scaled(torch.stack(mantissas, 1), torch.stack(exponents, 1))


def _squares_at(rows: Scaled, exponent: Tensor) -> Tensor:
    """Squared norms of rows, in units of other exponents."""
    power: Tensor = 2.0 * (rows.exponent - exponent)
    squares: Tensor = rows.mantissa.double().square().sum(-1)
    return squares * power.double().exp2()
