"""Data that are held in memory: the split into three parts, and the stream through the training part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from rnnlab.errors import DataFormatError, UsageError
from rnnlab.tasks.base import CHUNK, Array, Batch, Ints, Source, Split, generator

Parts = Mapping[Split, Ints]  # what each split is made of: indices of sequences, or first timesteps of windows


class HeldSource(Source):
    """Goes through the training part in an order of its own, new each epoch; the parts themselves never change.

    Sequences that do not fill the last batch of an epoch are left out of this epoch, so that shapes stay fixed. The
    next epoch has another order, and leaves out others.

    >>> parts = {"train": np.arange(4), "validation": np.array([4]), "test": np.array([5])}
    >>> source = HeldSource(parts, lambda rows: Batch(x=rows[None, :, None], y=rows), seed=0)
    >>> batches = source.batches(2)
    >>> sorted(int(row) for _ in range(2) for row in next(batches).y)  # an epoch shows each sequence once
    [0, 1, 2, 3]
    """

    def __init__(self, parts: Parts, gather: Callable[[Ints], Batch], seed: int) -> None:
        self._parts, self._gather = parts, gather
        self._rng = generator(seed, "train")
        self.size: int = len(parts["train"])
        self._start_epoch()

    def batches(self, batch: int) -> Iterator[Batch]:
        if batch > self.size:
            raise UsageError(f"a batch of {batch} is more than the {self.size} sequences of the training part")
        return self._endless(batch)

    def _endless(self, batch: int) -> Iterator[Batch]:
        while True:
            if self._position + batch > self.size:
                self._start_epoch()
            chosen = self._order[self._position : self._position + batch]
            self._position += batch
            yield self._gather(chosen)

    def _start_epoch(self) -> None:
        self._before = dict(self._rng.bit_generator.state)
        self._order = self._rng.permutation(self._parts["train"])
        self._position = 0

    def evaluation(self, split: Literal["validation", "test"], limit: int, chunk: int = CHUNK) -> Iterator[Batch]:
        part = self._parts[split]
        count, step = min(limit, len(part)), min(chunk, CHUNK)
        # Spread evenly: the first windows of a long series are its oldest, not a fair sample of it.
        chosen = part[np.arange(count) * len(part) // max(count, 1)]
        for start in range(0, count, step):
            yield self._gather(chosen[start : start + step])

    def state(self) -> dict[str, Any]:
        return {"rng": self._before, "position": self._position}

    def restore(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        self._start_epoch()
        self._position = state["position"]


@dataclass(frozen=True, eq=False)
class Held:
    """Sequences x [N, T, I] with y [N, ...] or (`per_timestep`) [N, T, ...], lengths [N] or None, and the split.

    >>> held = Held(x=np.zeros((6, 5, 2)), y=np.arange(6), parts={})
    >>> batch = held.gather(np.array([0, 3]), length=4, dtype="float32")
    >>> batch.x.shape, batch.y
    ((4, 2, 2), array([0, 3]))
    """

    x: Array
    y: Array
    parts: Parts
    lengths: Ints | None = None
    per_timestep: bool = False

    def gather(self, chosen: Ints, length: int, dtype: DTypeLike) -> Batch:
        """The chosen sequences, time-major, cut to their first `length` timesteps."""
        y = np.swapaxes(self.y[chosen, :length], 0, 1) if self.per_timestep else self.y[chosen]
        target = np.ascontiguousarray(y, dtype if y.dtype.kind == "f" else np.int64)
        lengths = None if self.lengths is None else np.minimum(self.lengths[chosen], length)
        return Batch(np.ascontiguousarray(np.swapaxes(self.x[chosen, :length], 0, 1), dtype), target, lengths)


def fixed_order(count: int, seed: int) -> Ints:
    """An order of `count` things that is the same on every machine and under every version of NumPy."""
    # Generator.permutation may change between versions (NEP 19); the raw bits of PCG64 may not.
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


def shuffled(count: int, validation: float, test: float, seed: int, label: str) -> Parts:
    """A split by a fixed shuffle. Raises DataFormatError when a part would be empty."""
    order, validation_size, test_size = fixed_order(count, seed), int(count * validation), int(count * test)
    parts: Parts = {
        "validation": order[:validation_size],
        "test": order[validation_size : validation_size + test_size],
        "train": order[validation_size + test_size :],
    }
    return _no_empty(parts, f"{label}: {count} sequences are too few to split")


def stratified(labels: Ints, parts: Mapping[Split, float], seed: int) -> Parts:
    """A split by a fixed shuffle in which every class has the given shares (the rest of it goes to `train`)."""
    order = fixed_order(len(labels), seed)
    cut: dict[Split, list[Ints]] = {"train": [], **{split: [] for split in parts}}
    for label in np.unique(labels):
        remaining = order[labels[order] == label]
        for split, share in parts.items():
            count = round(share * np.count_nonzero(labels == label))
            cut[split].append(remaining[:count])
            remaining = remaining[count:]
        cut["train"].append(remaining)
    # By rank in the shuffle, so that the beginning of a part is a fair sample of it.
    rank = np.argsort(order)
    return {split: order[np.sort(rank[np.concatenate(rows)])] for split, rows in cut.items()}


def windows(count: int, validation: float, test: float, length: int, stride: int, label: str) -> Parts:
    """First timesteps of windows of `length` inputs and one more value, in a split in time order.

    The last `test` of the `count` values are for the test, the `validation` before them for validation; no window
    crosses from one part into another. Raises DataFormatError when a part cannot hold a window.
    """
    first, second = contiguous(count, validation, test)
    spans: dict[Split, tuple[int, int]] = {"train": (0, first), "validation": (first, second), "test": (second, count)}
    parts: Parts = {split: np.arange(start, stop - length, stride) for split, (start, stop) in spans.items()}
    sizes = ", ".join(f"{split} {stop - start}" for split, (start, stop) in spans.items())
    return _no_empty(parts, f"{label}: a part is shorter than the {length + 1} values of a window ({sizes})")


def contiguous(count: int, validation: float, test: float) -> tuple[int, int]:
    """Where validation and test begin in a split in time order."""
    second = count - int(count * test)
    return second - int(count * validation), second


def _no_empty(parts: Parts, message: str) -> Parts:
    if not all(map(len, parts.values())):
        raise DataFormatError(message)
    return parts
