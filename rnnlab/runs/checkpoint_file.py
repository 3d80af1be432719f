"""The checksum at the end of a checkpoint file, written and tested. No torch: `rnnlab verify` tests thousands.

torch.save writes a zip file, and torch.load tests none of a zip file's own checksums: a flipped bit is read as another
weight. A zip file may end with a comment; there stands the SHA-256 of everything before it.
"""

from __future__ import annotations

from pathlib import Path

from rnnlab.errors import RunFolderError
from rnnlab.regular import read_regular
from rnnlab.runs.seals import Seal

_MARK = b"rnnlab sha256 "
_DIGITS = 64
_COMMENT = len(_MARK) + _DIGITS
# Before the comment stands its length, in two bytes.
_NO_COMMENT = (0).to_bytes(2, "little")
_HEAD = _COMMENT.to_bytes(2, "little") + _MARK


def parts_with_checksum(content: memoryview) -> tuple[memoryview, bytes]:
    """The two parts of the file whose content torch.save gave: the content, and its end with the checksum."""
    if content[-2:] != _NO_COMMENT:
        raise ValueError("this is no zip file without a comment")
    return content[:-2], _HEAD + Seal.of(content[:-2]).sha256.encode()


def checked_checkpoint(path: Path) -> bytes:
    """The bytes of a checkpoint file, for torch.load. Raises RunFolderError where the checksum is another."""
    try:
        data = read_regular(path)
    except FileNotFoundError:
        raise RunFolderError(f"there is no {path}: the run was interrupted before its first checkpoint") from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from error
    end = len(_HEAD) + _DIGITS
    content, ending = memoryview(data)[:-end], data[-end:]
    if ending[: len(_HEAD)] != _HEAD:
        raise RunFolderError(f"{path} is damaged: it does not end with its checksum")
    if ending[-_DIGITS:] != Seal.of(content).sha256.encode():
        raise RunFolderError(f"{path} is damaged: its content does not agree with its checksum")
    return data
