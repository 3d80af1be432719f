"""The contract every task keeps, over the table."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import islice
from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from samples import GENERATED, READ, Make, held_out, joined, rows_of, same, stacked, take, write_files

from rnnlab.errors import ConfigError
from rnnlab.parts import choice
from rnnlab.tasks import TASKS, Single, sha256

HELD_OUT: tuple[Literal["validation"], Literal["test"]] = ("validation", "test")
every_task = pytest.mark.parametrize("name", TASKS)


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    options = write_files(tmp_path_factory.mktemp("data"))
    return lambda name, **more: TASKS[name](**(options[name] | more))


@every_task
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batches_have_the_shapes_and_types_promised(name: str, dtype: str, make: Make) -> None:
    task = make(name)
    batches = [*take(task, batch=5, dtype=dtype), held_out(task, "validation", 5, dtype=dtype)]
    for batch in batches:
        rows = batch.x.shape[1]
        assert batch.x.shape == (task.timesteps, rows, task.inputs)
        assert batch.x.dtype == np.dtype(dtype)
        assert batch.x.flags.c_contiguous
        assert np.isfinite(batch.x).all()
        shape = (task.timesteps, rows) if task.per_timestep else (rows,)
        assert batch.y.shape == (shape if task.kind == "class" else (*shape, task.outputs))
        assert batch.y.dtype == (np.int64 if task.kind == "class" else np.dtype(dtype))
        if task.kind == "class":
            assert batch.y.min() >= 0
            assert batch.y.max() < task.outputs


@every_task
def test_float32_is_float64_rounded(name: str, make: Make) -> None:
    narrow, wide = take(make(name), 1, dtype="float32")[0], take(make(name), 1)[0]
    np.testing.assert_allclose(narrow.x, wide.x, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(narrow.y, wide.y, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("arrays", {}),
        ("speech", {}),
        ("speech", {"length": 15}),
        ("addition", {"jitter": 0.5}),
        ("temporal_order", {"jitter": 0.3}),
    ],
)
def test_padding_is_zero_beyond_each_length(name: str, more: dict[str, Any], make: Make) -> None:
    task = make(name, **more)
    for batch in take(task):
        assert batch.lengths is not None
        assert batch.lengths.dtype == np.int64
        assert task.shortest <= batch.lengths.min() <= batch.lengths.max() <= task.timesteps
        padding = np.arange(task.timesteps)[:, None] >= batch.lengths
        assert padding.any()
        assert not batch.x[padding].any()
        assert batch.x[~padding].any(-1).mean() > 0.9
        if task.per_timestep:
            assert not batch.y[padding].any()


@every_task
def test_a_seed_fixes_the_stream_and_another_changes_it(name: str, make: Make) -> None:
    first, again, other = (take(make(name), seed=seed) for seed in (3, 3, 4))
    assert all(map(same, first, again))
    assert not any(map(same, first, other))


@every_task
def test_streams_are_independent_of_each_other_and_of_global_state(name: str, make: Make) -> None:
    task = make(name)
    alone = take(task, 4, seed=1)
    one, two = (task.stream(seed, "float64").batches(8) for seed in (1, 2))
    np.random.seed(0)
    mixed = []
    for _ in range(4):
        next(two)
        mixed.append(next(one))
    assert all(map(same, alone, mixed))


@every_task
@pytest.mark.parametrize("before", [0, 1, 7])
def test_a_stream_goes_on_exactly_from_its_state(name: str, before: int, make: Make) -> None:
    task = make(name)
    source = task.stream(5, "float64")
    iterator = source.batches(9)
    list(islice(iterator, before))
    state = json.loads(json.dumps(source.state()))
    expected = list(islice(iterator, 12))
    fresh = task.stream(5, "float64")
    fresh.restore(state)
    assert all(map(same, expected, islice(fresh.batches(9), 12)))
    source.restore(state)
    assert all(map(same, expected, islice(iterator, 12)))


@every_task
def test_evaluation_is_the_same_at_every_call_and_leaves_training_alone(name: str, make: Make) -> None:
    task = make(name)
    source, untouched = task.stream(0, "float64"), take(task, 3)
    iterator, seen = source.batches(8), []
    for _ in range(3):
        assert same(held_out(task), joined(task, source.evaluation("test", 256)))
        seen.append(next(iterator))
    assert all(map(same, untouched, seen))


@every_task
@pytest.mark.parametrize(("limit", "chunk"), [(1, 256), (17, 5), (256, 100)])
def test_chunks_do_not_change_what_is_evaluated(name: str, limit: int, chunk: int, make: Make) -> None:
    task = make(name)
    source = task.stream(0, "float64")
    parts = list(source.evaluation("validation", limit, chunk))
    whole = joined(task, source.evaluation("validation", limit))
    assert all(part.x.shape[1] <= chunk for part in parts)
    assert same(joined(task, iter(parts)), whole)
    available = (
        limit if source.size is None else min(limit, joined(task, source.evaluation("validation", 10**9)).x.shape[1])
    )
    assert whole.x.shape[1] == available


@pytest.mark.parametrize("name", GENERATED)
def test_generated_evaluation_does_not_depend_on_how_much_is_asked_for(name: str, make: Make) -> None:
    source = make(name, length=12).stream(0, "float64")
    short, long = (joined(make(name), source.evaluation("test", limit)) for limit in (40, 300))
    np.testing.assert_array_equal(short.x, long.x[:, :40])
    assert long.x.shape[1] == 300


@every_task
def test_no_sequence_is_in_two_splits(name: str, make: Make) -> None:
    task = make(name)
    source = task.stream(0, "float64")
    limit = 10**6 if source.size else 500
    validation, test = (rows_of(joined(task, source.evaluation(split, limit))) for split in HELD_OUT)
    seen = set[bytes]().union(*(rows_of(batch) for batch in take(task, 40, batch=10)))
    if name == "noiseless_memorization":  # it has but 32 sequences, as its docstring says
        assert len(seen | test) <= 32
        return
    assert not seen & validation
    assert not seen & test
    assert not validation & test


@every_task
def test_right_answers_are_no_mistakes_and_nan_is_one(name: str, make: Make) -> None:
    task = make(name)
    y = stacked(held_out(task, limit=6), task)
    right = 9.0 * torch.nn.functional.one_hot(y, task.outputs).double() if task.kind == "class" else y.clone()
    mistakes = task.mistakes(right, y)
    assert mistakes.shape[1:] == y.shape[1:3]
    assert mistakes.dtype == right.dtype
    assert not mistakes.any()
    broken = task.mistakes(torch.full_like(right, torch.nan), y)
    assert ((broken == 1) | broken.isnan()).all()


@every_task
def test_the_mistake_of_one_replica_is_its_own(name: str, make: Make) -> None:
    task = make(name)
    y = stacked(held_out(task, limit=6), task).repeat_interleave(2, 1)
    outputs = torch.randn(*y.shape[:3], task.outputs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = task.mistakes(outputs, y)
    for replica in (0, 1):
        one = slice(replica, replica + 1)
        assert torch.equal(both[:, one], task.mistakes(outputs[:, one], y[:, one]))


@every_task
def test_what_is_said_about_a_task_is_there(name: str, make: Make) -> None:
    task = make(name)
    assert task.key() == name
    assert task.source
    assert all(word in (type(task).__doc__ or "") for word in ("Protocol:", "Mistake:", "Chance:"))
    assert all(field.description for key, field in type(task).model_fields.items() if key not in ("name",))
    chance = task.chance()
    assert chance.loss is not None
    assert chance.loss > 0
    assert chance.error is not None
    assert 0 < chance.error < 1
    assert hash(task) == hash(make(name))
    if task.scored is not None:
        assert all(0 <= t < task.timesteps for t in task.scored)


@every_task
def test_a_task_survives_its_own_yaml(name: str, make: Make) -> None:
    task = make(name, loss={"single": -2})
    assert task.loss == Single(single=-2)
    assert TypeAdapter(choice(TASKS)).validate_python(json.loads(task.model_dump_json())) == task


@every_task
def test_the_one_timestep_of_the_loss_is_in_every_sequence(name: str, make: Make) -> None:
    shortest = make(name).shortest
    for t in (0, shortest - 1, -shortest):
        make(name, loss={"single": t}).stream(0, "float32")
    for t in (shortest, -shortest - 1):
        with pytest.raises(
            (ValidationError, ConfigError), match=f"timestep {t} is not in every sequence; the shortest"
        ):
            make(name, loss={"single": t}).stream(0, "float32")


@every_task
def test_files_are_named_and_their_sums_are_those_of_the_system(name: str, make: Make) -> None:
    files = make(name).files()
    assert bool(files) == (name in READ)
    assert [sha256(path) for path in files] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]


def test_importing_the_tasks_imports_no_torch_and_no_pandas() -> None:
    code = "import sys, rnnlab.tasks; print([m for m in ('torch', 'pandas', 'mlxtend', 'aeon') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
