"""Loops of two rules that processes of their own compiled, read from disk by a third, are each their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnlab.cells import Antisymmetric, Rnn
from rnnlab.scan.fast.kernels import kernels, source_stamp

# The prologue of both programs: how a rule is prepared, and what its forward scan gives.
PREPARE = """
import sys, torch
from rnnlab.cells import Antisymmetric, Rnn
from rnnlab.scan.fast import scan
cells = [Antisymmetric(epsilon=0.5), Antisymmetric(epsilon=0.25), Rnn(nonlinearity="tanh"), Rnn(nonlinearity="relu")]
"""
COMPILE = PREPARE + "scan.prepare_all_but_backward(cells[int(sys.argv[1])].rule(), torch.float64)"
READ = (
    PREPARE
    + """
from rnnlab.scan.layer import Layer
W, b = torch.full((1, 1, 1), 0.5, dtype=torch.float64), torch.full((1, 1), -0.25, dtype=torch.float64)
x, lengths = torch.tensor([[[[-1.0]], [[2.0]]]], dtype=torch.float64), torch.full((1, 1), 2)
loops = [scan.kernels(cell.rule()).forward for cell in cells]
for cell in cells:
    trace = scan.forward(cell.rule(), scan.Inputs(x), Layer(W, {"W_hh": W}, b, None), lengths, scan.Workspace())
    h = torch.zeros(1, dtype=torch.float64)
    for t in range(2):
        ((h,), _) = cell.definition(x[0, t, 0] * 0.5 - 0.25, h * 0.5, (h,))
    print(float(trace.hs[0, -1, 0, 0]), float(h))
print(scan.misses(loops))
"""
)


def python(code: str, cache: Path, *arguments: str) -> list[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.long
def test_code_of_other_processes_is_not_mixed_up(tmp_path: Path) -> None:
    for number in range(4):
        python(COMPILE, tmp_path, str(number))
    *pairs, misses = python(READ, tmp_path)
    assert misses == "0"
    for pair in pairs:
        scanned, defined = map(float, pair.split())
        assert scanned == pytest.approx(defined, abs=1e-12), pairs


def test_each_rule_has_names_of_its_own() -> None:
    rules = [Antisymmetric(epsilon=0.5).rule(), Antisymmetric(epsilon=0.25).rule(), Rnn().rule()]
    assert len({source_stamp(rule) for rule in rules}) == 3
    loops: list[Any] = [loop for rule in rules for loop in kernels(rule)]
    assert len({loop.py_func.__qualname__ for loop in loops}) == 6
