"""Weight gradients after the loop: one batched product a layer over all its rows, aligned by their exponents.

dL/dW_ih = sum_t x_t^T dgx_t, dL/dW_hh = sum_t h_{t-1}^T dgh_t, and those of the biases as products with ones. No
atomics: the order of each sum is that of cuBLAS, the same every time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnnlab.scan.scaled import NOTHING, Scaled, sizes_of


def weight_sums(x: Tensor, h_before: Tensor, dgx: Scaled, dgh: Scaled) -> dict[str, Scaled]:
    """The gradients of W_ih, W_hh, b and b_hh, with exponents [R].

    x [R, T, B, I], h_before [R, T, B, H]; dgx, dgh: rows [R, T, B, G*H], the same object where they are one.
    """
    inputs = x.shape[-1]
    ones = torch.ones_like(x[..., :1])
    if dgx is dgh:
        every, exponent = sum_of_aligned(torch.cat([x, ones, h_before], -1), dgx)
        of_x, of_h = Scaled(every[:, : inputs + 1], exponent), Scaled(every[:, inputs:], exponent)
        W_hh = Scaled(every[:, inputs + 1 :], exponent)
    else:
        of_x = sum_of_aligned(torch.cat([x, ones], -1), dgx)
        of_h = sum_of_aligned(torch.cat([ones, h_before], -1), dgh)
        W_hh = Scaled(of_h.mantissa[:, 1:], of_h.exponent)
    return {
        "W_ih": Scaled(of_x.mantissa[:, :inputs], of_x.exponent),
        "W_hh": W_hh,
        "b": Scaled(of_x.mantissa[:, inputs], of_x.exponent),
        "b_hh": Scaled(of_h.mantissa[:, 0], of_h.exponent),
    }


def sum_of_aligned(left: Tensor, right: Scaled) -> Scaled:
    """sum left^T right over all rows of a replica, [R, M, N] with exponents [R].

    left [R, T, B, M]; right: rows [R, T, B, N]. A row counts by the size of its own product, as in `sum_of_products`,
    which reads and writes the rows more often: there are too many of them here for that.
    """
    left, of_left = Scaled.of(left)
    largest = torch.linalg.vector_norm(right.mantissa, torch.inf, dim=-1)
    own = torch.frexp(largest.nan_to_num(0, 0, 0)).exponent
    there = largest.where(left.abs().amax(-1) != 0, 0)
    top = sizes_of(right.exponent + own + of_left, there).flatten(1).amax(1)
    top = top.masked_fill(top == NOTHING, 0)
    # What a row of numbers needs is at most 2^126; one of zeros may have any exponent.
    shift = (right.exponent + of_left - top[:, None, None]).clamp(-200, 126)
    weighted = right.mantissa * shift.to(left.dtype).exp2()[..., None]
    return Scaled(torch.bmm(left.flatten(1, 2).mT, weighted.flatten(1, 2)), top)
