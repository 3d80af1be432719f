"""Data files that lie about their sizes, or unpack without end."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from chaos.calls import called

Rng = np.random.Generator

SIZES = (0, 1, 2, 39, 40, 41, 255, 256, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 62, 1 << 63, -1)


def attack(folder: Path, rng: Rng) -> str:
    """Train for an update on a data file that lies, or on one that was an honest one before bytes were changed."""
    make = (_npz, _idx, _gzip)[int(rng.integers(3))]
    task = make(folder, rng)
    # The general scan: nothing has to be compiled first.
    train = {"updates": 1, "batch": 4, "evaluate_size": 8, "scan": "general"}
    config = {"task": task, "train": train, "model": {"hidden": 3}}
    (folder / "c.yaml").write_text(json.dumps(config))
    called("train", "-c", "c.yaml", "-q")
    return "data files that lie about their sizes"


def _npz(folder: Path, rng: Rng) -> dict[str, Any]:
    x, y = np.ones((40, 5, 2)), np.arange(40) % 3
    members = {"x.npy": _npy(x, rng), "y.npy": _npy(y, rng)}
    if rng.random() < 0.2:
        members["x.npy"] = _npy(np.zeros(1 << 20), rng)
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    path.write_bytes(_changed(path.read_bytes(), rng))
    return {"name": "arrays", "path": "a.npz"}


def _npy(array: np.ndarray[Any, Any], rng: Rng) -> bytes:
    """An array as an .npy file whose header states another shape or type in half of the cases."""
    shape: tuple[int, ...] = array.shape
    descr = array.dtype.str
    if rng.random() < 0.4:
        shape = tuple(SIZES[int(at)] for at in rng.integers(0, len(SIZES), int(rng.integers(0, 5))))
    if rng.random() < 0.2:
        descr = str(rng.choice(["|O", "<U99999999", "|V0", "<c16", "<M8[s]", "|S1", ">f2"]))
    header = str({"descr": descr, "fortran_order": bool(rng.random() < 0.3), "shape": shape})
    memory = io.BytesIO()
    memory.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    return memory.getvalue() + array.tobytes()


def _idx(folder: Path, rng: Rng) -> dict[str, Any]:
    for part, count in (("train", 40), ("t10k", 12)):
        for kind, axes in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            stated = [int(size) for size in axes]
            if rng.random() < 0.3:
                stated[int(rng.integers(len(stated)))] = SIZES[int(rng.integers(len(SIZES)))] % (1 << 32)
            number = int(rng.integers(256)) if rng.random() < 0.1 else len(stated)
            head = bytes([0, 0, 8, number]) + b"".join(size.to_bytes(4, "big") for size in stated)
            body = rng.integers(0, 10, int(np.prod(axes)), np.uint8).tobytes()
            (folder / f"{part}-{kind}-ubyte").write_bytes(_changed(head + body, rng))
    return {"name": "mnist", "path": "."}


def _gzip(folder: Path, rng: Rng) -> dict[str, Any]:
    size = int(rng.choice([100, 5000, 6 << 20, 64 << 20]))
    content = gzip.compress(bytes(97 for _ in range(size)) if size < 10_000 else b"a" * size, 1)
    (folder / "a.txt.gz").write_bytes(_changed(content, rng))
    return {"name": "text", "path": "a.txt.gz", "length": 10}


def _changed(data: bytes, rng: Rng) -> bytes:
    """The bytes, in half of the cases with some changed, or cut."""
    chance, changed = rng.random(), bytearray(data)
    if chance < 0.25:
        for at in rng.integers(0, len(data), int(rng.integers(1, 6))):
            changed[at] = int(rng.integers(256))
    elif chance < 0.4:
        del changed[int(rng.integers(len(data))) :]
    elif chance < 0.5:
        changed += data[: int(rng.integers(len(data)))]
    return bytes(changed)
