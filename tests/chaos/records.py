"""What runs hold that has to be the same whenever they are trained: everything but times and places."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILES = ("gradients.csv", "metrics.csv", "config.yaml", "checkpoint.pt")


@dataclass(frozen=True)
class Record:
    """The status of a run, and the contents that are the same bytes each time, by name.

    >>> Record("completed", {"gradients.csv": b"1"}).differs(Record("completed", {"gradients.csv": b"2"}))
    ['gradients.csv']
    """

    status: str
    contents: dict[str, bytes]
    faults: list[str] = field(default_factory=list, compare=False)
    """What run.json says of its files that is not so."""

    def differs(self, other: Record) -> list[str]:
        """The names of what is not the same, `status` among them."""
        names = [name for name in self.contents | other.contents if self.contents.get(name) != other.contents.get(name)]
        return [*names, *(["status"] if self.status != other.status else []), *self.faults]


def records(root: Path) -> dict[str, Record]:
    """All runs of a folder by name."""
    return {path.parent.name: _record(path.parent) for path in sorted(root.glob("[!.]*/run.json"))}


def _record(folder: Path) -> Record:
    try:
        info = json.loads((folder / "run.json").read_bytes())
    except ValueError:
        return Record("unreadable", {})
    if info["status"] not in ("completed", "diverged"):
        return Record(info["status"], {})
    # Of a watched loop there is no checkpoint.
    files = FILES[:3] if "watch" in info else FILES
    if missing := [name for name in files if not (folder / name).is_file()]:
        return Record(info["status"], {}, [f"complete without {name}" for name in missing])
    contents = {
        "gradients.csv": (folder / "gradients.csv").read_bytes(),
        "metrics.csv": without_seconds((folder / "metrics.csv").read_text()),
        "weights": _weights(folder) if "checkpoint.pt" in files else b"",
        "result": json.dumps([info.get(name) for name in ("result", "updates", "seed", "identity")]).encode(),
        "config.yaml": (folder / "config.yaml").read_bytes(),
    }
    if (tables := folder / "probes.csv").is_file():
        contents["probes.csv"] = tables.read_bytes()
    return Record(info["status"], contents, _unsealed(folder, info.get("files") or {}))


def without_seconds(text: str) -> bytes:
    """metrics.csv without its column of times.

    >>> without_seconds("update,seconds,loss\\n0,0.1,2\\n")
    b'update,loss\\n0,2\\n'
    """
    rows = [line.split(",") for line in text.split("\n")]
    at = rows[0].index("seconds") if "seconds" in rows[0] else -1
    return "\n".join(",".join(cell for k, cell in enumerate(row) if k != at) for row in rows).encode()


def _weights(folder: Path) -> bytes:
    import torch

    try:
        parameters = torch.load(folder / "checkpoint.pt", weights_only=True)["parameters"]
    except Exception as error:  # torch raises whatever its unpickler trips over
        return f"damaged: {error}".encode()
    return b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in sorted(parameters.items()))


def _unsealed(folder: Path, files: dict[str, Any]) -> list[str]:
    actual = {name: (folder / name).read_bytes() for name in files if (folder / name).is_file()}
    return [
        f"run.json has another length or hash of {name}"
        for name, data in actual.items()
        if files[name] != {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    ]


def remains(work: Path) -> list[str]:
    """Hidden files and folders that are none of the bookkeeping: drafts, folders under a first name, old folders."""
    found = []
    for folder, folders, files in os.walk(work):
        found += [os.path.join(os.path.relpath(folder, work), name) for name in folders + files if name[0] == "."]
    return [name for name in found if not name.endswith("/.rnnlab")]
