"""Exponents and powers of two inside kernels: exact, over the whole range of the format."""

from __future__ import annotations

import math

import pytest
import torch
from triton_devices import on_devices

pytest.importorskip("triton", reason="the scan in Triton needs it: the extra cuda")

import triton
import triton.language as tl

from rnnlab.scan.cuda.powers import NOTHING, joined, largest_exponents, power, row_squares, wide_power


@triton.jit
def powers(n, narrow, wide, N: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.arange(0, N)
    tl.store(narrow + at, power(tl.load(n + at)))
    tl.store(wide + at, wide_power(tl.load(n + at)))


@triton.jit
def sizes(rows, exponents, squares, ROWS: tl.constexpr, N: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.arange(0, ROWS)
    block = tl.load(rows + row[:, None] * N + tl.arange(0, N)[None, :])
    tl.store(exponents + row, largest_exponents(block))
    tl.store(squares + row, row_squares(block))


@triton.jit
def join(dh, dc, e, arriving, size, ROWS: tl.constexpr, N: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.arange(0, ROWS)
    at = row[:, None] * N + tl.arange(0, N)[None, :]
    a, b, c = joined(tl.load(dh + at), tl.load(dc + at), tl.load(e + row), tl.load(arriving + at), tl.load(size + row))
    tl.store(dh + at, a)
    tl.store(dc + at, b)
    tl.store(e + row, c)


@on_devices
def test_powers_are_exact_to_the_ends_of_both_formats(device: str) -> None:
    n = torch.arange(-1100, 948, dtype=torch.int32)
    narrow, wide = torch.empty(2048, device=device), torch.empty(2048, dtype=torch.float64, device=device)
    powers[(1,)](n.to(device), narrow, wide, N=2048)
    exact = [math.ldexp(1.0, k) for k in n.tolist()]
    of_float32 = [0.0 if k < -126 else math.ldexp(1.0, min(k, 127)) for k in n.tolist()]
    assert narrow.tolist() == of_float32
    assert wide.tolist() == [0.0 if k < -1022 else value for k, value in zip(n.tolist(), exact, strict=True)]


@on_devices
def test_squared_norms_neither_under_nor_overflow(device: str) -> None:
    scale = torch.tensor([1e-38, 1e-30, 1e-20, 1.0, 1e20, 1e30, 1e38, 0.0])
    rows = (3 * torch.rand(8, 16, generator=torch.Generator().manual_seed(1)) - 1) * scale[:, None]
    exponents = torch.empty(8, dtype=torch.int32, device=device)
    squares = torch.empty(8, dtype=torch.float64, device=device)
    sizes[(1,)](rows.to(device), exponents, squares, ROWS=8, N=16)
    torch.testing.assert_close(squares.cpu(), rows.double().square().sum(-1), rtol=1e-6, atol=0)
    largest = rows.abs().amax(-1).tolist()
    assert exponents.tolist() == [min(math.frexp(size)[1] - 1, 126) if size else NOTHING.value for size in largest]


@on_devices
@pytest.mark.parametrize("kind", [math.nan, math.inf])
def test_a_row_that_is_not_finite_is_said_to_be(kind: float, device: str) -> None:
    rows = torch.ones(16, 16)
    rows[3, 5] = kind
    exponents = torch.empty(16, dtype=torch.int32, device=device)
    squares = torch.empty(16, dtype=torch.float64, device=device)
    sizes[(1,)](rows.to(device), exponents, squares, ROWS=16, N=16)
    assert exponents.tolist() == [0, 0, 0, 126] + [0] * 12
    assert squares.isfinite().tolist() == [True] * 3 + [False] + [True] * 12


@on_devices
def test_rows_with_exponents_of_any_size_are_joined(device: str) -> None:
    """dh 2^e + arriving 2^size, and dc 2^e, at the exponent of the larger: as in numbers without a range."""
    nothing = NOTHING.value
    cases = [(0, 0), (-5000, 0), (0, -5000), (9000, -9000), (20_000, 19_999), (7, nothing), (-80, -60), (0, 100)]
    draw = torch.Generator().manual_seed(2)
    dh, dc, arriving = torch.rand(3, 8, 16, generator=draw) + 0.5
    dh[6] *= 2.0**-100  # far smaller than its exponent says
    dh[7] *= 2.0**127
    arriving[5] = 0
    e, size = torch.tensor(cases, dtype=torch.int32).T.contiguous()
    found = [tensor.to(device, copy=True) for tensor in (dh, dc, e)]
    join[(1,)](*found, arriving.to(device), size.to(device), ROWS=8, N=16)
    got_h, got_c, got_e = (tensor.cpu() for tensor in found)
    for k, (own, other) in enumerate(cases):
        top = int(got_e[k])
        exact = dh[k].double() * scaled(own - top) + arriving[k].double() * scaled(other - top)
        torch.testing.assert_close(got_h[k].double(), exact, rtol=1e-6, atol=0)
        torch.testing.assert_close(got_c[k].double(), dc[k].double() * scaled(own - top), rtol=1e-6, atol=1e-38)
        assert 0.25 <= max(got_h[k].max(), got_c[k].max()) <= 4


def scaled(n: int) -> float:
    return 0.0 if n < -126 else math.ldexp(1.0, n)
