"""Sequences of unlike length, as arrays or files of their own, are those of a padded array with `lengths`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnlab.errors import DataFormatError
from rnnlab.tasks.arrays import Arrays

LENGTHS = [3, 5, 4, 6, 2, 5, 3, 4, 6, 2] * 3


@pytest.mark.parametrize("per_timestep", [False, True])
@pytest.mark.parametrize("axes", [1, 2])
def test_all_three_ways_are_the_same_task(per_timestep: bool, axes: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    xs = [rng.normal(size=(n, 2)[:axes]) for n in LENGTHS]
    ys = [rng.integers(0, 3, n) if per_timestep else np.array(n % 3) for n in LENGTHS]
    x, y = np.zeros((len(xs), 6, *xs[0].shape[1:])), np.zeros((len(xs), 6), int)
    for row, (one, target) in enumerate(zip(xs, ys, strict=True)):
        x[row, : len(one)], y[row, : len(one)] = one, target
    np.savez(tmp_path / "padded.npz", x=x, y=y if per_timestep else np.array(ys), lengths=LENGTHS)
    targets = {f"y{n}": y for n, y in enumerate(ys)} if per_timestep else {"y": np.array(ys)}
    np.savez(tmp_path / "numbered.npz", **targets, **{f"x{n}": x for n, x in enumerate(xs)})  # type: ignore[arg-type]
    (tmp_path / "folder").mkdir()
    for n, (one, target) in enumerate(zip(xs, ys, strict=True)):
        np.savez(tmp_path / "folder" / f"{n:03}.npz", x=one, y=target)
    first, *others = (Arrays(path=tmp_path / name) for name in ("padded.npz", "numbered.npz", "folder"))
    expected = next(first.stream(0, "float64").batches(8))
    for task in others:
        batch = next(task.stream(0, "float64").batches(8))
        assert np.array_equal(batch.x, expected.x)
        assert np.array_equal(batch.y, expected.y)
        assert np.array_equal(np.asarray(batch.lengths), np.asarray(expected.lengths))
        assert (task.timesteps, task.shortest, task.inputs, task.outputs) == (6, 2, axes, 3)
    assert len(others[1].files()) == 30


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x0": np.ones((3, 2)), "x1": np.ones((3, 4)), "y": np.zeros(2)}, r"number 1 is \[3, 4\]"),
        ({"x0": np.ones(3), "x1": np.ones(4)}, r"there is no array 'y', and none named y0, y1"),
        ({"x0": np.ones(3), "x1": np.ones(4), "y0": np.ones(3)}, r"there are 2 arrays x and 1 y"),
        (
            {"x0": np.ones(3), "x1": np.ones(4), "y0": np.ones(3), "y1": np.ones(3)},
            r"y of sequence 1 must be one target",
        ),
        ({"x0": np.ones(3), "x1": np.ones(4), "y": np.zeros(2), "lengths": np.array([3, 4])}, r"leave it out"),
        ({"x1": np.ones(3), "x01": np.ones(4), "y": np.zeros(2)}, r"two arrays are x1, one of them named 'x01'"),
        ({"x0": np.ones(3), "x1": np.array(["a"]), "y": np.zeros(2)}, r"x must be numbers, not <U1"),
    ],
)
def test_what_does_not_fit_is_named(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:  # type: ignore[type-arg]
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataFormatError, match=message):
        Arrays(path=tmp_path / "a.npz").stream(0, "float32")


def test_a_folder_without_sequences_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"there is no \.npz file in this folder; each holds one sequence"):
        Arrays(path=tmp_path).stream(0, "float32")
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    with pytest.raises(DataFormatError, match=r"a\.npz: there is no array 'y'; it holds x"):
        Arrays(path=tmp_path).stream(0, "float32")


def test_an_array_of_objects_is_never_opened_and_the_message_says_what_to_save_instead(tmp_path: Path) -> None:
    ragged = np.empty(2, object)
    ragged[:] = [np.ones(3), np.ones(4)]
    np.savez(tmp_path / "a.npz", x=ragged, y=np.zeros(2, int))
    with pytest.raises(
        DataFormatError, match=r"an array of Python objects, which is never opened; save .* of their own"
    ):
        Arrays(path=tmp_path / "a.npz").stream(0, "float32")
