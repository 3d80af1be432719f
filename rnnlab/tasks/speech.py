"""Spoken vowels: who is speaking?"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field

from rnnlab.errors import DataFormatError
from rnnlab.tasks.base import Chance, Ints, Kind, Source, Split, Task
from rnnlab.tasks.files import INSTALL, Paths, cached, in_wheel, read_text
from rnnlab.tasks.held import Held, HeldSource, fixed_order, stratified

COEFFICIENTS, SPEAKERS = 12, 9
SHORTEST, LONGEST = 7, 29
SPLIT_SEED = 1999
NAMES = ("JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts")


class Speech(Task):
    """Name the speaker of two Japanese vowels, from real recordings.

    Protocol: 640 utterances of /ae/ by nine men, each 7 to 29 timesteps of 12 linear prediction cepstrum coefficients,
    standardized with the training part's mean and standard deviation, a coefficient each; shorter ones are padded with
    zeros and have their `lengths`. The class, 0 to 8, is asked for after each utterance's own last timestep. The files'
    own test part (370) is the test; of the 30 training utterances of each speaker 5 are for validation (45 in all) and
    25 for training (225), by a fixed shuffle. The data come with the aeon package, or from a folder at `path`.

    Mistake: any speaker but the right one; the error is their fraction.

    Chance: a cross-entropy of ln 9 and an error of 8/9 (the test part's speakers are not of one size).

    >>> task = Speech()
    >>> task.shortest, task.timesteps, task.inputs, task.outputs
    (7, 29, 12, 9)
    """

    source: ClassVar[str] = (
        "Kudo, Toyama and Shimbo, Multidimensional curve classification using passing-through regions, 1999, "
        "doi:10.1016/S0167-8655(99)00077-X"
    )
    kind: ClassVar[Kind] = "class"
    per_timestep: ClassVar[bool] = False
    inputs: ClassVar[int] = COEFFICIENTS
    outputs: ClassVar[int] = SPEAKERS

    name: Literal["speech"] = "speech"
    length: int | None = Field(
        default=None, ge=1, le=LONGEST, description="timesteps used at most, from the first on; null: all, up to 29"
    )
    path: Path | None = Field(default=None, description=f"folder of {' and '.join(NAMES)}; null: those of aeon")

    @property
    def timesteps(self) -> int:
        return self.length or LONGEST

    @property
    def shortest(self) -> int:
        return min(SHORTEST, self.timesteps)

    def files(self) -> list[Path]:
        return list(self._files())

    def stream(self, seed: int, dtype: DTypeLike) -> Source:
        held, length = _load(self._files()), self.timesteps
        return HeldSource(held.parts, lambda rows: held.gather(rows, length, dtype), seed)

    def chance(self) -> Chance:
        return Chance(float(np.log(SPEAKERS)), 1 - 1 / SPEAKERS)

    def _files(self) -> Paths:
        if self.path is not None:
            return tuple(self.path / name for name in NAMES)
        return tuple(in_wheel("aeon", f"datasets/data/JapaneseVowels/{name}") for name in NAMES)


@cached
def _load(paths: Paths) -> Held:
    (train, labels), (test, test_labels) = map(_read, paths)
    parts: dict[Split, Ints] = dict(stratified(labels, {"validation": 1 / 6}, SPLIT_SEED))
    parts["test"] = len(train) + fixed_order(len(test), SPLIT_SEED)
    training = np.concatenate([train[row] for row in parts["train"]])
    utterances = [(sequence - training.mean(0)) / training.std(0) for sequence in train + test]
    x = np.zeros((len(utterances), LONGEST, COEFFICIENTS))
    for row, sequence in enumerate(utterances):
        x[row, : len(sequence)] = sequence
    return Held(x, np.concatenate([labels, test_labels]), parts, np.array([len(sequence) for sequence in utterances]))


def _read(path: Path) -> tuple[list[NDArray[np.float64]], Ints]:
    """The utterances [T, 12] and their speakers of a .ts file: a line each, `:` between coefficients and the label."""
    lines = enumerate(read_text(path, INSTALL).splitlines(), 1)
    for _, line in lines:
        if line.strip().lower() == "@data":
            break
    both = [_utterance(line, f"{path}:{number}") for number, line in lines if line.strip()]
    if not both:
        raise DataFormatError(f"{path}: there is no line @data with utterances after it")
    return [sequence for sequence, _ in both], np.array([label for _, label in both])


def _utterance(line: str, place: str) -> tuple[NDArray[np.float64], int]:
    *rows, label = line.strip().split(":")
    try:
        sequence, speaker = np.array([row.split(",") for row in rows], np.float64).T, int(label)
    except ValueError as error:
        raise DataFormatError(f"{place}: {COEFFICIENTS} rows of equally many numbers and a speaker wanted") from error
    if sequence.ndim != 2 or sequence.shape[1] != COEFFICIENTS or not 1 <= speaker <= SPEAKERS:
        raise DataFormatError(f"{place}: {COEFFICIENTS} coefficients and a speaker 1 to {SPEAKERS} wanted")
    if not SHORTEST <= len(sequence) <= LONGEST or not np.isfinite(sequence).all():
        raise DataFormatError(f"{place}: {SHORTEST} to {LONGEST} timesteps of finite numbers wanted")
    return sequence, speaker - 1
