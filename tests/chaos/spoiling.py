"""Ways to damage a file: its content, or what it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.runs.run_json import write_run_json

Rng = np.random.Generator
Spoil = Callable[[bytes, Rng], bytes]
Replace = Callable[[Path, bytes, Rng], None]

VALUES: Sequence[Any] = (
    True, False, 0, -5, 1e308, "", "x", "inf", "nan", [], {}, [[]], [1, "a"], {"a": 1}, {"word": 3}, {"fit": []},
    2**63, "\x1b[31m", None, [None], {"loss": []},
)  # fmt: skip


def cut(data: bytes, rng: Rng) -> bytes:
    return data[: rng.integers(0, len(data))]


def cut_at_a_line(data: bytes, rng: Rng) -> bytes:
    ends = [at for at, byte in enumerate(data[:-1]) if byte == 10]
    return data[: ends[rng.integers(len(ends))] + 1] if ends else b""


def emptied(data: bytes, rng: Rng) -> bytes:
    return b""


def bits_flipped(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for at in rng.integers(0, len(data), rng.integers(1, 4)):
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def lines_exchanged(data: bytes, rng: Rng) -> bytes:
    lines = data.splitlines(keepends=True)
    a, b = rng.integers(0, len(lines), 2)
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def lines_doubled(data: bytes, rng: Rng) -> bytes:
    lines = data.splitlines(keepends=True)
    first = int(rng.integers(len(lines)))
    last = first + int(rng.integers(1, 20))
    return b"".join([*lines[:last], *lines[first:]])


def lines_removed(data: bytes, rng: Rng) -> bytes:
    lines = data.splitlines(keepends=True)
    first = int(rng.integers(len(lines)))
    del lines[first : first + int(rng.integers(1, 20))]
    return b"".join(lines)


def digits_exchanged(data: bytes, rng: Rng) -> bytes:
    places = [at for at, byte in enumerate(data) if 48 <= byte < 58]
    changed = bytearray(data)
    for at in rng.choice(places, min(len(places), int(rng.integers(1, 4))), replace=False) if places else ():
        changed[at] = 48 + (changed[at] - 48 + int(rng.integers(1, 10))) % 10
    return bytes(changed)


def zeroed(data: bytes, rng: Rng) -> bytes:
    """A block of zeros, as after a power loss."""
    first = int(rng.integers(len(data)))
    last = min(len(data), first + int(rng.integers(1, 4096)))
    return data[:first] + bytes(last - first) + data[last:]


def grown(data: bytes, rng: Rng) -> bytes:
    return data + bytes(rng.integers(0, 256, int(rng.integers(1, 200)), np.uint8))


def of_another_type(data: bytes, rng: Rng) -> bytes:
    kinds = (b"\x89PNG\r\n\x1a\n" * 9, b"PK\x03\x04" * 9, b"SQLite format 3\0" * 9, b"[1, 2]", b"a: &a [*a]",
             b"\x80\x02.", b"PAR1" * 9, b"\xff\xfe" * 9, b"\0" * 999, b" \n" * 999, b"1,2,3\n" * 9)  # fmt: skip
    return kinds[rng.integers(len(kinds))]


def nested(data: bytes, rng: Rng) -> bytes:
    depth = int(rng.choice([60, 1000, 50_000]))
    return b'{"a": ' + b"[" * depth + b"]" * depth + b"}"


CONTENTS: Sequence[Spoil] = (
    cut, cut_at_a_line, emptied, bits_flipped, bits_flipped, lines_exchanged, lines_doubled, lines_removed,
    digits_exchanged, digits_exchanged, zeroed, grown, of_another_type, nested,
)  # fmt: skip


def removed(path: Path, data: bytes, rng: Rng) -> None:
    pass


def a_folder(path: Path, data: bytes, rng: Rng) -> None:
    path.mkdir()


def a_pipe(path: Path, data: bytes, rng: Rng) -> None:
    os.mkfifo(path)


def a_link_to_itself(path: Path, data: bytes, rng: Rng) -> None:
    path.symlink_to(path)


def links_in_a_circle(path: Path, data: bytes, rng: Rng) -> None:
    other = path.with_name(f"{path.name}.other")
    path.symlink_to(other.name)
    other.symlink_to(path.name)


def a_link_to_its_folder(path: Path, data: bytes, rng: Rng) -> None:
    path.symlink_to(".")


def a_link_out(path: Path, data: bytes, rng: Rng) -> None:
    path.symlink_to(str(rng.choice(["/dev/zero", "/dev/full", "/proc/self/mem", "/etc/passwd", "/", "/nowhere"])))


def blanks(path: Path, data: bytes, rng: Rng) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


REPLACEMENTS: Sequence[Replace] = (
    removed, a_folder, a_pipe, a_link_to_itself, links_in_a_circle, a_link_to_its_folder, a_link_out,
)  # fmt: skip


def with_another_value(path: Path, data: bytes, rng: Rng) -> None:
    """A run.json with a value of another type, and the right checksum: no accident makes it."""
    info = json.loads(data)
    info.pop("checksum", None)
    keys = [key for key in info if key not in ("name",)]
    info[keys[int(rng.integers(len(keys)))]] = VALUES[int(rng.integers(len(VALUES)))]
    write_run_json(path, info)
