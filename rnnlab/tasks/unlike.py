"""Sequences of unlike length, one an array or one a file, as arrays that are padded to the longest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from rnnlab.errors import DataFormatError
from rnnlab.tasks.base import Array
from rnnlab.tasks.files import check_memory

_NUMBERED = re.compile(r"([xy])_?(\d+)")


def numbered(arrays: Mapping[str, Array], place: str) -> dict[str, Array]:
    """The arrays, with x0, x1, ... [T_n, I] or [T_n] (and y0, y1, ... where targets are one a timestep) as x and y.

    `np.savez("mine.npz", y=classes, **{f"x{n}": x for n, x in enumerate(sequences)})` writes such a file. Raises
    DataFormatError.
    """
    by_number: dict[str, dict[int, Array]] = {"x": {}, "y": {}}
    for key, array in arrays.items():
        if match := _NUMBERED.fullmatch(key):
            if int(match[2]) in by_number[match[1]]:
                raise DataFormatError(f"{place}: two arrays are {match[1]}{int(match[2])}, one of them named {key!r}")
            by_number[match[1]][int(match[2])] = array
    if "x" in arrays or not by_number["x"]:
        return dict(arrays)
    if "lengths" in arrays:
        raise DataFormatError(f"{place}: 'lengths' stands beside x0, x1, ..., which have their own; leave it out")
    xs = [array for _, array in sorted(by_number["x"].items())]
    if by_number["y"] and by_number["y"].keys() != by_number["x"].keys():
        raise DataFormatError(f"{place}: there are {len(xs)} arrays x and {len(by_number['y'])} y, or of other numbers")
    if by_number["y"]:
        return padded(xs, [array for _, array in sorted(by_number["y"].items())], place)
    if "y" not in arrays:
        raise DataFormatError(f"{place}: there is no array 'y', and none named y0, y1, ...")
    return {**padded(xs, None, place), "y": arrays["y"]}


def padded(xs: Sequence[Array], ys: Sequence[Array] | None, place: str) -> dict[str, Array]:
    """x [N, T, ...] and `lengths` [N] of sequences, and y: [N] of single targets, [N, T, ...] of one a timestep.

    Raises DataFormatError.
    """
    for name, arrays in (("x", xs), ("y", ys or ())):
        if unlike := [array.dtype for array in arrays if array.dtype.kind not in "biuf"]:
            raise DataFormatError(f"{place}: {name} must be numbers, not {unlike[0]}")
    lengths = np.array([len(x) if x.ndim else 0 for x in xs])
    for number, x in enumerate(xs):
        if x.ndim not in (1, 2) or x.shape[1:] != xs[0].shape[1:] or not len(x):
            raise DataFormatError(
                f"{place}: each sequence must be [T, I] or [T] with the I of the first, {list(xs[0].shape)}; "
                f"number {number} is {list(x.shape)}"
            )
    result = {"x": _stacked(xs, lengths, place), "lengths": lengths}
    if ys is None:
        return result
    single = all(y.size == 1 for y in ys) and not all(len(y) == n for y, n in zip(ys, lengths, strict=True) if y.ndim)
    if single or all(y.ndim == 0 for y in ys):
        return {**result, "y": np.array([y.reshape(-1)[0] for y in ys])}
    for number, (y, n) in enumerate(zip(ys, lengths, strict=True)):
        if y.ndim not in (1, 2) or len(y) != n or y.shape[1:] != ys[0].shape[1:]:
            raise DataFormatError(
                f"{place}: y of sequence {number} must be one target, or one a timestep [{n}] or [{n}, O], "
                f"not {list(y.shape)}"
            )
    return {**result, "y": _stacked(ys, lengths, place)}


def _stacked(sequences: Sequence[Array], lengths: Array, place: str) -> Array:
    kind = np.result_type(*(sequence.dtype for sequence in sequences))
    shape = (len(sequences), int(lengths.max()), *sequences[0].shape[1:])
    check_memory(int(np.prod(shape, dtype=object)) * kind.itemsize, f"{place}: padded to the longest sequence")
    stacked = np.zeros(shape, kind)
    for row, sequence in zip(stacked, sequences, strict=True):
        row[: len(sequence)] = sequence
    return stacked
