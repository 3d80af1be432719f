"""Threads for the compiled scan: blocks of rows of each replica, run on a thread pool of the lab's own."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import torch

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


def blocks_of(R: int, N: int) -> int:
    """Into how many blocks the N rows of a replica are cut, so that R replicas fill the threads."""
    return min(N, -(-threads() // R))


Item = tuple[int, int, int, int]
"""A block of work: its number, its replica, its first row and the one after its last."""


def items_of(R: int, N: int, blocks: int) -> list[Item]:
    """The blocks of N rows of R replicas, one replica after another."""
    edges = [N * k // blocks for k in range(blocks + 1)]
    pairs = list(itertools.pairwise(edges))
    return [(r * blocks + k, r, first, last) for r in range(R) for k, (first, last) in enumerate(pairs)]


WORTH_A_THREAD = 20_000
"""Numbers to go over that take as long as it takes to wake another thread, some 50 microseconds."""


def spread(work: Callable[[int, int, int, int], object], items: list[Item], numbers: int = WORTH_A_THREAD) -> None:
    """Call work(item, replica, first, last) for all items, on as many threads as torch has if there are many numbers.

    Not on torch's own pool: its threads wait for each other by spinning, which beside another busy process costs more
    than the work. The calling thread takes its share, since to wake another takes longer than a small block.
    """
    left, lock = iter(items), threading.Lock()

    def run_items() -> None:
        nonlocal left
        while True:
            with lock:
                item = next(left, None)
            if item is None:
                return
            try:
                work(*item)
            except BaseException:  # the others need not begin anything more
                left = iter(())
                raise

    helpers = min(threads(), len(items)) - 1 if numbers >= WORTH_A_THREAD else 0
    others = [_pool(threads()).submit(run_items) for _ in range(helpers)]
    try:
        run_items()
    finally:
        wait(others)
    for other in others:
        other.result()
