"""Your own arrays, from an .npz file."""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike
from pydantic import Field

from rnnlab.errors import ConfigError, DataFormatError, Problem
from rnnlab.regular import open_regular
from rnnlab.tasks.archives import check_members
from rnnlab.tasks.base import Array, Chance, Ints, Kind, Source, Task
from rnnlab.tasks.files import Paths, cached, unreadable
from rnnlab.tasks.held import Held, HeldSource, shuffled
from rnnlab.tasks.unlike import numbered, padded
from rnnlab.wording import shortened


class Arrays(Task):
    """Learn y from x, two arrays of an .npz file.

    Protocol: `x` [N, T, I] or [N, T] holds N sequences. `y` holds integers (classes 0, 1, ...) or real values: [N] for
    one target a sequence, [N, T] for one a timestep, [N, T, O] for O values a timestep. An optional `lengths` [N] says
    how many timesteps of each sequence count; what lies beyond is never looked at. Numbers are used as they are.
    Sequences of unlike length may also be arrays of their own, `x0`, `x1`, ... [T, I] or [T], with `y` or `y0`, `y1`,
    ...; or files of their own, where `path` is a folder of .npz files with one `x` and one `y` each, in the order of
    their names.
    Training, validation and test are parted by a shuffle that `split_seed` fixes, whatever the run's seed.

    Mistake: any class but the right one, or |output - target| for values; the error is their mean.

    Chance: from the training part; for classes their entropy and the fraction that are not the commonest, for values
    their variance about the mean and their mean distance from it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "mine.npz")
    ...     np.savez(path, x=np.ones((40, 6, 2)), y=np.arange(40) % 3)
    ...     batch = next(Arrays(path=path).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape
    ((6, 4, 2), (4,))
    """

    source: ClassVar[str] = "the file given"

    name: Literal["arrays"] = "arrays"
    path: Path = Field(description=".npz file with x, y and perhaps lengths, or a folder with one a sequence")
    length: int | None = Field(default=None, ge=1, description="timesteps used, from the first on; null: all")
    validation: float = Field(default=0.1, gt=0, lt=0.5, description="fraction of the sequences kept for validation")
    test: float = Field(default=0.1, gt=0, lt=0.5, description="fraction of the sequences kept for the test")
    split_seed: int = Field(default=0, ge=0, description="seed of the split, apart from the run's seed")

    @property
    def kind(self) -> Kind:
        return "class" if self._held.y.dtype.kind == "i" else "value"

    @property
    def per_timestep(self) -> bool:
        return self._held.per_timestep

    @property
    def inputs(self) -> int:
        return int(self._held.x.shape[2])

    @property
    def outputs(self) -> int:
        y = self._held.y
        return int(y.max()) + 1 if self.kind == "class" else int(y.shape[-1])

    @property
    def timesteps(self) -> int:
        available = int(self._held.x.shape[1])
        return min(available, self.length or available)

    @property
    def shortest(self) -> int:
        lengths = self._held.lengths
        return self.timesteps if lengths is None else min(self.timesteps, int(lengths.min()))

    def check_loss(self) -> None:
        """Nothing: how long the sequences are is known only when `stream` reads the file, and checked there."""

    def files(self) -> list[Path]:
        return sequence_files(self.path)

    def stream(self, seed: int, dtype: DTypeLike) -> Source:
        held, length = self._held, self.timesteps
        if self.length and self.length > length:
            raise ConfigError([Problem("task.length", f"{self.length} is more than the {length} timesteps of x")])
        try:
            super().check_loss()
        except ValueError as error:
            raise ConfigError([Problem("task.loss", str(error))]) from error
        return HeldSource(held.parts, lambda rows: held.gather(rows, length, dtype), seed)

    def chance(self) -> Chance:
        y = self._train_targets()
        if self.kind == "class":
            shares = np.bincount(y) / len(y)
            positive = shares[shares > 0]
            return Chance(float(-(positive * np.log(positive)).sum()), float(1 - shares.max()))
        deviations = y - y.mean(0)
        return Chance(float((deviations**2).mean()), float(np.abs(deviations).mean()))

    def _train_targets(self) -> Array:
        """The training part's targets that count, one a row."""
        held = self._held
        rows = held.parts["train"]
        if not self.per_timestep:
            return held.y[rows]
        lengths = np.full(len(rows), self.timesteps) if held.lengths is None else held.lengths[rows]
        return held.y[rows, : self.timesteps][np.arange(self.timesteps) < lengths[:, None]]

    @cached_property
    def _held(self) -> Held:
        # Kept here besides, for `kind` is asked at every update, and the file may be gone by then.
        return _load(tuple(self.files()), self.path, self.validation, self.test, self.split_seed)


