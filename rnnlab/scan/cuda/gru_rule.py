"""One timestep of the GRU on a block of rows: the rule of `cells/gru.py` inside a kernel."""

from __future__ import annotations

import triton
import triton.language as tl  # noqa: F401  the interpreter looks for it in every kernel's module

from rnnlab.scan.cuda.activations import sigmoid, tanh


@triton.jit
def forward(gx, gh, h_prev, c_prev):  # type: ignore[no-untyped-def]
    r, z = sigmoid(gx[0] + gh[0]), sigmoid(gx[1] + gh[1])
    n = tanh(gx[2] + r * gh[2])
    return n + z * (h_prev - n), c_prev, (r, z, n, gh[2])


@triton.jit
def backward(dh, dc, saved, h_prev, c_prev):  # type: ignore[no-untyped-def]
    r, z, n, hn = saved[0], saved[1], saved[2], saved[3]
    dn = dh * (1 - z) * (1 - n * n)
    dz = dh * (h_prev - n) * z * (1 - z)
    dr = dn * hn * r * (1 - r)
    return (dr, dz, dn), (dr, dz, dn * r), dc, dh * z, dc
