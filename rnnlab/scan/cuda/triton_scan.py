"""The scan in Triton, forward and back, for R replicas of one layer: what `general` and `general_backward` do.

The products with inputs, and the sums over time of weight gradients, are torch's, before and after the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnlab.scan.cuda import resident, stepwise
from rnnlab.scan.cuda.limits import Blocks, blocks_of
from rnnlab.scan.cuda.powers import NOTHING
from rnnlab.scan.cuda.rules import TRITON_RULES, TritonRule
from rnnlab.scan.cuda.weight_sums import weight_sums
from rnnlab.scan.general_backward import Adjoint, Arriving
from rnnlab.scan.layer import Layer
from rnnlab.scan.rule import Rule
from rnnlab.scan.scaled import Scaled


@dataclass(frozen=True)
class Trace:
    """What a forward scan leaves for the way back: hs, cs [R, T+1, B, H] (index 0: the initial state) and `kept`.

    cs is of no size without a second state. kept [R, T, B, width*H]: what the rule saved, the gates first.
    """

    rule: Rule
    hs: Tensor
    cs: Tensor
    kept: Tensor
    lengths: Tensor
    """[R, B]"""

    @property
    def states(self) -> tuple[Tensor, ...]:
        """h, and c where there is one, each [R, T, B, H]."""
        return tuple(states[:, 1:] for states in ((self.hs, self.cs) if self.rule.second else (self.hs,)))

    def gates(self) -> list[Tensor]:
        """The activated gates, each [R, T, B, H], in the cell's order."""
        return list(self.kept.chunk(self.rule.width, -1)[: self.rule.gates])


def forward(rule: Rule, layer: Layer, x: Tensor, lengths: Tensor) -> Trace:
    """Run h_t, c_t = rule(x_t W_ih + b, h_{t-1} W_hh + b_hh, state) over time from zero states, in float32.

    x [R, T, B, I]; lengths int64 [R, B], beyond which states are zero.
    """
    R, T, B, _ = x.shape
    H, G = layer.W_hh.shape[1:]
    gx = torch.baddbmm(layer.b[:, None], x.flatten(1, 2), layer.W_ih)
    hs = x.new_empty(R, T + 1, B, H)
    cs = x.new_empty((R, T + 1, B, H) if rule.second else 0)
    for states in (hs, cs) if rule.second else (hs,):
        states[:, 0] = 0
    kept = x.new_empty(R, T, B, rule.width * H)
    b_hh = x.new_zeros(R, G) if layer.b_hh is None else layer.b_hh.contiguous()
    blocks, lengths = blocks_of(rule.gates, H), lengths.contiguous()
    arrays, constants = (lengths, hs, cs, kept), _constants(rule, blocks) | {"FORWARD": _in_triton(rule).forward}
    grid, W_hh = _grid(R, B, blocks), layer.W_hh.contiguous()
    with torch.cuda.device_of(x):
        if blocks.resident:
            resident.forward_kernel[grid](gx, W_hh, b_hh, *arrays, T, B, H, **constants)
        else:
            gh = x.new_empty(R, B, G)
            for t in range(T):
                torch.baddbmm(b_hh[:, None], hs[:, t], W_hh, out=gh)
                stepwise.forward_timestep[grid](gx, gh, *arrays, t, T, B, H, **constants)
    return Trace(rule, hs, cs, kept, lengths)


def backward(
    trace: Trace, layer: Layer, x: Tensor, arriving: Arriving, states: tuple[str, ...], bounds: Tensor | None
) -> Adjoint:
    """Go back through one layer.

    x [R, T, B, I]: what the layer read. states: their names. bounds: float64 [R]; dL/da_t is clamped to [-bound, bound]
    before it travels on to t-1, to the layer below and into the sums.
    """
    found = _loop_back(trace, layer, arriving, bounds)
    names = [*states, *([] if bounds is None else ["a", "a_clipped"])]
    exponents = found.exponents.long()
    dgx = Scaled(found.dgx, exponents)
    dgh = Scaled(found.dgh, exponents) if trace.rule.own_dgh else dgx
    sums = weight_sums(x, trace.hs[:, :-1], dgx, dgh)
    if layer.b_hh is None:
        del sums["b_hh"]
    clamped = None if bounds is None else found.counts.sum((1, 2))
    return Adjoint(dict(zip(names, found.squares, strict=True)), exponents, None, sums, dgx, clamped)


@dataclass(frozen=True)
class _Back:
    """What the kernels write on the way back; dgh is dgx itself for a rule without `own_dgh`."""

    squares: Tensor
    exponents: Tensor
    counts: Tensor
    dgx: Tensor
    dgh: Tensor


def _loop_back(trace: Trace, layer: Layer, arriving: Arriving, bounds: Tensor | None) -> _Back:
    rule, hs = trace.rule, trace.hs
    R, T, B, H = trace.states[0].shape
    bounded, W_hh = bounds is not None, layer.W_hh.contiguous()
    dgx = hs.new_empty(R, T, B, rule.gates * H)
    back = _Back(
        hs.new_empty(1 + rule.second + 2 * bounded, R, T, B, dtype=torch.float64),
        hs.new_empty(R, T, B, dtype=torch.int32),
        hs.new_empty((R, T, B) if bounded else 0, dtype=torch.int32),
        dgx,
        torch.empty_like(dgx) if rule.own_dgh else dgx,
    )
    mantissa = arriving.rows.mantissa.contiguous()
    sizes = arriving.sizes.clamp(min=NOTHING.value).int().contiguous()
    # Where there is none, the kernel reads no slot and no bound.
    slots = sizes if arriving.slots is None else arriving.slots.contiguous()
    arrays = (trace.lengths, hs, trace.cs, trace.kept, mantissa, sizes, slots, mantissa.shape[1],
              hs if bounds is None else bounds, *vars(back).values())  # fmt: skip
    blocks = blocks_of(rule.gates, H)
    constants = _constants(rule, blocks) | {
        "BACKWARD": _in_triton(rule).backward, "OWN_DGH": rule.own_dgh, "BOUNDED": bounded,
        "SLOTS": arriving.slots is not None,
    }  # fmt: skip
    grid = _grid(R, B, blocks)
    with torch.cuda.device_of(hs):
        if blocks.resident:
            resident.backward_kernel[grid](W_hh, *arrays, R, T, B, H, **constants)
        else:
            dh, dc, e = hs.new_zeros(R, B, H), hs.new_zeros(R, B, H), hs.new_zeros(R, B, dtype=torch.int32)
            for t in reversed(range(T)):
                stepwise.backward_timestep[grid](dh, dc, e, *arrays, t, R, T, B, H, **constants)
                dh.baddbmm_(back.dgh[:, t], W_hh.mT)
    return back


def _in_triton(rule: Rule) -> TritonRule:
    return TRITON_RULES[rule.name]


def _grid(R: int, B: int, blocks: Blocks) -> tuple[int, int]:
    return R, -(-B // blocks.rows)


def _constants(rule: Rule, blocks: Blocks) -> dict[str, Any]:
    return {
        "GATES": rule.gates, "WIDTH": rule.width, "SECOND": rule.second,
        "ROWS": blocks.rows, "HP": blocks.padded, "num_warps": blocks.warps,
    }  # fmt: skip
