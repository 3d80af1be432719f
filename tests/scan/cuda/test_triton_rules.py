"""Each rule in Triton is its cell's definition and the derivative of that, over the table of rules."""

from __future__ import annotations

import pytest
import torch
from oracles import cell_name
from triton_devices import TRITON_CELLS, on_devices

from rnnlab.cells import Cell

pytest.importorskip("triton", reason="the scan in Triton needs it: the extra cuda")

import triton
import triton.language as tl

from rnnlab.scan.cuda import activations
from rnnlab.scan.cuda.gate_blocks import load_blocks, store_blocks
from rnnlab.scan.cuda.rules import TRITON_RULES

ROWS, HP = 16, 16


@triton.jit
def forward_once(gx, gh, h, c, hs, cs, kept, FORWARD: tl.constexpr, GATES: tl.constexpr, WIDTH: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)[None, :]
    every, size = at >= 0, 256
    of_x, of_h = load_blocks(gx, at, every, size, GATES), load_blocks(gh, at, every, size, GATES)
    h_new, c_new, saved = FORWARD(of_x, of_h, tl.load(h + at), tl.load(c + at))
    tl.store(hs + at, h_new)
    tl.store(cs + at, c_new)
    store_blocks(kept, at, every, size, saved, WIDTH)


@triton.jit
def backward_once(  # type: ignore[no-untyped-def]
    dh, dc, kept, h, c, dgx, dgh, out, BACKWARD: tl.constexpr, GATES: tl.constexpr, WIDTH: tl.constexpr
):
    at = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)[None, :]
    every, size = at >= 0, 256
    saved = load_blocks(kept, at, every, size, WIDTH)
    of_x, of_h, total, dh_prev, dc_prev = BACKWARD(
        tl.load(dh + at), tl.load(dc + at), saved, tl.load(h + at), tl.load(c + at)
    )
    store_blocks(dgx, at, every, size, of_x, GATES)
    store_blocks(dgh, at, every, size, of_h, GATES)
    store_blocks(out, at, every, size, (total, dh_prev, dc_prev), 3)


def test_every_rule_in_triton_is_that_of_a_cell() -> None:
    names = [rule.name for cell in TRITON_CELLS if (rule := cell.rule()) is not None]
    assert {*names} == {*TRITON_RULES}


@on_devices
@pytest.mark.parametrize("cell", TRITON_CELLS, ids=cell_name)
def test_a_rule_is_its_definition_and_its_derivative(cell: Cell, device: str) -> None:
    rule = cell.rule()
    assert rule is not None
    triton_rule, second = TRITON_RULES[rule.name], rule.second
    draw = torch.Generator().manual_seed(0)
    gx, gh = 2 * torch.randn(2, rule.gates, ROWS, HP, generator=draw)
    h, c, dh, dc = torch.randn(4, ROWS, HP, generator=draw)
    taken = [tensor.to(device) for tensor in (gx, gh, h, c, dh, dc)]
    hs, cs, kept = (torch.empty(n, ROWS, HP, device=device) for n in (1, 1, rule.width))
    sizes = {"GATES": rule.gates, "WIDTH": rule.width}
    forward_once[(1,)](*taken[:4], hs, cs, kept, FORWARD=triton_rule.forward, **sizes)

    leaves = [tensor.double().requires_grad_() for tensor in (gx, gh, h, c)]
    wide = [leaf.movedim(0, -2).flatten(-2) if leaf.dim() == 3 else leaf for leaf in leaves]
    state, gates = cell.definition(wide[0], wide[1], tuple(wide[2 : 3 + second]))
    close = {"rtol": 1e-6, "atol": 3e-7}
    torch.testing.assert_close(hs[0].cpu().double(), state[0].detach(), **close)
    if second:
        torch.testing.assert_close(cs[0].cpu().double(), state[1].detach(), **close)
    torch.testing.assert_close(kept[: rule.gates].cpu().double(), torch.stack(gates).detach(), **close)

    dgx, dgh = torch.empty(2, rule.gates, ROWS, HP, device=device)
    out = torch.empty(3, ROWS, HP, device=device)
    given = (*taken[4:], kept, *taken[2:4], dgx, dgh, out)
    backward_once[(1,)](*given, BACKWARD=triton_rule.backward, **sizes)
    outputs = state if second else (*state, leaves[3] * 1)
    arriving = [dh.double(), dc.double()]
    expected = torch.autograd.grad(outputs, leaves, arriving, materialize_grads=True, allow_unused=True)
    ours = (dgx, dgh, out[1], out[2])
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine.cpu().double(), theirs, rtol=1e-5, atol=2e-6)


@triton.jit
def apply(a, out, FUNCTION: tl.constexpr, N: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.arange(0, N)
    tl.store(out + at, FUNCTION(tl.load(a + at)))


@on_devices
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_nonlinearities_are_right_to_the_last_places(name: str, device: str) -> None:
    """Relative to the size of the result, so that tanh near zero counts as strictly as anywhere."""
    points = torch.cat([torch.linspace(-20, 20, 3072), torch.logspace(-30, 0, 1023), torch.zeros(1)])
    out = torch.empty(4096, device=device)
    apply[(1,)](points.to(device), out, FUNCTION=getattr(activations, name), N=4096)
    exact = getattr(torch, name)(points.double())
    torch.testing.assert_close(out.cpu().double(), exact, rtol=4e-6, atol=0)


@on_devices
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_nonlinearities_keep_what_is_not_finite(name: str, device: str) -> None:
    points = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30, -1e30, 0.0, 88.0, -88.0])
    out = torch.empty(8, device=device)
    apply[(1,)](points.to(device), out, FUNCTION=getattr(activations, name), N=8)
    torch.testing.assert_close(out.cpu(), getattr(torch, name)(points), equal_nan=True)
