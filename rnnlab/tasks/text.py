"""Next-character prediction on a text file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field

from rnnlab.tasks.base import LOSS_HELP, Batch, Chance, Ints, Kind, Loss, Source, Task
from rnnlab.tasks.files import Paths, cached, read_text
from rnnlab.tasks.generated import one_hot
from rnnlab.tasks.held import HeldSource, Parts, contiguous, windows

UNKNOWN = 0


class Text(Task):
    """Predict the next character of a text file.

    Protocol: the text is cut in order into training, validation and test parts. The vocabulary is the training part's
    characters, in code point order after symbol 0, which stands for every character not among them. A sequence is a
    window of `length` characters inside one part, as unit vectors; the target at timestep t is the character at t + 1.

    Mistake: any character but the right one; the error is their fraction. A cross-entropy in nats, divided by ln 2, is
    bits a character.

    Chance: the entropy of the training part's characters, and the fraction of those that are not the commonest.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "book.txt")
    ...     _ = path.write_text("abc" * 200)
    ...     batch = next(Text(path=path, length=5).stream(seed=0, dtype="float32").batches(4))
    >>> batch.x.shape, batch.y.shape  # 4 symbols: a, b, c and the unknown
    ((5, 4, 4), (5, 4))
    """

    source: ClassVar[str] = (
        "the file given; "
        "the task: Sutskever, Martens and Hinton, Generating text with recurrent neural networks, 2011, "
        "https://www.cs.utoronto.ca/~ilya/pubs/2011/LANG-RNN.pdf"
    )
    kind: ClassVar[Kind] = "class"
    per_timestep: ClassVar[bool] = True

    name: Literal["text"] = "text"
    loss: Loss = Field(default="all", description=LOSS_HELP)
    path: Path = Field(description="text file, UTF-8")
    length: int = Field(default=100, ge=1, description="length of a window, in timesteps (characters)")
    stride: int | None = Field(
        default=None, ge=1, description="timesteps from the beginning of one window to that of the next; null: `length`"
    )
    validation: float = Field(default=0.1, gt=0, lt=0.5, description="fraction of the text kept for validation")
    test: float = Field(default=0.1, gt=0, lt=0.5, description="fraction of the text, its end, kept for the test")

    @property
    def inputs(self) -> int:
        return len(self._held().frequencies)

    @property
    def outputs(self) -> int:
        return self.inputs

    @property
    def timesteps(self) -> int:
        return self.length

    def files(self) -> list[Path]:
        return [self.path]

    def stream(self, seed: int, dtype: DTypeLike) -> Source:
        held = self._held()
        symbols = len(held.frequencies)

        def gather(starts: Ints) -> Batch:
            codes = held.codes[starts + np.arange(self.length + 1)[:, None]]
            return Batch(one_hot(codes[:-1], symbols, dtype), codes[1:].astype(np.int64))

        return HeldSource(held.parts, gather, seed)

    def chance(self) -> Chance:
        shares = self._held().frequencies[UNKNOWN + 1 :]
        return Chance(float(-(shares * np.log(shares)).sum()), float(1 - shares.max()))

    def _held(self) -> _Codes:
        return _load((self.path,), self.validation, self.test, self.length, self.stride or self.length)


@dataclass(frozen=True, eq=False)
class _Codes:
    """A symbol a character [n], the first timesteps of the windows, and each symbol's share of the training part."""

    codes: NDArray[np.int32]
    parts: Parts
    frequencies: NDArray[np.float64]


@cached
def _load(paths: Paths, validation: float, test: float, length: int, stride: int) -> _Codes:
    (path,) = paths
    points = np.frombuffer(read_text(path).encode("utf-32-le"), np.uint32)
    parts = windows(len(points), validation, test, length, stride, f"{path}: {len(points)} characters")
    train = points[: contiguous(len(points), validation, test)[0]]
    vocabulary, counts = np.unique(train, return_counts=True)
    place = np.searchsorted(vocabulary, points).clip(max=len(vocabulary) - 1)
    codes = np.where(vocabulary[place] == points, place + 1, UNKNOWN).astype(np.int32)
    return _Codes(codes, parts, np.concatenate([[0.0], counts / len(train)]))
