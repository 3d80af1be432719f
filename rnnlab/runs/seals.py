"""The length and hash of a file, by which a reader knows that it is whole and unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from rnnlab.errors import RunFolderError
from rnnlab.regular import open_regular

_BLOCK = 1 << 20
REMEDY = "; `rnnlab verify` says how to restore it, and --trust reads it all the same"


class Seal(NamedTuple):
    """The length of a file in bytes, and the SHA-256 of its content in hexadecimal digits.

    >>> from rnnlab.runs.seals import Seal
    >>> seal = Seal.of(b"update,loss")
    >>> seal.length, seal.sha256[:8]
    (11, 'fb751f21')
    """

    length: int
    sha256: str

    @classmethod
    def of(cls, data: bytes | memoryview) -> Self:
        """The seal of these bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest())

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """The seal that `as_dict` wrote. Raises RunFolderError where it is none."""
        length, digest = fields.get("bytes"), fields.get("sha256")
        if not isinstance(length, int) or isinstance(length, bool) or not isinstance(digest, str):
            raise RunFolderError("the length and the hash of a file are not given as `bytes` and `sha256`")
        return cls(length, digest)

    def as_dict(self) -> dict[str, int | str]:
        return {"bytes": self.length, "sha256": self.sha256}

    def check(self, path: Path, actual: Seal, writer: str, remedy: str = "") -> None:
        """Raise RunFolderError, with what is wrong, unless the file at `path` still has this seal.

        writer: what says so, such as run.json.
        """
        if actual.length < self.length:
            fault = f"is cut: {actual.length:,} of the {self.length:,} bytes that {writer} counts are there"
        elif actual.length > self.length:
            fault = f"has grown: {actual.length:,} bytes, and {writer} counts {self.length:,}"
        elif actual.sha256 != self.sha256:
            fault = f"was changed: its {actual.length:,} bytes are not those that {writer} has the hash of"
        else:
            return
        raise RunFolderError(f"{path} {fault}{remedy}")


def fields_of(seals: Mapping[str, Seal]) -> dict[str, dict[str, int | str]]:
    """The seals of files by their names, as run.json and a checkpoint hold them."""
    return {name: seal.as_dict() for name, seal in seals.items()}


class Sealer:
    """Computes the seal of a file that grows.

    >>> from rnnlab.runs.seals import Seal, Sealer
    >>> sealer = Sealer()
    >>> for part in (b"update,", b"loss"):
    ...     sealer.add(part)
    >>> sealer.seal() == Seal.of(b"update,loss")
    True
    """

    def __init__(self) -> None:
        self.length, self._hash = 0, hashlib.sha256()

    def add(self, data: bytes | memoryview) -> None:
        """Count these bytes, which were appended."""
        self.length += len(data)
        self._hash.update(data)

    def seal(self) -> Seal:
        """The seal of everything that was added."""
        return Seal(self.length, self._hash.hexdigest())

    def read(self, path: Path, length: int | None = None) -> None:
        """Count the first `length` bytes of a file, or all of them; fewer where there are no more. Raises OSError."""
        left = length
        with open_regular(path) as file:
            while block := file.read(_BLOCK if left is None else min(_BLOCK, left)):
                self.add(block)
                left = None if left is None else left - len(block)


def seal_of_file(path: Path, length: int | None = None) -> Seal:
    """The seal of a file, or of its first `length` bytes. Raises RunFolderError where it cannot be read."""
    sealer = Sealer()
    try:
        sealer.read(path, length)
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing") from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from error
    return sealer.seal()
