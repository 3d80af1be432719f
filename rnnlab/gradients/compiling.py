"""The compiled loops of a cell, compiled once on a machine: by one process at a time, and there by two.

What is left of a compilation is an empty file in Numba's cache folder, `rnnlab-KEY.compiled`. Where it stands, all
loops are read from disk. Where it does not, a process takes the lock beside it, and looks again: the one that held it
may have compiled them. There is one lock for all cells: two processes that write to one index of Numba's cache at once
can give the machine code of two functions one name, and each compilation uses two processors as it is. The lock is the
system's own on an open file, so it ends with its process, however that ends.

The backward scan takes as long to compile as all the rest together, and Numba compiles in one thread of a process. So a
second process compiles the rest. It leaves nothing but files of the cache; what it did not do is done after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import torch

from rnnlab.cells import Cell
from rnnlab.gradients import compiled_head
from rnnlab.gradients.compiled_pass import prepare, prepare_all_but_backward
from rnnlab.machine import cores
from rnnlab.network import flat_rows
from rnnlab.scan.fast import direct, norms
from rnnlab.scan.fast.kernels import compiled_sources, kernels
from rnnlab.scan.fast.scan import prepare_backward
from rnnlab.scan.rule import Rule

try:
    import fcntl
except ImportError:  # Windows: processes may compile the same loops at once, as they may anywhere without a lock
    fcntl = None  # type: ignore[assignment]


def prepare_once(cell: Cell, dtype: torch.dtype) -> bool:
    """`prepare` for this cell's rule, which it has, but not while another process compiles it: then wait for that."""
    rule = cell.rule()
    assert rule is not None
    done = _done(cell, rule, dtype)
    if done.exists():
        return prepare(rule, dtype)
    with _locked(done.with_name("rnnlab-compiling.lock")):
        compiled = False if done.exists() else _prepare_in_two(cell, rule, dtype)
        compiled |= prepare(rule, dtype)
        with contextlib.suppress(OSError):
            done.touch()
    return compiled


def prepare_alone(cell: Cell, dtype: torch.dtype) -> bool:
    """`prepare` in this process alone and without the lock, for a program that deals out cells to processes itself."""
    rule = cell.rule()
    assert rule is not None
    compiled = prepare(rule, dtype)
    with contextlib.suppress(OSError):
        _done(cell, rule, dtype).touch()
    return compiled


def _done(cell: Cell, rule: Rule, dtype: torch.dtype) -> Path:
    """The file that says that all is compiled, for this cell with its options, these sources, Numba and processor."""
    files = {
        *compiled_sources(rule),
        *(Path(str(module.__file__)) for module in (compiled_head, direct, flat_rows, norms)),
    }
    sources = [(str(file), status.st_mtime_ns, status.st_size) for file in sorted(files) for status in [file.stat()]]
    kind = f"{type(cell).__module__}.{type(cell).__qualname__}"
    cpu = (llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten())
    key = hashlib.sha256(repr((kind, cell, dtype, sources, numba.__version__, cpu)).encode()).hexdigest()
    loop: Any = kernels(rule).backward
    return Path(loop.stats.cache_path, f"rnnlab-{key[:32]}.compiled")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock on this file, or none where the file system has no locks."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("w"))
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _prepare_in_two(cell: Cell, rule: Rule, dtype: torch.dtype) -> bool:
    """Compile the backward scan while a second process compiles the rest; True where there was something to compile."""
    if cores() < 2:
        return False
    with _second_process(cell, dtype) as second:
        compiled = prepare_backward(rule, dtype)
        # What one of them was read from disk, the others most often are, and a process takes seconds to begin.
        if compiled and second is not None:
            second.wait()
    return compiled


@contextlib.contextmanager
def _second_process(cell: Cell, dtype: torch.dtype) -> Iterator[subprocess.Popen[bytes] | None]:
    """A process that runs `main` for this cell; None where none can be started. It does not outlive the block."""
    code = f"from {__name__} import main; main()"
    try:
        given = pickle.dumps((cell, dtype))
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except (OSError, ValueError, TypeError, AttributeError, pickle.PicklingError):
        yield None  # a cell of a notebook's own, say, or no Python to start
        return
    try:
        with contextlib.suppress(OSError), process.stdin as stdin:  # type: ignore[union-attr]
            stdin.write(given)
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Compile all but the backward scan for the cell and the dtype that are pickled on standard input."""
    cell, dtype = pickle.load(sys.stdin.buffer)
    prepare_all_but_backward(cell.rule(), dtype)