@cached
def _load(paths: Paths, path: Path, validation: float, test: float, seed: int) -> Held:
    arrays = numbered(_open(path), str(path)) if paths == (path,) else _of_folder(paths, path)
    for key in ("x", "y"):
        if key not in arrays:
            raise DataFormatError(f"{path}: there is no array {key!r}; it holds {', '.join(arrays) or 'nothing'}")
    x = _sequences(arrays["x"], path)
    y = _targets(arrays["y"], x, path)
    per_timestep = y.ndim > (1 if y.dtype.kind == "i" else 2)
    lengths = None
    if "lengths" in arrays:
        lengths = _lengths(arrays["lengths"], x, path)
        padding = np.arange(x.shape[1]) >= lengths[:, None]
        x[padding] = 0
        if per_timestep:
            y[padding] = 0
    parts = shuffled(len(x), validation, test, seed, str(path))
    return Held(_finite(x, "x", path), _finite(y, "y", path), parts, lengths, per_timestep)


def sequence_files(path: Path) -> list[Path]:
    """The .npz files of a folder in the order of their names, or the file itself."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            return sorted(path.glob("*.npz"))
    return [path]


def _of_folder(paths: Paths, folder: Path) -> dict[str, Array]:
    """The arrays of a folder with a file a sequence."""
    if not paths:
        raise DataFormatError(f"{folder}: there is no .npz file in this folder; each holds one sequence, as x and y")
    opened = [_open(path) for path in paths]
    for path, arrays in zip(paths, opened, strict=True):
        if missing := [key for key in ("x", "y") if key not in arrays]:
            raise DataFormatError(
                f"{path}: there is no array {missing[0]!r}; it holds {', '.join(arrays) or 'nothing'}"
            )
    return padded([arrays["x"] for arrays in opened], [arrays["y"] for arrays in opened], str(folder))


def _open(path: Path) -> dict[str, Array]:
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path))
        except OSError as error:
            raise unreadable(path, error) from error
        try:
            check_members(file, path)
            with np.load(file, allow_pickle=False) as held:
                return {key: held[key] for key in held.files}
        except DataFormatError:
            raise
        except Exception as error:  # NumPy, zipfile and zlib each have their own for a file that is not one
            raise DataFormatError(f"{path}: not an .npz file of plain arrays ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    if "allow_pickle" in str(error):
        # Unpickling runs code that the file names. NumPy makes such arrays of lists whose items are of unlike length.
        return (
            "it holds an array of Python objects, which is never opened; save sequences of unlike length as arrays of "
            'their own: np.savez("mine.npz", y=y, **{f"x{n}": x for n, x in enumerate(sequences)})'
        )
    return shortened(str(error), 200)


def _sequences(x: Array, path: Path) -> Array:
    """x as a new array [N, T, I] of reals."""
    if x.ndim not in (2, 3) or 0 in x.shape or x.dtype.kind not in "biuf":
        raise DataFormatError(f"{path}: x must be numbers [N, T, I] or [N, T], not {x.dtype} {list(x.shape)}")
    real = x.astype(x.dtype if x.dtype.kind == "f" else np.float64)
    return real if x.ndim == 3 else real[..., None]


def _targets(y: Array, x: Array, path: Path) -> Array:
    """y as a new array: int64 [N] or [N, T] for classes, reals [N, 1] or [N, T, O] for values."""
    integers, most_axes = y.dtype.kind in "biu", 2 if y.dtype.kind in "biu" else 3
    if (
        y.dtype.kind not in "biuf"
        or not 1 <= y.ndim <= most_axes
        or y.shape[:2] != x.shape[: min(y.ndim, 2)]
        or not y.size
    ):
        raise DataFormatError(
            f"{path}: y must be classes [N] or [N, T], or values [N], [N, T] or [N, T, O], with the N and T of x "
            f"{list(x.shape)}, not {y.dtype} {list(y.shape)}"
        )
    if integers and y.min() < 0:
        raise DataFormatError(f"{path}: y holds the class {y.min()}; classes are 0, 1, ...")
    if integers:
        return y.astype(np.int64)
    return y.copy() if y.ndim == 3 else y[..., None].copy()


def _lengths(lengths: Array, x: Array, path: Path) -> Ints:
    if lengths.dtype.kind not in "iu" or lengths.shape != x.shape[:1]:
        raise DataFormatError(f"{path}: lengths must be {len(x)} integers, not {lengths.dtype} {list(lengths.shape)}")
    if lengths.min() < 1 or lengths.max() > x.shape[1]:
        raise DataFormatError(
            f"{path}: lengths must be from 1 to the {x.shape[1]} timesteps of x, "
            f"not from {lengths.min()} to {lengths.max()}"
        )
    return lengths.astype(np.int64)


def _finite(values: Array, name: str, path: Path) -> Array:
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise DataFormatError(f"{path}: {name} holds {bad} numbers that are not finite")
    return values
