"""One timestep of the simple recurrent network on a block of rows: the rules of `cells/rnn.py` inside a kernel."""

from __future__ import annotations

import triton
import triton.language as tl

from rnnlab.scan.cuda.activations import relu, sigmoid, tanh


@triton.jit
def tanh_forward(gx, gh, h_prev, c_prev):  # type: ignore[no-untyped-def]
    h = tanh(gx[0] + gh[0])
    return h, c_prev, (h,)


@triton.jit
def tanh_backward(dh, dc, saved, h_prev, c_prev):  # type: ignore[no-untyped-def]
    da = dh * (1 - saved[0] * saved[0])
    return (da,), (da,), dc, tl.zeros_like(dh), dc


@triton.jit
def relu_forward(gx, gh, h_prev, c_prev):  # type: ignore[no-untyped-def]
    h = relu(gx[0] + gh[0])
    return h, c_prev, (h,)


@triton.jit
def relu_backward(dh, dc, saved, h_prev, c_prev):  # type: ignore[no-untyped-def]
    da = tl.where(saved[0] > 0, dh, 0.0)
    return (da,), (da,), dc, tl.zeros_like(dh), dc


@triton.jit
def sigmoid_forward(gx, gh, h_prev, c_prev):  # type: ignore[no-untyped-def]
    h = sigmoid(gx[0] + gh[0])
    return h, c_prev, (h,)


@triton.jit
def sigmoid_backward(dh, dc, saved, h_prev, c_prev):  # type: ignore[no-untyped-def]
    da = dh * saved[0] * (1 - saved[0])
    return (da,), (da,), dc, tl.zeros_like(dh), dc


@triton.jit
def linear_forward(gx, gh, h_prev, c_prev):  # type: ignore[no-untyped-def]
    h = gx[0] + gh[0]
    return h, c_prev, (h,)


@triton.jit
def linear_backward(dh, dc, saved, h_prev, c_prev):  # type: ignore[no-untyped-def]
    return (dh,), (dh,), dc, tl.zeros_like(dh), dc
