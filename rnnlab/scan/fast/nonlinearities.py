"""The nonlinearities of `pointwise` for Numba: polynomials that LLVM vectorizes, in the dtype of the row.

exp(x) = 2^n (1 + p),  p = r + r^2 Q(r),  x = n ln 2 + r,  |r| <= ln(2)/2
tanh(x) = u / (u + 2),  u = exp(2x) - 1 = 2^n p + (2^n - 1), which keeps its last digits near 0, where n = 0

Q is a near-minimax fit (Lawson iteration in 60 digits); its relative error is below 5e-9 for float32 and 2e-17 for
float64, under half a unit in the last place. Constants are typed, since Numba reads a bare 0.5 as float64 and
would take the whole row there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from rnnlab.scan import pointwise

# 'numpy' division raises nothing, and so leaves a loop that LLVM can vectorize.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}

Scalar = Callable[[Any], Any]


def _float32() -> tuple[Scalar, Scalar]:
    unit, two = np.float32(1), np.float32(2)
    lowest, highest = np.float32(-87.3), np.float32(87.3)
    log2e, ln2_high, ln2_low = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
    # Adding 1.5 * 2^23 leaves the nearest integer in the last bits of the sum.
    magic, magic_bits, bias, shift = np.float32(12582912), np.int32(0x4B400000), np.int32(127), np.int32(23)
    q0, q1, q2, q3, q4 = map(
        np.float32, (0.49999993446883927, 0.16666520622777070, 0.04166838822880673, 0.00836871771041672, 0.00138145898)
    )

    @register_jitable(**OPTIONS)
    def split(x):  # type: ignore[no-untyped-def]
        x = lowest if x < lowest else x  # written so that NaN passes through
        x = highest if x > highest else x
        shifted = x * log2e + magic
        n = shifted - magic
        r = x - n * ln2_high - n * ln2_low
        q = q0 + r * (q1 + r * (q2 + r * (q3 + r * q4)))
        power = np.int32((np.float32(shifted).view(np.int32) - magic_bits + bias) << shift).view(np.float32)
        return power, r + r * r * q

    @register_jitable(**OPTIONS)
    def exp(x):  # type: ignore[no-untyped-def]
        power, p = split(x)
        return (unit + p) * power

    @register_jitable(**OPTIONS)
    def tanh(x):  # type: ignore[no-untyped-def]
        power, p = split(x + x)
        u = p * power + (power - unit)
        return u / (u + two)

    return exp, tanh


def _float64() -> tuple[Scalar, Scalar]:
    unit, two = np.float64(1), np.float64(2)
    lowest, highest = np.float64(-708.0), np.float64(708.0)
    log2e, ln2_high, ln2_low = np.float64(np.log2(np.e)), 6.93147180369123816490e-01, 1.90821492927058770002e-10
    magic, magic_bits = np.float64(6755399441055744), np.int64(0x4338000000000000)
    bias, shift = np.int64(1023), np.int64(52)
    q0, q1, q2, q3, q4 = (
        0.50000000000000106304,
        0.16666666666666412492,
        0.041666666666530132565,
        0.0083333333334944618988,
        0.0013888888943636503719,
    )
    q5, q6, q7, q8, q9 = (
        0.00019841269506604375998,
        0.000024801493092719671077,
        2.7557586334998488078e-6,
        2.7630250449368928355e-7,
        2.5000077508955070824e-8,
    )

    @register_jitable(**OPTIONS)
    def split(x):  # type: ignore[no-untyped-def]
        x = lowest if x < lowest else x
        x = highest if x > highest else x
        shifted = x * log2e + magic
        n = shifted - magic
        r = x - n * ln2_high - n * ln2_low
        high = q5 + r * (q6 + r * (q7 + r * (q8 + r * q9)))
        q = q0 + r * (q1 + r * (q2 + r * (q3 + r * (q4 + r * high))))
        power = np.int64((np.float64(shifted).view(np.int64) - magic_bits + bias) << shift).view(np.float64)
        return power, r + r * r * q

    @register_jitable(**OPTIONS)
    def exp(x):  # type: ignore[no-untyped-def]
        power, p = split(x)
        return (unit + p) * power

    @register_jitable(**OPTIONS)
    def tanh(x):  # type: ignore[no-untyped-def]
        power, p = split(x + x)
        u = p * power + (power - unit)
        return u / (u + two)

    return exp, tanh


exp64, _tanh64 = _float64()
"""exp64: exp of a float64 within -708 and 708; what is beyond counts as that."""

_SCALARS: dict[Any, Any] = {
    types.float32: (*_float32(), np.float32(1)),
    types.float64: (exp64, _tanh64, np.float64(1)),
}


@overload(pointwise.sigmoid, jit_options=OPTIONS)
def _sigmoid(row):  # type: ignore[no-untyped-def]
    exp, _, unit = _SCALARS[row.dtype]

    def loop(row):  # type: ignore[no-untyped-def]
        for j in range(row.shape[0]):
            row[j] = unit / (unit + exp(-row[j]))

    return loop


@overload(pointwise.tanh, jit_options=OPTIONS)
def _tanh(row):  # type: ignore[no-untyped-def]
    _, tanh, _ = _SCALARS[row.dtype]

    def loop(row):  # type: ignore[no-untyped-def]
        for j in range(row.shape[0]):
            row[j] = tanh(row[j])

    return loop


@overload(pointwise.add, jit_options=OPTIONS)
def _add(a, b, out):  # type: ignore[no-untyped-def]
    def loop(a, b, out):  # type: ignore[no-untyped-def]
        for j in range(out.shape[0]):
            out[j] = a[j] + b[j]

    return loop


@overload(pointwise.copy, jit_options=OPTIONS)
def _copy(a, out):  # type: ignore[no-untyped-def]
    def loop(a, out):  # type: ignore[no-untyped-def]
        for j in range(out.shape[0]):
            out[j] = a[j]

    return loop
