"""Compiles the scan of every cell in both precisions, where it is not compiled yet; `make test` begins with it.

The tests run in several processes, which would each compile what they meet first: here each has its share. A kernel is
one of a precision, and so are the functions around it: no two processes compile the same. The bytecode of the package
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
    """Compile float32 in one process and float64 in another."""
    compileall.compile_dir(Path(rnnlab.__file__).parent, quiet=1)
    with get_context("spawn").Pool(2) as pool:
        compiled = sum(pool.map(compile_all, ["float32", "float64"], chunksize=1))
    print(f"compiled {compiled} scans" if compiled else "every scan is compiled", file=sys.stderr)


def compile_all(dtype: str) -> int:
    """Compile all cells in this precision; how many of them were not in the disk cache."""
    import torch

    from rnnlab.scan.fast import scan

    rules = [rule for cell in cells() if (rule := cell.rule()) is not None]
    return sum(scan.prepare(rule, getattr(torch, dtype)) for rule in rules)


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
