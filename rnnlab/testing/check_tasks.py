"""Laws of a task."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Literal

import numpy as np
import torch

from rnnlab.tasks import Batch, Task
from rnnlab.testing.check_parts import check_part
from rnnlab.testing.laws import law, made, random_state_untouched

HELD_OUT: tuple[Literal["validation", "test"], ...] = ("validation", "test")


def check_task(task: Task | type[Task]) -> None:
    """Raise AssertionError unless a task keeps the laws of tasks.

    Those of every part; batches have the shapes and dtypes that it promises, finite inputs, zeros beyond each length;
    float32 is float64 rounded; a seed fixes the stream and another changes it; streams do not meet and move no global
    random state; a stream goes on exactly from its state, which is JSON; an evaluation is the same at every call, in
    chunks too, and leaves the training alone; right answers are no mistakes, NaN is one, and a replica's are its own;
    the loss of chance is a number above 0, or None.
    """
    check_part(task)
    built = made(task)
    for dtype in ("float32", "float64"):
        for batch in [*_take(built, 3, dtype=dtype), _held_out(built, "validation", dtype)]:
            _check_batch(built, batch, np.dtype(dtype))
    narrow, wide = _take(built, 1, dtype="float32")[0], _take(built, 1)[0]
    law(np.allclose(narrow.x, wide.x, rtol=1e-6, atol=1e-7), "a batch in float32 is that in float64, rounded")
    _check_streams(built)
    _check_state(built)
    _check_evaluation(built)
    _check_mistakes(built)
    chance = built.chance()
    law(chance.loss is None or 0 < chance.loss < math.inf, "the loss of chance is above 0, or None", chance.loss)


def _take(task: Task, count: int, seed: int = 0, dtype: str = "float64") -> list[Batch]:
    return list(islice(task.stream(seed, dtype).batches(5), count))


def _held_out(task: Task, split: Literal["validation", "test"], dtype: str = "float64", limit: int = 20) -> Batch:
    return _joined(task, task.stream(0, dtype).evaluation(split, limit))


def _joined(task: Task, batches: Iterator[Batch]) -> Batch:
    parts = list(batches)
    lengths = [part.lengths for part in parts if part.lengths is not None]
    y = np.concatenate([part.y for part in parts], axis=1 if task.per_timestep else 0)
    return Batch(np.concatenate([part.x for part in parts], axis=1), y, np.concatenate(lengths) if lengths else None)


def _same(first: Batch, second: Batch) -> bool:
    lengths = [batch.lengths if batch.lengths is not None else np.zeros(0) for batch in (first, second)]
    return all(map(np.array_equal, (first.x, first.y, lengths[0]), (second.x, second.y, lengths[1])))


def _check_batch(task: Task, batch: Batch, dtype: np.dtype[np.floating]) -> None:
    rows = batch.x.shape[1]
    wanted = (task.timesteps, rows, task.inputs)
    law(batch.x.shape == wanted, f"x is [timesteps, B, inputs], here {wanted}", batch.x.shape)
    law(batch.x.dtype == dtype, f"x has the dtype that was asked for, {dtype}", batch.x.dtype)
    law(np.isfinite(batch.x).all(), "x is finite")
    shape = (task.timesteps, rows) if task.per_timestep else (rows,)
    shape = shape if task.kind == "class" else (*shape, task.outputs)
    law(batch.y.shape == shape, f"y has the shape {shape}", batch.y.shape)
    kind = np.dtype(np.int64) if task.kind == "class" else dtype
    law(batch.y.dtype == kind, f"y is {kind}", batch.y.dtype)
    if task.kind == "class":
        law(batch.y.min() >= 0 and batch.y.max() < task.outputs, "classes are 0 to outputs - 1", np.unique(batch.y))
    if batch.lengths is not None:
        law(batch.lengths.dtype == np.int64, "lengths are int64", batch.lengths.dtype)
        within = task.shortest <= batch.lengths.min() and batch.lengths.max() <= task.timesteps
        law(within, "lengths are `shortest` to `timesteps`", batch.lengths)
        law(not batch.x[np.arange(task.timesteps)[:, None] >= batch.lengths].any(), "x is 0 beyond each length")


def _check_streams(task: Task) -> None:
    with random_state_untouched("a stream"):
        first, again, other = (_take(task, 3, seed) for seed in (3, 3, 4))
    law(all(map(_same, first, again)), "a seed fixes the stream")
    law(not all(map(_same, first, other)), "another seed gives another stream")
    stream, beside = (task.stream(seed, "float64").batches(5) for seed in (3, 4))
    mixed = [(next(beside), next(stream))[1] for _ in range(3)]
    law(all(map(_same, first, mixed)), "streams are independent of each other")


def _check_state(task: Task) -> None:
    source = task.stream(5, "float64")
    batches = source.batches(5)
    list(islice(batches, 2))
    state = json.loads(json.dumps(source.state()))
    expected = list(islice(batches, 3))
    fresh = task.stream(5, "float64")
    fresh.restore(state)
    law(
        all(map(_same, expected, islice(fresh.batches(5), 3))),
        "a stream goes on exactly from its state, as JSON has it",
    )


def _check_evaluation(task: Task) -> None:
    source, untouched = task.stream(0, "float64"), _take(task, 2)
    batches, seen = source.batches(5), list[Batch]()
    for _ in range(2):
        same = _same(_held_out(task, "test"), _joined(task, source.evaluation("test", 20)))
        law(same, "an evaluation is the same at every call")
        seen.append(next(batches))
    law(all(map(_same, untouched, seen)), "an evaluation leaves the training data alone")
    for split in HELD_OUT:
        chunked = _joined(task, source.evaluation(split, 20, 7))
        law(_same(chunked, _held_out(task, split)), "chunks do not change what is evaluated")
    law(not _same(*(_held_out(task, split) for split in HELD_OUT)), "validation and test are different data")


def _check_mistakes(task: Task) -> None:
    y = torch.from_numpy(_held_out(task, "test", limit=6).y)
    y = (y if task.per_timestep else y[None])[:, None].repeat_interleave(2, 1)
    right = 9.0 * torch.nn.functional.one_hot(y, task.outputs).double() if task.kind == "class" else y.clone()
    mistakes = task.mistakes(right, y)
    law(mistakes.shape[1:] == y.shape[1:3], "mistakes are [S, R, B]", tuple(mistakes.shape))
    law(not mistakes.any(), "a right answer is no mistake")
    broken = task.mistakes(torch.full_like(right, torch.nan), y)
    law(((broken == 1) | broken.isnan()).all(), "an answer that is NaN is a mistake")
    outputs = torch.randn(*y.shape[:3], task.outputs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = task.mistakes(outputs, y)
    for r in (slice(0, 1), slice(1, 2)):
        law(torch.equal(both[:, r], task.mistakes(outputs[:, r], y[:, r])), "the mistakes of a replica are its own")
