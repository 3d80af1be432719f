"""Each kernel compiled for two devices, without one at hand: no spills, registers and shared memory within limits.

Triton compiles for a target that is named to it, ptxas comes with it, and cuobjdump says what a kernel uses.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from oracles import cell_name
from triton_devices import HAS_TRITON, INTERPRETED, TRITON_CELLS

from rnnlab.cells import Cell, Gru, Lstm, Rnn
from rnnlab.scan.cuda.limits import LARGEST, LEAST, RESIDENT, Blocks, blocks_of
from rnnlab.scan.rule import Rule

pytestmark = pytest.mark.skipif(
    not HAS_TRITON or INTERPRETED, reason="needs Triton, and not its interpreter: make test-triton"
)

SHARED = {80: 163 * 1024, 90: 227 * 1024}
"""By compute capability, the shared memory that a program may have (CUDA C++ Programming Guide, table of limits)."""
REGISTERS = 255
POINTERS = {
    **dict.fromkeys(["gx", "gh", "W_hh", "b_hh", "hs", "cs", "kept", "rows", "dgx", "dgh", "dhs", "dcs"], "*fp32"),
    **dict.fromkeys(["sizes", "exponents", "counts", "es"], "*i32"),
    **dict.fromkeys(["lengths", "slots"], "*i64"),
    **dict.fromkeys(["bounds", "squares"], "*fp64"),
}


class Usage(NamedTuple):
    registers: int
    stack: int
    shared: int


def usage(kernel: Any, constants: dict[str, Any], capability: int, warps: int) -> Usage:
    """What the kernel uses when it is compiled for this capability."""
    import triton
    from triton.backends import nvidia
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature = {name: POINTERS.get(name, "constexpr" if name in constants else "i32") for name in kernel.arg_names}
    compiled = triton.compile(
        ASTSource(kernel, signature, constants),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": warps},
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        cuobjdump = Path(next(iter(nvidia.__path__))) / "bin" / "cuobjdump"
        said = subprocess.run(
            [cuobjdump, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    registers, stack = (int(re.findall(rf"\b{name}:(\d+)", said)[0]) for name in ("REG", "STACK"))
    return Usage(registers, stack, compiled.metadata.shared)


def forward_and_backward(rule: Rule, blocks: Blocks, capability: int, bounded: bool) -> list[Usage]:
    """Of both kernels that a layer so cut is run by."""
    from rnnlab.scan.cuda import resident, stepwise
    from rnnlab.scan.cuda.rules import TRITON_RULES

    kernels = (
        (resident.forward_kernel, resident.backward_kernel)
        if blocks.resident
        else (stepwise.forward_timestep, stepwise.backward_timestep)
    )
    ours = TRITON_RULES[rule.name]
    both = {"GATES": rule.gates, "WIDTH": rule.width, "SECOND": rule.second, "ROWS": blocks.rows, "HP": blocks.padded}
    back = {"BACKWARD": ours.backward, "OWN_DGH": rule.own_dgh, "BOUNDED": bounded, "SLOTS": True}
    constants = [both | {"FORWARD": ours.forward}, both | back]
    pairs = zip(kernels, constants, strict=True)
    return [usage(kernel, values, capability, blocks.warps) for kernel, values in pairs]


def rule_of(cell: Cell) -> Rule:
    rule = cell.rule()
    assert rule is not None
    return rule


@pytest.mark.parametrize("capability", SHARED)
@pytest.mark.parametrize("cell", TRITON_CELLS, ids=cell_name)
def test_the_largest_resident_layer_fits(cell: Cell, capability: int) -> None:
    """Without spills, in registers and in shared memory; with the adjoint clip, which needs the most."""
    rule = rule_of(cell)
    blocks = blocks_of(rule.gates, RESIDENT[rule.gates])
    assert blocks.resident
    for used in forward_and_backward(rule, blocks, capability, bounded=True):
        assert used.stack == 0
        assert used.registers <= REGISTERS
        assert used.registers * blocks.warps * 32 <= 65536
        assert used.shared <= SHARED[capability]


@pytest.mark.parametrize("capability", SHARED)
@pytest.mark.parametrize("hidden", [1, 17])
@pytest.mark.parametrize("cell", [Rnn(), Lstm(), Gru()], ids=cell_name)
def test_smaller_layers_fit_as_well(cell: Cell, hidden: int, capability: int) -> None:
    rule = rule_of(cell)
    blocks = blocks_of(rule.gates, hidden)
    for used in forward_and_backward(rule, blocks, capability, bounded=False):
        assert used.stack == 0
        assert used.registers <= REGISTERS
        assert used.shared <= SHARED[capability]


@pytest.mark.parametrize("capability", SHARED)
@pytest.mark.parametrize("hidden", [129, 500, LARGEST])
@pytest.mark.parametrize("cell", [Rnn(), Lstm(), Gru()], ids=cell_name)
def test_a_timestep_of_a_larger_layer_fits(cell: Cell, hidden: int, capability: int) -> None:
    rule = rule_of(cell)
    blocks = blocks_of(rule.gates, hidden)
    assert not blocks.resident
    for used in forward_and_backward(rule, blocks, capability, bounded=True):
        assert used.stack == 0
        assert used.registers <= REGISTERS
        assert used.shared <= SHARED[capability]


def test_one_size_more_would_not_fit() -> None:
    """Why the sizes in `limits` are what they are: the weights alone take what an H100 has, or with what is beside."""
    weights = {rule.gates: 4 * rule.gates * (2 * RESIDENT[rule.gates]) ** 2 for rule in map(rule_of, (Rnn(), Lstm()))}
    assert min(weights.values()) > SHARED[90]
    rule = rule_of(Gru())
    twice = Blocks(True, LEAST, 2 * RESIDENT[rule.gates], 16)
    _, back = forward_and_backward(rule, twice, 90, bounded=False)
    assert back.shared > SHARED[90]
