"""Compiles the scan of every cell in both precisions, where it is not compiled yet; `make test` begins with it.

The tests run in several processes, which would each wait for what they meet first. The bytecode of the package
too: where Python is told to write none, each of the many processes that the tests start would compile it all again.
"""

from __future__ import annotations

import compileall
import sys
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import rnnlab
from rnnlab.cells import CELLS, Cell


def main() -> None:
    """The first cell in both precisions, and with it what all share; then the others, dealt out to two processes."""
    compileall.compile_dir(Path(rnnlab.__file__).parent, quiet=1)
    first, *others = [cell for cell in cells() if cell.rule() is not None]
    compiled = compile_cell(first)
    with get_context("spawn").Pool(2) as pool:
        compiled += sum(pool.map(compile_cell, others, chunksize=1))
    print(f"compiled {compiled} scans" if compiled else "every scan is compiled", file=sys.stderr)


def compile_cell(cell: Cell) -> int:
    """In both precisions; how many of them were not in the disk cache."""
    import torch

    from rnnlab.gradients.compiling import prepare_alone

    return sum(prepare_alone(cell, dtype) for dtype in (torch.float32, torch.float64))


def cells() -> list[Cell]:
    """Every cell with each choice of its options that are choices."""
    found = []
    for part in CELLS.values():
        schema = part.model_json_schema()["properties"]
        choices = {name: field["enum"] for name, field in schema.items() if "enum" in field}
        found += [part(**options(choices, values)) for values in product(*choices.values())]
    return found


def options(choices: dict[str, list[Any]], values: tuple[Any, ...]) -> dict[str, Any]:
    """One choice of each option."""
    return dict(zip(choices, values, strict=True))


if __name__ == "__main__":
    main()
