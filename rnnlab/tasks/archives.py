"""What an .npz file says of its arrays, compared with what is in it before any of them is unpacked."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from rnnlab.errors import DataFormatError
from rnnlab.tasks.files import check_memory

_ITEM = 8
"""Bytes of a number as it is kept: smaller ones are converted."""


def check_members(file: IO[bytes], path: Path) -> None:
    """Raise DataFormatError where an array's header states another size than its member of the archive has.

    Also where all arrays together are more than is read into memory. zipfile never unpacks more of a member than the
    archive states, so that what passes here is what will be unpacked. The file is at its beginning afterwards.
    """
    total = 0
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            check_memory(member.file_size, f"{path}: {member.filename} unpacked")
            if not member.filename.endswith(".npy"):
                continue
            with archive.open(member) as opened:
                shape, item = _header(opened)
                stated = opened.tell() + math.prod(shape) * item
            if stated != member.file_size:
                raise DataFormatError(
                    f"{path}: {member.filename} states an array {list(shape)} of {stated:,} bytes with its header, "
                    f"and has {member.file_size:,}"
                )
            total += math.prod(shape) * max(item, _ITEM)
            check_memory(total, f"{path}: its arrays unpacked")
    file.seek(0)


def _header(opened: IO[bytes]) -> tuple[tuple[int, ...], int]:
    """The shape of an .npy file and the bytes of an item. Raises ValueError for any other file."""
    version = np.lib.format.read_magic(opened)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format version {version}")
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(opened)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(opened)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    return shape, dtype.itemsize
