"""Threads for the compiled scan: blocks of rows of each replica, run on a thread pool of the lab's own."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import torch
from numpy.typing import NDArray

_share: list[int] = []


@contextlib.contextmanager
def own_threads() -> Iterator[None]:
    """Give the scan all of torch's threads, and torch's own operations one, until the block ends.

    What torch still does between scans is small. Its threads would spend a while spinning after each such operation,
    on cores that the scan wants.
    """
    threads = torch.get_num_threads()
    _share.append(threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _share.pop()
        torch.set_num_threads(threads)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "rnnlab-scan")


# Threads do not survive a fork, and a pool that waits for them would wait for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def threads() -> int:
    """How many threads the scan may use."""
    return _share[-1] if _share else torch.get_num_threads()


WORTH_A_THREAD = 20_000
"""Numbers to go over that take as long as it takes to wake another thread, some 50 microseconds."""

Items = NDArray[np.int64]
"""Blocks of work [items, 3]: the replica of each, its first row, and the one after its last."""


def blocks_of(R: int, N: int, numbers: int = WORTH_A_THREAD) -> int:
    """Into how many blocks the N rows of a replica are cut, so that R replicas fill the threads; 1 for few numbers."""
    return min(N, -(-threads() // R)) if numbers >= WORTH_A_THREAD else 1


@functools.lru_cache(64)
def items_of(R: int, N: int, blocks: int) -> Items:
    """The blocks of N rows of R replicas, one replica after another.

    >>> items_of(R=1, N=5, blocks=2)
    array([[0, 0, 2],
           [0, 2, 5]])
    """
    edges = [N * k // blocks for k in range(blocks + 1)]
    return np.array([(r, *edge) for r in range(R) for edge in itertools.pairwise(edges)], np.int64).reshape(-1, 3)


def spread(work: Callable[[int, int], object], count: int, numbers: int = WORTH_A_THREAD) -> None:
    """Call work(begin, end) for ranges that make up 0 to `count`, on as many threads as torch has if that is worth it.

    numbers: how many are gone over in all. A range is small enough for what it goes over to stay in cache, and, if that
    can be had, large enough for a call from Python to be nothing beside it.

    Not on torch's own pool: its threads wait for each other by spinning, which beside another busy process costs more
    than the work. The calling thread takes its share, since to wake another takes longer than a small block.
    """
    helpers = min(threads(), count) - 1 if numbers >= WORTH_A_THREAD else 0
    size = max(1, min(-(-count // (_TURNS * helpers + 1)), count * WORTH_A_THREAD // max(numbers, 1)))
    if size >= count:
        work(0, count)
        return
    left, lock = iter(range(0, count, size)), threading.Lock()

    def take_ranges() -> None:
        nonlocal left
        while True:
            with lock:
                begin = next(left, None)
            if begin is None:
                return
            try:
                work(begin, min(begin + size, count))
            except BaseException:  # the others need not begin anything more
                left = iter(range(0))
                raise

    others = [_pool(threads()).submit(take_ranges) for _ in range(helpers)]
    try:
        take_ranges()
    finally:
        # A thread that has not begun yet would find nothing to do.
        running = [other for other in others if not other.cancel()]
        wait(running)
    for other in running:
        other.result()


_TURNS = 4
"""Ranges that a thread takes, where there are enough: one that is late then holds up the others for a part of it."""
