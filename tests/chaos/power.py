"""What a disk may hold after the power fails, rebuilt from the order of the writes, fsyncs and renames.

The model is that of POSIX, without what one file system adds to it:

- The content of a file is certain up to its last fsync. What was written or cut after that may be there or not, may end
  at any byte, and may be zeros where the length reached the disk and the data did not.
- The names in a folder (of files and folders made, renamed, deleted) are certain up to the folder's last fsync. Of
  later changes a folder keeps a first part, in their order, as every journal does; the two names of a rename change
  together.
- Nothing orders the files among each other, nor their data against any names: a checkpoint's new name may be there
  without the rows that were written before it, and the fsync of a file does not make its name certain.
- The bookkeeping of SQLite, which is written without any fsync, may be missing, cut or full of zeros.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIANTS = ("nothing", "names", "data", "zeros", "all")
"""Of what is not certain: nothing is kept; all names; all data; all names, and zeros for the data; everything."""


@dataclass
class File:
    """A file: what is certain of it, and what was done since."""

    certain: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)
    """An offset with data; with None the file was cut there."""

    def content(self, steps: int | None = None, *, zeros: bool = False) -> bytes:
        """With the first steps that were done since; with `zeros` their data did not reach the disk."""
        data = bytearray(self.certain)
        for offset, written in self.since[:steps]:
            if written is None:
                del data[offset:]
                written = b""
            data.extend(bytes(max(0, offset - len(data))))
            data[offset : offset + len(written)] = bytes(len(written)) if zeros else written
        return bytes(data)

    def mixed(self, random: random.Random) -> bytes:
        """Some of it: up to a step, a part of the next one, and zeros for a stretch of what is not certain."""
        steps = random.randint(0, len(self.since))
        data = self.content(steps)
        if steps < len(self.since) and (written := self.since[steps][1]):
            offset = self.since[steps][0]
            data = data[:offset] + written[: random.randrange(len(written))]
        kept = min([len(self.certain), *(offset for offset, _ in self.since[: steps + 1])])
        if len(data) > kept and random.random() < 0.5:
            first = random.randrange(kept, len(data))
            last = random.randint(first, len(data))
            data = data[:first] + bytes(last - first) + data[last:]
        return data


@dataclass
class Folder:
    """A folder: the names that are certain, and the changes since."""

    certain: dict[str, File | Folder] = field(default_factory=dict)
    since: list[dict[str, File | Folder | None]] = field(default_factory=list)

    def names(self, changes: int | None = None) -> dict[str, File | Folder]:
        """The names after so many changes."""
        names: dict[str, File | Folder | None] = dict(self.certain)
        for change in self.since[:changes]:
            names |= change
        return {name: item for name, item in names.items() if item is not None}


class Disk:
    """A folder that operations are applied to, and from which images are made.

    >>> disk = Disk(Folder())
    >>> disk.apply({"op": "create", "path": "a"})
    >>> sorted(disk.image("all")), sorted(disk.image("nothing"))
    (['a'], [])
    """

    def __init__(self, root: Folder) -> None:
        self.root = root
        self.open: dict[str, File] = {}

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """What is on the disk for certain."""
        return cls(_of(folder))

    def apply(self, entry: Mapping[str, Any]) -> None:
        """An entry of the log of a recording: an operation, or a file that was opened."""
        if "opened" in entry:
            self.open[entry["opened"]] = self._file(entry["path"])
        elif "op" in entry:
            getattr(self, f"_{entry['op']}")(**{key: value for key, value in entry.items() if key != "op"})

    def image(self, variant: str, seed: int = 0) -> dict[str, bytes | None]:
        """The files by path, and None for folders. `mixed` is another one for each seed."""
        return dict(_image(self.root, "", variant, random.Random(seed)))

    def _at(self, path: str) -> File | Folder | None:
        item: File | Folder | None = self.root
        for name in Path(path).parts:
            item = item.names().get(name) if isinstance(item, Folder) else None
        return item

    def _file(self, path: str) -> File:
        item = self._at(path)
        assert isinstance(item, File), path
        return item

    def _change(self, path: str, item: File | Folder | None, *also: str) -> None:
        folder = self._at(os.path.dirname(path))
        if isinstance(folder, Folder):
            folder.since.append({**{os.path.basename(name): None for name in also}, os.path.basename(path): item})

    def _create(self, path: str, **_: Any) -> None:
        if isinstance(there := self._at(path), File):
            there.since.append((0, None))
        else:
            self._change(path, File())

    def _mkdir(self, path: str, **_: Any) -> None:
        if self._at(path) is None:
            self._change(path, Folder())

    def _write(self, path: str, data: str, handle: str, offset: int) -> None:
        self.open[handle].since.append((offset, base64.b64decode(data)))

    def _truncate(self, path: str, length: int, handle: str | None = None, **_: Any) -> None:
        file = self.open[handle] if handle else self._file(path)
        if len(file.content()) != length:
            file.since.append((length, None))

    def _fsync(self, path: str, handle: str, **_: Any) -> None:
        file = self.open[handle]
        file.certain, file.since = file.content(), []

    def _syncdir(self, path: str, **_: Any) -> None:
        folder = self._at(path)
        assert isinstance(folder, Folder), path
        folder.certain, folder.since = folder.names(), []

    def _rename(self, path: str, to: str, **_: Any) -> None:
        assert os.path.dirname(path) == os.path.dirname(to), "from one folder to another: extend the model"
        self._change(to, self._at(path), path)

    def _unlink(self, path: str, **_: Any) -> None:
        self._change(path, None)

    _rmdir = _unlink


def _of(folder: Path) -> Folder:
    items = {path.name: _of(path) if path.is_dir() else File(path.read_bytes()) for path in folder.iterdir()}
    return Folder(items)


def _image(folder: Folder, at: str, variant: str, random: random.Random) -> Iterator[tuple[str, bytes | None]]:
    changes = {"nothing": 0, "data": 0, "mixed": random.randint(0, len(folder.since))}.get(variant)
    for name, item in sorted(folder.names(changes).items()):
        path = os.path.join(at, name)
        if isinstance(item, Folder):
            yield path, None
            yield from _image(item, path, variant, random)
        elif variant == "mixed":
            yield path, item.mixed(random)
        else:
            steps = 0 if variant in ("nothing", "names") else None
            yield path, item.content(steps, zeros=variant == "zeros")


def write_image(image: Mapping[str, bytes | None], folder: Path) -> None:
    """Put the files of an image into a new folder."""
    folder.mkdir()
    for path, content in image.items():
        if content is None:
            (folder / path).mkdir(exist_ok=True)
        else:
            (folder / path).write_bytes(content)


def digest(image: Mapping[str, bytes | None]) -> str:
    """The same for two images of the same content."""
    found = hashlib.sha256()
    for path, content in sorted(image.items()):
        found.update(f"{path} {-1 if content is None else len(content)} ".encode() + (content or b""))
    return found.hexdigest()
