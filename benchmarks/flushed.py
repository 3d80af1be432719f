"""What people use instead of this lab, with subnormal numbers flushed to zero: one update for each line on stdin.

torch.set_flush_denormal acts on the thread that calls it and on those that this one starts later, so that it has to
come before torch starts its threads: the updates are made by a process of their own. `python benchmarks/flushed.py
torch lstm 20 100 50` answers each line with one, after an update; --quick makes one update at the smallest shape.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import weakref
from typing import Any

import torch
from alternatives import TINY, Update, loop, plain
from options import asked

USUAL = {"which": "torch", "cell": "lstm", "B": 20, "T": 100, "H": 50}
QUICK = {"which": "torch", "cell": "lstm", **dict(zip("BTH", TINY, strict=True))}
MAKERS = {"loop": loop, "torch": plain}


def flushed(which: str, cell: str, B: int, T: int, H: int) -> Update:
    """An update of that alternative in a process that flushes subnormal numbers; costs some 0.05 ms for the call."""
    command = [sys.executable, __file__, which, cell, *map(str, (B, T, H))]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    to_child, from_child = child.stdin, child.stdout

    def update() -> object:
        to_child.write("\n")
        to_child.flush()
        if not (answer := from_child.readline()):
            raise RuntimeError(f"{' '.join(command)} ended with {child.wait()}")
        return answer

    weakref.finalize(update, _end, child)
    return update


def _end(child: subprocess.Popen[str]) -> None:
    child.communicate()


def answer(which: str, cell: str, B: int, T: int, H: int) -> None:
    """Make an update for each line on stdin, until it is closed."""
    update = MAKERS[which](cell, B, T, H)
    with contextlib.suppress(KeyboardInterrupt):
        for _ in sys.stdin:
            update()
            print("done", flush=True)


def can_flush() -> bool:
    """Whether this processor can; the thread that asks flushes nothing afterwards."""
    possible = torch.set_flush_denormal(True)
    torch.set_flush_denormal(False)
    return possible


def smallest() -> float:
    """What half of the smallest normal float32 is here: 0 where subnormal numbers are flushed."""
    return float(torch.full((1,), torch.finfo(torch.float32).tiny).mul(0.5))


def main() -> None:
    if not torch.set_flush_denormal(True):
        raise SystemExit("this processor cannot flush subnormal numbers")
    options = asked(__doc__, USUAL, QUICK)
    sizes: tuple[Any, ...] = (options.cell, options.B, options.T, options.H)
    if options.quick:
        MAKERS[options.which](*sizes)()
        print(json.dumps({"half of the smallest normal number": smallest()}))
    else:
        answer(options.which, *sizes)


if __name__ == "__main__":
    main()
