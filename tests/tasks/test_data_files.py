"""Data that are held: the epochs and splits of all of them, and what is made of series and of text."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import HELD_OUT, held_out, joined, rows_of, same, take

from rnnlab.errors import UsageError
from rnnlab.tasks.arrays import Arrays
from rnnlab.tasks.files import read_text
from rnnlab.tasks.held import fixed_order, shuffled, stratified
from rnnlab.tasks.mnist import Mnist
from rnnlab.tasks.series import Series
from rnnlab.tasks.speech import Speech
from rnnlab.tasks.text import Text


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


def test_line_ends_are_kept(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"a\r\nb\r")
    assert read_text(tmp_path / "it") == "a\r\nb\r"
