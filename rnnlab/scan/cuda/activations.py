"""The nonlinearities that rules are written with, inside kernels, to a few units in the last place.

Triton's own language has none of them, and those of CUDA's libdevice do not run in its interpreter. NaN stays NaN.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def sigmoid(a):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-a)), without overflow."""
    small = tl.exp(-tl.abs(a))
    above = 1 / (1 + small)
    return tl.where(a >= 0, above, small * above)


@triton.jit
def tanh(a):  # type: ignore[no-untyped-def]
    """tanh(a); near zero by the odd polynomial of the Cephes library (Moshier, 1989) to keep small values right."""
    size = tl.abs(a)
    near = tl.where(size < 0.625, a, 0.0)
    square = near * near
    odd = -5.70498872745e-3 * square + 2.06390887954e-2
    odd = odd * square - 5.37397155531e-2
    odd = odd * square + 1.33314422036e-1
    odd = odd * square - 3.33332819422e-1
    small = tl.exp(-2 * size)
    far = (1 - small) / (1 + small)
    return tl.where(size < 0.625, near + near * square * odd, tl.where(a >= 0, far, -far))


@triton.jit
def relu(a):  # type: ignore[no-untyped-def]
    """max(a, 0), NaN staying NaN."""
    return tl.where(a <= 0, 0.0, a)
