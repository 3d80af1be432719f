"""One timestep of the LSTM on a block of rows: the rule of `cells/lstm.py` inside a kernel."""

from __future__ import annotations

import triton
import triton.language as tl

from rnnlab.scan.cuda.activations import sigmoid, tanh


@triton.jit
def forward(gx, gh, h_prev, c_prev):  # type: ignore[no-untyped-def]
    i, f = sigmoid(gx[0] + gh[0]), sigmoid(gx[1] + gh[1])
    g, o = tanh(gx[2] + gh[2]), sigmoid(gx[3] + gh[3])
    c = f * c_prev + i * g
    return o * tanh(c), c, (i, f, g, o)


@triton.jit
def backward(dh, dc, saved, h_prev, c_prev):  # type: ignore[no-untyped-def]
    i, f, g, o = saved[0], saved[1], saved[2], saved[3]
    # tanh(c) is computed anew, as on the CPU: to keep it would cost more in memory traffic.
    tanh_c = tanh(f * c_prev + i * g)
    dc += dh * o * (1 - tanh_c * tanh_c)
    di, df = dc * g * i * (1 - i), dc * c_prev * f * (1 - f)
    dg, do = dc * i * (1 - g * g), dh * tanh_c * o * (1 - o)
    da = (di, df, dg, do)
    return da, da, dc, tl.zeros_like(dh), dc * f
