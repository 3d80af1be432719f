"""What the scan in Triton needs, and which of its two ways a layer goes. Imports no Triton."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import torch

from rnnlab.scan.rule import Rule

TRITON = (3, 7)
"""The lowest version whose language the kernels are written in, and that they are tested with."""
CAPABILITY = (8, 0)
"""The lowest compute capability that the kernels are compiled for in the tests (A100; H100 is 9.0)."""
LEAST = 16
"""The smallest side of a matrix product that a device takes."""
RESIDENT = {1: 128, 3: 64, 4: 64}
"""By gates, up to which padded hidden size the recurrent weights fit into a program. A GRU of 128 would need 279 KB of
shared memory on its way back (an H100 has 227), an LSTM of 128 more."""
LARGEST = 2048
"""Up to which padded hidden size a program holds a whole row of a layer."""


class Blocks(NamedTuple):
    """How a layer is cut: rows of a batch and warps of a program, and the hidden size padded to a power of two.

    >>> blocks_of(gates=4, hidden=50)
    Blocks(resident=True, rows=16, padded=64, warps=8)
    """

    resident: bool
    rows: int
    padded: int
    warps: int


def blocks_of(gates: int, hidden: int) -> Blocks:
    """How a layer of so many gates and units is cut.

    >>> blocks_of(gates=4, hidden=200)
    Blocks(resident=False, rows=4, padded=256, warps=4)
    """
    padded = max(LEAST, 1 << (hidden - 1).bit_length())
    if padded <= RESIDENT.get(gates, 0):
        # With fewer warps the products do not fit into the registers.
        return Blocks(True, LEAST, padded, 4 if padded <= 32 else 8)
    rows = max(1, 1024 // padded)
    return Blocks(False, rows, padded, max(4, rows * padded // 256))


def reason_against(rule: Rule | None, hidden: int, dtype: torch.dtype, device: torch.device) -> str | None:
    """Why the scan in Triton cannot run a layer there, as a message says it; None where it can."""
    if rule is None or not rule.name:
        return "this cell has no rule in Triton" if rule else "this cell has no rule"
    if (installed := triton_version()) is None or installed < TRITON:
        found = "is not installed" if installed is None else f"is {_dotted(installed)} here"
        return f"it needs Triton {_dotted(TRITON)}, which {found} (python -m pip install 'rnnlab[cuda]')"
    if dtype != torch.float32:
        return "it computes in float32 alone"
    if hidden > LARGEST:
        return f"it holds at most {LARGEST} units a layer"
    capability = torch.cuda.get_device_capability(device)
    if capability < CAPABILITY:
        return f"it needs compute capability {_dotted(CAPABILITY)}, and {device} has {_dotted(capability)}"
    return None


def triton_version() -> tuple[int, int] | None:
    """The first two numbers of the version of Triton that is installed; None where there is none."""
    try:
        first, second, *_ = version("triton").split(".")
    except PackageNotFoundError:
        return None
    return int(first), int(second)


def _dotted(numbers: tuple[int, int]) -> str:
    return ".".join(map(str, numbers))
