"""The general scan, backward: one vector-Jacobian product a timestep, of rows with an exponent each.

    dL/d(state_{t-1}) = (d state_t / d state_{t-1})^T dL/d(state_t) + what reaches state_{t-1} from outside

The rows are kept near 1 and their powers of two beside them, so a gradient may vanish or explode as far as it will.
What one timestep alone takes out of the number format is lost, and marked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from rnnlab.scan.general import Step, Trace
from rnnlab.scan.layer import Layer
from rnnlab.scan.recurrent import Product, Recurrent
from rnnlab.scan.scaled import NOTHING, Scaled, add, power, sizes_of, sum_of_products
from rnnlab.scan.thresholds import ANY_FLOAT64, SMALLEST_FLOAT32, UNDERFLOW_MARGIN


class Arriving:
    """What reaches h from outside the layer: rows [R, S, B, H], and which of them each timestep takes, -1 for none.

    slots: int64 [R, T, B]; None where timestep t takes row t.
    """

    def __init__(self, rows: Scaled, slots: Tensor | None = None) -> None:
        largest = rows.mantissa.abs().amax(-1)
        self.rows = _near_one(rows, largest)
        """[R, S, B, H], the largest entry of each in [0.5, 1)."""
        sizes = sizes_of(self.rows.exponent, largest)
        if slots is not None:
            there, slots = slots >= 0, slots.clamp(min=0)
            sizes = sizes.gather(1, slots).where(there, NOTHING)
        self.slots = slots
        """int64 [R, T, B], of which a negative one has become 0; None where timestep t takes row t."""
        self.sizes = sizes
        """The exponents of the rows by timestep, int64 [R, T, B]; NOTHING where zeros arrive, or no row."""

    def timesteps(self) -> list[bool]:
        """At which timesteps anything arrives."""
        if self.slots is None:
            return [True] * self.sizes.shape[1]
        anything: list[bool] = (self.sizes != NOTHING).any(2).any(0).tolist()
        return anything

    def at(self, t: int) -> tuple[Tensor, Tensor]:
        """The mantissas [R, B, H] of one timestep, of any values where nothing arrives, and their sizes [R, B]."""
        mantissa = self.rows.mantissa
        if self.slots is None:
            return mantissa[:, t], self.sizes[:, t]
        slot = self.slots[:, t, None, :, None].expand(-1, -1, -1, mantissa.shape[-1])
        return mantissa.gather(1, slot)[:, 0], self.sizes[:, t]


@dataclass(frozen=True)
class Adjoint:
    """What one layer's way back gives.

    squares: by state, squared row norms, float64 [R, T, B], of rows that have these exponents, int64 [R, T, B]; with an
    adjoint clip those of dL/da_t as it came and as it went on as well, `a` and `a_clipped`.
    lost: whether a timestep took the row out of the number format, bool [R, T, B]; None from a scan that does not say.
    sums: the gradients of the layer's parameters by name.
    dgx: dL/d(x_t W_ih + b), rows [R, T, B, G*H].
    clamped: how many entries of dL/da the clip clamped, [R]; None without one.
    kept: the rows behind all that, where they were to be kept.
    """

    squares: dict[str, Tensor]
    exponents: Tensor
    lost: Tensor | None
    sums: dict[str, Scaled]
    dgx: Scaled
    clamped: Tensor | None
    kept: KeptRows | None = None


@dataclass(frozen=True)
class KeptRows:
    """The rows of one layer's way back.

    totals: the rows dL/d(state_t) themselves, all states beside each other, [R, T, B, S*H].
    outputs: the same, but that dL/dc_t comes from after t alone, and not through h_t.
    arriving: what reached h from outside the layer.
    recurrent_sums: from a timestep to its part of the gradient of each recurrent parameter, b_hh among them.
    """

    totals: Scaled
    outputs: Scaled
    arriving: Arriving
    recurrent_sums: Callable[[int], dict[str, Scaled]]


@torch.no_grad()
def backward(
    trace: Trace,
    layer: Layer,
    x: Tensor,
    arriving: Arriving,
    states: tuple[str, ...],
    bounds: Tensor | None,
    *,
    through_h: Tensor | None = None,
    keep: bool = False,
) -> Adjoint:
    """Go back through one layer, once.

    x [R, T, B, I]: what the layer read. states: their names. bounds: float64 [R]; dL/da_t is clamped to [-bound, bound]
    before it travels on to t-1, to the layer below and into the sums. through_h: factors [R, T] on what goes back
    through W_hh. keep: the rows too.
    """
    steps = [*trace.steps]
    trace.steps.clear()
    zero = torch.zeros_like(torch.cat(steps[0].before, -1))
    rows = Scaled(zero, torch.zeros(zero.shape[:2], dtype=torch.int64, device=zero.device))
    kept, arrives, largest = _Kept([] if keep else None), arriving.timesteps(), zero[..., 0]
    for t in reversed(range(len(steps))):
        rows = _near_one(rows, largest)
        if arrives[t]:
            rows = _joined(rows, largest, *arriving.at(t))
        # A graph that has served takes memory.
        step = steps.pop()
        if trace.recurrent is None:
            W_hh = layer.W_hh if through_h is None else layer.W_hh * through_h[:, t, None, None]
            rows, largest = _through(step, rows, W_hh, bounds, kept)
        else:
            rows, largest = _through_own(step, rows, trace.recurrent, bounds, kept)
    recurrent_sums = functools.partial(kept.recurrent_sums, layer, trace.recurrent)
    return kept.adjoint(states, recurrent_sums, x, arriving, bounds)


@dataclass
class _Kept:
    """What is kept of each timestep, the last one first."""

    outputs: list[Scaled] | None
    """What came to the timestep, where that is kept."""
    totals: list[Scaled] = field(default_factory=list)
    """The rows of all states beside each other."""
    came: list[Scaled] = field(default_factory=list)
    """dL/d(gx_t), before the clip."""
    dgx: list[Scaled] = field(default_factory=list)
    dgh: list[Scaled] = field(default_factory=list)
    """Empty for a cell that owns its step, which has products in its place."""
    h_before: list[Tensor] = field(default_factory=list)
    products: list[tuple[list[Product], Tensor]] = field(default_factory=list)
    """And the exponents [R, B] of their gradients."""
    largest: list[Tensor] = field(default_factory=list)
    """The largest entries of the rows [R, B] that the timestep gave, from rows of size 1."""

    def add(self, rows: Scaled, total: Tensor, dgx: Tensor, bounds: Tensor | None) -> None:
        """Keep the rows of all states, and dL/d(gx_t) as it came and as it goes on."""
        if self.outputs is not None:
            self.outputs.append(rows)
        self.totals.append(Scaled(total, rows.exponent))
        came = Scaled(dgx, rows.exponent)
        self.came.append(came)
        self.dgx.append(came.clamped(bounds).to(dgx.dtype))

    def recurrent_sums(self, layer: Layer, recurrent: Recurrent | None, t: int | None = None) -> dict[str, Scaled]:
        """The gradients of the recurrent parameters, and of b_hh where there is one; of one timestep t their part."""
        at = slice(None) if t is None else slice(len(self.totals) - 1 - t, len(self.totals) - t)
        if recurrent is not None:
            products, exponents = zip(*reversed(self.products[at]), strict=True)
            return recurrent.sums(products, torch.stack(exponents, 1))
        dgh = _over_time(self.dgh[at])
        sums = {"W_hh": sum_of_products(torch.stack(self.h_before[at][::-1], 1), dgh)}
        return sums if layer.b_hh is None else {**sums, "b_hh": sum_of_products(None, dgh)}

    def adjoint(
        self,
        states: tuple[str, ...],
        recurrent_sums: Callable[..., dict[str, Scaled]],
        x: Tensor,
        arriving: Arriving,
        bounds: Tensor | None,
    ) -> Adjoint:
        totals, dgx = _over_time(self.totals), _over_time(self.dgx)
        parts = totals.mantissa.chunk(len(states), -1)
        squares = {name: part.double().square().sum(-1) for name, part in zip(states, parts, strict=True)}
        clamped = None
        if bounds is not None:
            came = _over_time(self.came)
            squares |= {"a": _squares_at(came, totals.exponent), "a_clipped": _squares_at(dgx, totals.exponent)}
            clamped = (came.mantissa.abs() > came.limit(bounds)).sum((1, 2, 3))
        sums = {"W_ih": sum_of_products(x, dgx), "b": sum_of_products(None, dgx), **recurrent_sums()}
        of_gates = _over_time(self.dgh or self.dgx).mantissa
        gone = _gone(torch.stack(self.largest[::-1], 1), of_gates)
        lost = _lost(gone, arriving.sizes != NOTHING)
        kept = self.outputs and KeptRows(totals, _over_time(self.outputs), arriving, recurrent_sums)
        return Adjoint(squares, totals.exponent, lost, sums, dgx, clamped, kept or None)


def _near_one(rows: Scaled, largest: Tensor) -> Scaled:
    """Rows whose largest entries are these, so that they are in [0.5, 1); exact.

    As far as one factor goes that is a number of the format: a row of subnormal numbers stays below.
    """
    mantissa, exponent = rows
    most = -SMALLEST_FLOAT32 if mantissa.dtype == torch.float32 else ANY_FLOAT64
    shift = torch.frexp(largest.nan_to_num(0, 0, 0)).exponent.clamp(-most, most)
    return Scaled(mantissa * (-shift).to(mantissa.dtype).exp2()[..., None], exponent + shift)


def _joined(rows: Scaled, largest: Tensor, outside: Tensor, sizes: Tensor) -> Scaled:
    """Rows [R, B, S*H] near 1 of all states, with rows near 1 that reach h from outside, [R, B, H]."""
    own = sizes_of(rows.exponent, largest)
    top = torch.maximum(own, sizes)
    mantissa = rows.mantissa * power(own - top, outside.dtype)[..., None]
    arriving = outside * power(sizes - top, outside.dtype)[..., None]
    mantissa[..., : outside.shape[-1]] += arriving.where((sizes != NOTHING)[..., None], 0)
    return Scaled(mantissa, top.masked_fill(top == NOTHING, 0))


def _through(step: Step, rows: Scaled, W_hh: Tensor, bounds: Tensor | None, kept: _Kept) -> tuple[Scaled, Tensor]:
    """One timestep back: the rows of the states before, and their largest entries."""
    assert step.gh is not None
    total, (dgx, dgh), before = _vjp(step, rows.mantissa, step.gx, step.gh)
    kept.add(rows, total, dgx, bounds)
    kept.h_before.append(step.before[0].detach())
    of_gh = Scaled(dgh, rows.exponent).clamped(bounds).to(dgh.dtype)
    kept.dgh.append(of_gh)
    product = torch.bmm(of_gh.mantissa, W_hh.mT)
    others = before.shape[-1] - product.shape[-1]
    through = pad(product, (0, others)) if others else product
    if bounds is None:  # both have the one exponent
        previous = Scaled(before + through, rows.exponent)
        kept.largest.append(previous.mantissa.abs().amax(-1))
        return previous, kept.largest[-1]
    kept.largest.append(torch.maximum(before.abs().amax(-1), product.abs().amax(-1)))
    previous = add(Scaled(before, rows.exponent), Scaled(through, of_gh.exponent))
    return previous, previous.mantissa.abs().amax(-1)


def _through_own(
    step: Step, rows: Scaled, recurrent: Recurrent, bounds: Tensor | None, kept: _Kept
) -> tuple[Scaled, Tensor]:
    """The same for a cell that multiplies itself: what comes back to its products is clamped on the way."""
    recurrent.limits = None if bounds is None else rows.limit(bounds).to(rows.mantissa.dtype)
    total, (dgx,), before = _vjp(step, rows.mantissa, step.gx)
    kept.add(rows, total, dgx, bounds)
    kept.products.append((step.products, rows.exponent))
    kept.largest.append(before.abs().amax(-1))
    return Scaled(before, rows.exponent), kept.largest[-1]


def _vjp(step: Step, rows: Tensor, *leaves: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
    """dL/d(state_t) by every path within the timestep, dL/d(leaves), and dL/d(state_{t-1}) but for what is a leaf's.

    The states stand beside each other in a row, [R, B, S*H]: of an LSTM h_t hangs on c_t.
    """
    parts = rows.chunk(len(step.after), -1)
    wanted = [*leaves, *step.before, *step.after[1:]]
    values = torch.autograd.grad(step.after, wanted, parts, allow_unused=True, materialize_grads=True)
    first, last = len(leaves), len(leaves) + len(step.before)
    return torch.cat([parts[0], *values[last:]], -1), list(values[:first]), torch.cat(values[first:last], -1)


def _gone(largest: Tensor, dgh: Tensor) -> Tensor:
    """Whether a timestep took its row out of the format, [R, T, B]; dgh [R, T, B, N].

    A zero may be exact, as a dead relu's is; not if a factor was so small that its product with another can vanish.
    """
    tiny, of_gates = torch.finfo(dgh.dtype).tiny, dgh.abs().amax(-1)
    vanished = (largest == 0) & (of_gates > 0) & (of_gates < tiny**0.5)
    gone: Tensor = vanished | ((largest > 0) & (largest < UNDERFLOW_MARGIN * tiny))
    return gone


def _lost(gone: Tensor, arrives: Tensor) -> Tensor:
    """Whether a row is one that a later timestep lost, with nothing arriving since; bool [R, T, B]."""
    T = gone.shape[1]
    after = torch.arange(1, T + 1, device=gone.device)[:, None]
    # The timestep whose loss, and the one whose arrival, is the last to have come back to t.
    loss, arrival = (
        torch.where(flags, T + 1 - after, 0).flip(1).cummax(1).values.flip(1)
        for flags in (pad(gone[:, 1:], (0, 0, 0, 1)), arrives)
    )
    lost: Tensor = loss > arrival
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
