"""What the tests of the tasks share: small files for those that read any, and ways to draw and compare batches."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from rnnlab.tasks import TASKS, Batch, Task

Make = Callable[..., Task]
Array = NDArray[Any]

HELD_OUT: tuple[Literal["validation"], Literal["test"]] = ("validation", "test")
READ = ("series", "text", "arrays", "mnist", "speech")
GENERATED = [name for name in TASKS if name not in READ]


def write_files(folder: Path) -> dict[str, dict[str, Any]]:
    """The least each task needs to run on this machine, its files written into the folder."""
    rng = np.random.default_rng(7)
    (folder / "series.csv").write_text(
        "day,level\n" + "".join(f"{t},{v}\n" for t, v in enumerate(rng.normal(size=300)))
    )
    (folder / "text.txt").write_text("".join(rng.choice(list("abcdé \n"), 900)), encoding="utf-8")
    lengths = rng.integers(4, 9, 60)
    np.savez(folder / "arrays.npz", x=rng.normal(size=(60, 8, 3)), y=rng.integers(0, 4, (60, 8)), lengths=lengths)
    write_idx(folder / "idx", rng)
    write_vowels(folder / "vowels", rng)
    return {name: {} for name in GENERATED} | {
        "series": {"path": folder / "series.csv", "column": "level", "length": 12},
        "text": {"path": folder / "text.txt", "length": 10},
        "arrays": {"path": folder / "arrays.npz"},
        "mnist": {"path": folder / "idx"},
        "speech": {"path": folder / "vowels"},
    }


def write_idx(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir()
    for part, count in (("train", 240), ("t10k", 40)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10
        head = b"\x00\x00\x08\x03" + np.array(images.shape, ">u4").tobytes()
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        head = b"\x00\x00\x08\x01" + np.array(labels.shape, ">u4").tobytes()
        (folder / f"{part}-labels.idx1-ubyte").write_bytes(head + labels.tobytes())


def write_vowels(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir()
    for part, each in (("TRAIN", 12), ("TEST", 5)):
        lines = ["#made up", "@problemName vowels", "@data"]
        for speaker in list(range(1, 10)) * each:
            rows = rng.normal(3, 2, (12, rng.integers(7, 30))).round(6)
            lines.append(":".join([*(",".join(map(str, row)) for row in rows), str(speaker)]))
        (folder / f"JapaneseVowels_{part}.ts").write_text("\n".join(lines) + "\n")


def take(task: Task, count: int = 3, batch: int = 8, seed: int = 0, dtype: str = "float64") -> list[Batch]:
    return list(islice(task.stream(seed, dtype).batches(batch), count))


def held_out(
    task: Task, split: Literal["validation", "test"] = "test", limit: int = 256, seed: int = 0, dtype: str = "float64"
) -> Batch:
    (batch,) = task.stream(seed, dtype).evaluation(split, limit)
    return batch


def same(one: Batch, other: Batch) -> bool:
    lengths = (one.lengths is None) == (other.lengths is None) and np.array_equal(
        np.zeros(0) if one.lengths is None else one.lengths, np.zeros(0) if other.lengths is None else other.lengths
    )
    return np.array_equal(one.x, other.x) and np.array_equal(one.y, other.y) and lengths


def joined(task: Task, batches: Iterator[Batch]) -> Batch:
    batches_read = list(batches)
    lengths = (
        None
        if batches_read[0].lengths is None
        else np.concatenate([part.lengths for part in batches_read if part.lengths is not None])
    )
    y = np.concatenate([part.y for part in batches_read], axis=1 if task.per_timestep else 0)
    return Batch(np.concatenate([part.x for part in batches_read], axis=1), y, lengths)


def every_split(task: Task) -> list[Array]:
    """x of training (one epoch), validation and test."""
    source = task.stream(0, "float64")
    assert source.size is not None
    return [next(source.batches(source.size)).x, *(joined(task, source.evaluation(s, 10**6)).x for s in HELD_OUT)]


def rows_of(batch: Batch) -> set[bytes]:
    return {np.ascontiguousarray(batch.x[:, row]).tobytes() for row in range(batch.x.shape[1])}


def stacked(batch: Batch, task: Task) -> torch.Tensor:
    """y as the training loop hands it to `mistakes`: [S, R, B, ...], with one replica."""
    y = torch.from_numpy(batch.y)
    return (y if task.per_timestep else y[None])[:, None]
