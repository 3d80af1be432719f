"""Arrays from a file: they come back as they were, cut to the length asked for, without their padding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import Array, take

from rnnlab.errors import ConfigError, DataMissingError
from rnnlab.tasks.arrays import Arrays


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
