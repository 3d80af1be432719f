"""Compiles the scan of every cell in both precisions, where it is not compiled yet; `make test` begins with it.

The tests run in several processes, which would each wait for what they meet first. The bytecode of the package
too: where Python is told to write none, each of the many processes that the tests start would compile it all again.
"""

from __future__ import annotations

import compileall
import sys
from itertools import product
from pathlib import Path
from typing import Any

import rnnlab
from rnnlab.cells import CELLS, Cell


def main() -> None:
    """Compile them one after another; each is compiled by two processes."""
    import torch

    from rnnlab.gradients.compiling import prepare_once

    compileall.compile_dir(Path(rnnlab.__file__).parent, quiet=1)
    ruled = [cell for cell in cells() if cell.rule() is not None]
    compiled = sum(prepare_once(cell, dtype) for dtype in (torch.float32, torch.float64) for cell in ruled)
    print(f"compiled {compiled} scans" if compiled else "every scan is compiled", file=sys.stderr)


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
