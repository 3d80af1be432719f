"""The floor of a scan: a bare loop over time of its recurrent products, and nothing else.

Forward gh_t = h_{t-1} W_hh, back dh_{t-1} = da_t W_hh^T, and dW_hh = sum_t h_{t-1}^T da_t: 6 B T H G*H operations. Rows
are dealt out as the lab deals them, blocks of rows of each run over all threads, one thread a block. No nonlinearity,
no input product, no norm, no optimizer; da is made up once and never written again.

    torch   torch.mm (MKL) with out=, in a loop over time; dW_hh is one product a block
    lab     the products that the lab's own compiled scan is built on (rnnlab/scan/fast/gemm.py)

`python benchmarks/floor.py lstm 20 100 50 8` for cell, B, T, H and runs, or --quick: milliseconds of both.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from alternatives import GATES, SHAPES, TINY, Update
from measure import ONCE, Patience, take_turns
from numba import njit
from options import asked
from torch import Tensor

from rnnlab.scan.fast.gemm import address, gemm, pack, padded_width, panel_width
from rnnlab.scan.fast.nonlinearities import OPTIONS
from rnnlab.scan.fast.threads import blocks_of
from rnnlab.scan.fast.weight_gradients import CHUNK


def torch_products(cell: str, B: int, T: int, H: int, runs: int = 1) -> Update:
    """The products alone, by torch.mm."""
    return spread([_torch_block(W, states) for W, states in blocks(cell, B, T, H, runs)])


def lab_products(cell: str, B: int, T: int, H: int, runs: int = 1) -> Update:
    """The products alone, by the lab's own."""
    return spread([_lab_block(W.numpy(), states.numpy()) for W, states in blocks(cell, B, T, H, runs)])


def blocks(cell: str, B: int, T: int, H: int, runs: int) -> Iterator[tuple[Tensor, Tensor]]:
    """W_hh [H, G*H] and states [T, rows, H] of each block of rows of each run, so that the blocks fill the threads."""
    for _ in range(runs):
        W = torch.rand(H, GATES[cell] * H) / H
        for rows in torch.arange(B).tensor_split(blocks_of(runs, B)):
            yield W, torch.rand(T, len(rows), H)


def _torch_block(W: Tensor, states: Tensor) -> Callable[[], None]:
    T, rows, H = states.shape
    G = W.shape[1]
    gh, dh, dW = torch.empty(rows, G), torch.empty(rows, H), torch.empty(H, G)
    da = _made_up(T, rows, G)
    each, each_da = states.unbind(0), da.unbind(0)
    before, all_da, W_T = states.view(-1, H).T, da.view(-1, G), W.T

    def work() -> None:
        for h in each:
            torch.mm(h, W, out=gh)
        for d in each_da:
            torch.mm(d, W_T, out=dh)
        torch.mm(before, all_da, out=dW)

    return work


_da: dict[tuple[int, ...], Tensor] = {}


def _made_up(*shape: int) -> Tensor:
    """A da of this shape, the same for all blocks: it is read only."""
    if shape not in _da:
        _da.clear()
        _da[shape] = torch.rand(shape)
    return _da[shape]


def _lab_block(W: np.ndarray, states: np.ndarray) -> Callable[[], None]:
    unit = np.float32(1)
    dW = np.zeros((W.shape[0], padded_width(W.shape[1], unit)), np.float32)
    return lambda: scan_products(unit, W, states, dW)


@njit(nogil=True, **OPTIONS)  # no disk cache: it would not notice a change of products.py
def scan_products(unit, W, states, dW):  # type: ignore[no-untyped-def]
    """All three products of a block of rows: W [H, G], states [T, n, H], dW [H, padded G]."""
    T, n, H = states.shape
    G, width, N, M = W.shape[1], panel_width(unit), padded_width(W.shape[1], unit), padded_width(H, unit)
    there, back = np.empty((-(-G // width), H, width), W.dtype), np.empty((-(-H // width), G, width), W.dtype)
    pack(W, there, unit)
    pack(W.T, back, unit)
    space = max(CHUNK // n, 1) * n
    gh, dh, zeros = np.zeros((n, N), W.dtype), np.zeros((n, M), W.dtype), np.zeros(max(N, M), W.dtype)
    d, columns = np.ones((space, N), W.dtype), np.zeros((space, width), W.dtype)
    for t in range(T):
        gemm(unit, n, N, H, address(states[t]), H, 1, address(there), address(zeros), 0, address(gh), N)
    dW[:] = 0
    gathered = 0
    for t in range(T - 1, -1, -1):
        from_d = address(d[gathered])
        gemm(unit, n, M, G, from_d, N, 1, address(back), address(zeros), 0, address(dh), M)
        gathered += n
        if gathered == space or t == 0:
            for j in range(0, N, width):
                w = min(width, N - j)
                for s in range(gathered):
                    for k in range(w):
                        columns[s, k] = d[s, j + k]
                into = address(dW[:, j:])
                gemm(unit, H, w, gathered, address(states[t]), 1, H, address(columns), into, N, into, N)
            gathered = 0


def spread(works: list[Callable[[], None]]) -> Update:
    """All of them on torch's number of threads, each on one thread; the calling thread takes its share."""
    others = torch.get_num_threads() - 1
    # torch keeps a number of threads for each thread that calls it; one thread a product is meant here.
    pool = ThreadPoolExecutor(max(1, others), "floor", initializer=torch.set_num_threads, initargs=(1,))

    def update() -> None:
        left, taken = iter(works), threading.Lock()

        def some() -> None:
            while True:
                with taken:
                    work = next(left, None)
                if work is None:
                    return
                work()

        with one_thread():
            waiting = [pool.submit(some) for _ in range(min(others, len(works) - 1))]
            some()
            for unit in waiting:
                unit.result()

    return update


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch's own operations, until the block ends."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def main() -> None:
    sizes = ({"cell": "lstm", **dict(zip("BTH", shape, strict=True)), "runs": 1} for shape in (SHAPES[0], TINY))
    options = asked(__doc__, *sizes)
    given = (options.cell, options.B, options.T, options.H, options.runs)
    makers = {"torch": lambda: torch_products(*given), "lab": lambda: lab_products(*given)}
    print(json.dumps(take_turns(makers, ONCE if options.quick else Patience()).ms, indent=2))


if __name__ == "__main__":
    main()
